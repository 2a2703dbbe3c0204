"""SMAC on StarCraft II itself (Samvelyan et al. 2019); docs/starcraft.md tells how to set it up."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, Protocol, cast

import numpy as np
from jaxtyping import Int

from macpo.envs.host import HostEnvironment
from macpo.envs.smac import installed
from macpo.envs.smac.direct import Direct
from macpo.envs.smac.game import Launch
from macpo.envs.smac.packaged import Packaged
from macpo.envs.smac_jax.maps import battle_map
from macpo.envs.smac_jax.units import LOOPS_PER_STEP
from macpo.errors import require
from macpo.types import Spec, TimeStep

MOST_LOOPS = 524_000
"""Game loops after which StarCraft II ends any game (2^19); a new one is started before."""
_LOOPS_OF_RESET = 200  # no new episode takes more to begin


@dataclass(frozen=True)
class Config:
    """SMAC played in StarCraft II, which must be installed: see docs/starcraft.md."""

    map: str = "MMM2"
    """Name of the SMAC map (SMAC: map_name)."""
    difficulty: Literal["1", "2", "3", "4", "5", "6", "7", "8", "9", "A"] = "7"
    """Of the built-in opponent; "7", VeryHard, is what results are published with."""
    game_version: str | None = None
    """Version of StarCraft II, such as 4.10; by default the newest that is installed."""
    client: Literal["auto", "smac", "smacv2", "pysc2"] = "auto"
    """Who speaks to the game: a package's StarCraft2Env, or our own environment on pysc2. "auto" is
    the first of the three that is installed."""
    replay_dir: str = ""
    """Folder for a replay of each game, which holds many episodes; none by default."""
    timeout: int = 90
    """Seconds to wait for an answer of the game before it is given up."""

    def __post_init__(self) -> None:
        battle_map(self.map)
        require(self.timeout >= 1, f"timeout must be at least 1 second, not {self.timeout}.")

    def make(self) -> "Smac":
        """The environment; the game is not started before the first reset."""
        return Smac(self)


class Client(Protocol):
    """One running game. Methods raise EnvironmentLost when it is lost."""

    def reset(self) -> TimeStep:
        """Start an episode."""
        ...

    def step(self, actions: Sequence[int]) -> TimeStep:
        """Advance one env step with actions that are available."""
        ...

    def save_replay(self) -> None:
        """Write a replay of everything since the game was started."""
        ...

    def close(self) -> None:
        """End the game and all that belongs to it."""
        ...


class Smac(HostEnvironment):
    """SMAC's environment. One game plays many episodes; once it is lost, `reset` starts another.

    A seed reaches the game only through the reset that starts it: the game's random numbers run on
    from episode to episode.
    """

    def __init__(self, config: Config) -> None:
        chosen = battle_map(config.map)
        self.spec = Spec(
            name="smac",
            n_agents=chosen.n_agents,
            n_actions=chosen.n_actions,
            obs_size=chosen.obs_size,
            state_size=chosen.state_size,
            episode_limit=chosen.episode_limit,
            truncation_is_terminal=True,
        )
        self._config = config
        self._client: Client | None = None
        self._loops = 0
        self._available: Any = None
        """Of the state that is shown; None where there is no step to take."""

    def reset(self, seed: int) -> TimeStep:
        """Start an episode; and a game, if there is none or the old one could not finish it."""
        if self._loops + _LOOPS_OF_RESET + self.spec.episode_limit * LOOPS_PER_STEP > MOST_LOOPS:
            self.close()
        with self._abandoned_on_error():
            if self._client is None:
                self._client, self._loops = _open(self._config, self.spec, seed), 0
            self._loops += _LOOPS_OF_RESET
            return self._shown(self._client.reset())

    def step(self, actions: Int[np.ndarray, " N"]) -> TimeStep:
        """Advance one env step; UsageError for actions that are not available."""
        available, client = self._available, self._client
        require(available is not None, "no episode is going on in the game: call reset first.")
        for agent, action in enumerate(actions):
            require(
                0 <= action < self.spec.n_actions and available[agent, action],
                f"agent {agent} cannot take action {action}; available: "
                f"{', '.join(map(str, np.flatnonzero(available[agent])))}.",
            )
        with self._abandoned_on_error():
            self._loops += LOOPS_PER_STEP
            return self._shown(cast(Client, client).step([int(action) for action in actions]))

    def close(self) -> None:
        """End the game; the replay is written first, where one is wanted."""
        if self._client is not None and self._config.replay_dir:
            with self._abandoned_on_error():
                self._client.save_replay()
        self._abandon()

    def _shown(self, timestep: TimeStep) -> TimeStep:
        over = timestep.terminated or timestep.truncated
        self._available = None if over else timestep.avail_actions
        return timestep

    @contextmanager
    def _abandoned_on_error(self) -> Generator[None, None, None]:
        """Whatever goes wrong, no game is left behind."""
        try:
            yield
        except BaseException:
            self._abandon()
            raise

    def _abandon(self) -> None:
        client, self._client, self._available = self._client, None, None
        if client is not None:
            client.close()


def _open(config: Config, spec: Spec, seed: int) -> Client:
    """Find all that is needed, or tell what is missing; then start the game."""
    package = installed.choose_client(config.client)
    folder = installed.require_game()
    map_file = installed.require_map(folder, config.map)
    seed %= 2**31
    if package != "pysc2":
        return Packaged(
            package,
            spec,
            config.timeout,
            map_name=config.map,
            difficulty=config.difficulty,
            game_version=config.game_version,
            replay_dir=config.replay_dir,
            seed=seed,
        )
    chosen = battle_map(config.map)
    races = ["P" if shields else "T" for shields in (chosen.ally_shields, chosen.enemy_shields)]
    how = Launch(
        map_file=map_file,
        races=(races[0], races[1]),
        difficulty=config.difficulty,
        game_version=config.game_version,
        seed=seed,
        timeout=config.timeout,
    )
    return Direct(chosen, how, config.replay_dir)
