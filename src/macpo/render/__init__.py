"""Pictures of states: a module here with a function `frame` draws the environment of its name."""
