"""SMAC on StarCraft II itself (Samvelyan et al. 2019); docs/starcraft.md explains the setup."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Literal, Protocol, cast

import numpy as np
from jaxtyping import Int

from macpo.bounds import Bounds, check_fields
from macpo.envs.host import HostEnvironment
from macpo.envs.smac import installed
from macpo.envs.smac.direct import DirectClient
from macpo.envs.smac.game import Launch
from macpo.envs.smac.packaged import PackageClient
from macpo.envs.smac_jax.maps import battle_map
from macpo.envs.smac_jax.units import LOOPS_PER_STEP
from macpo.errors import require
from macpo.types import AnyArray, Spec, TimeStep

MAX_LOOPS = 524_000
"""Game loops of one game; StarCraft II ends any game after 2^19, so a new one is started before."""
_LOOPS_OF_RESET = 200  # no reset takes more


@dataclass(frozen=True)
class SMAC:
    """SMAC played in StarCraft II, which must be installed: see docs/starcraft.md.

    The game is started by the first reset, so that the environment can be made without it.

    Example:
        >>> SMAC(map="MMM2").make().spec.n_agents
        10
    """

    map: str = "MMM2"
    """Name of the SMAC map (SMAC: map_name)."""
    difficulty: Literal["1", "2", "3", "4", "5", "6", "7", "8", "9", "A"] = "7"
    """Level of the built-in opponent; published results use "7", VeryHard."""
    game_version: str | None = None
    """Version of StarCraft II, such as 4.10; by default the newest one installed."""
    client: Literal["auto", "smac", "smacv2", "pysc2"] = "auto"
    """What talks to the game: a package's StarCraft2Env, or our own client on pysc2. "auto" is the
    first of the three that is installed."""
    replay_dir: str = ""
    """Folder for a replay of each game, which holds many episodes; none by default."""
    timeout: Annotated[int, Bounds(at_least=1, at_most=1_000_000)] = 90
    """Seconds to wait for an answer of the game before giving it up."""

    def __post_init__(self) -> None:
        check_fields(self, "smac")
        battle_map(self.map)

    def make(self) -> "SMACEnv":
        """Build the environment; the first reset starts the game."""
        return SMACEnv(self)


Config = SMAC


class Client(Protocol):
    """One running game. Methods raise EnvironmentLost if it is lost."""

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
        """End the game and everything that belongs to it."""
        ...


class SMACEnv(HostEnvironment):
    """SMAC's environment. One game plays many episodes; if it is lost, `reset` starts another.

    Only the seed of the reset that starts a game reaches it: the game's random numbers continue
    from episode to episode.
    """

    def __init__(self, config: SMAC) -> None:
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
        self._available: AnyArray = None
        """Available actions of the current state; None if no episode is in progress."""

    def check_ready(self) -> None:
        """UsageError that names what is missing of the game, its map and a client for it."""
        installed.require_setup(self._config.client, self._config.map)

    def reset(self, seed: int) -> TimeStep:
        """Start an episode; also a game, if none is running or it could not finish the episode."""
        if self._loops + _LOOPS_OF_RESET + self.spec.episode_limit * LOOPS_PER_STEP > MAX_LOOPS:
            self.close()
        with self._abandoned_on_error():
            if self._client is None:
                self._client, self._loops = _open(self._config, self.spec, seed), 0
            self._loops += _LOOPS_OF_RESET
            return self._track(self._client.reset())

    def step(self, actions: Int[np.ndarray, " N"]) -> TimeStep:
        """Advance one env step; UsageError for actions that are not available."""
        available, client = self._available, self._client
        require(available is not None, "no episode is in progress: call reset first.")
        for agent, action in enumerate(actions):
            require(
                0 <= action < self.spec.n_actions and available[agent, action],
                f"agent {agent} cannot take action {action}; available: "
                f"{', '.join(map(str, np.flatnonzero(available[agent])))}.",
            )
        with self._abandoned_on_error():
            self._loops += LOOPS_PER_STEP
            actions_list = [int(action) for action in actions]
            return self._track(cast(Client, client).step(actions_list))

    def close(self) -> None:
        """End the game; write the replay first if one is wanted."""
        if self._client is not None and self._config.replay_dir:
            with self._abandoned_on_error():
                self._client.save_replay()
        self._abandon()

    def _track(self, timestep: TimeStep) -> TimeStep:
        """The time step; its available actions are kept for the next step."""
        over = timestep.terminated or timestep.truncated
        self._available = None if over else timestep.observation.avail_actions
        return timestep

    @contextmanager
    def _abandoned_on_error(self) -> Generator[None, None, None]:
        """End the game whatever goes wrong."""
        try:
            yield
        except BaseException:
            self._abandon()
            raise

    def _abandon(self) -> None:
        client, self._client, self._available = self._client, None, None
        if client is not None:
            client.close()


def _open(config: SMAC, spec: Spec, seed: int) -> Client:
    """Start the game; UsageError naming what is not installed."""
    package, map_file = installed.require_setup(config.client, config.map)
    seed %= 2**31
    if package != "pysc2":
        return PackageClient(
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
    launch = Launch(
        map_file=map_file,
        races=(chosen.kinds[0].race, chosen.kinds[-1].race),
        difficulty=config.difficulty,
        game_version=config.game_version,
        seed=seed,
        timeout=config.timeout,
    )
    return DirectClient(chosen, launch, config.replay_dir)
