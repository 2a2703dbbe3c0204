"""Films of episodes: a module with a `frame` or a `film` draws the environment of its name."""
