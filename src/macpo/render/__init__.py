"""Films of episodes: a module here with a `frame` or a `film` draws the environment of its name."""
