"""What a worker writes into the slot, and what it refuses to hand to the learner."""

import json
import re
from collections.abc import Iterator
from multiprocessing.connection import Connection, Pipe
from threading import Thread
from typing import Any

import numpy as np
import pytest

from macpo.envs.host import numpy_time_step
from macpo.errors import UsageError
from macpo.training.host import worker
from macpo.training.host.slot import LAST_TIMESTEP, QUIT, RESET, STEP, TIMESTEP, Slot
from macpo.types import Observation, TimeStep
from tests.support.host_environments import HostCounting
from tests.support.without_jax import run_without_jax

SPEC = HostCounting().spec  # two agents, three actions, two numbers seen, a state of one
WHERE = "step 3 of the episode with seed 7"


def empty_slot() -> Slot:
    return Slot(
        obs=np.zeros((2, 2), np.float32),
        state=np.zeros(1, np.float32),
        avail_actions=np.zeros((2, 3), bool),
        reward=np.zeros(1, np.float32),
        terminated=np.zeros(1, bool),
        truncated=np.zeros(1, bool),
        actions=np.zeros(2, np.int64),
    )


def timestep(**changes: Any) -> TimeStep:
    """A time step that the slot can hold, but for these changes."""
    plain = numpy_time_step(
        [[1, 2], [3, 4]], [5], [[1, 0, 1], [0, 1, 0]], 0.5, True, False, {"clock": 3}
    )
    of_observation = {name: changes.pop(name) for name in Observation._fields if name in changes}
    return plain._replace(observation=plain.observation._replace(**of_observation), **changes)


def written(**changes: Any) -> Slot:
    slot = empty_slot()
    worker.write(slot, timestep(**changes), SPEC, WHERE)
    return slot


# --- a time step ----------------------------------------------------------------------------------


def test_a_time_step_is_copied_into_the_slot() -> None:
    slot = written()
    assert slot.obs.tolist() == [[1, 2], [3, 4]] and slot.state.tolist() == [5]
    assert slot.avail_actions.tolist() == [[True, False, True], [False, True, False]]
    assert (slot.reward[0], slot.terminated[0], slot.truncated[0]) == (0.5, True, False)


def test_availability_of_0_and_1_is_taken_for_booleans() -> None:
    slot = written(avail_actions=np.array([[1.0, 0, 1], [0, 1, 0]]))
    assert slot.avail_actions.tolist() == [[True, False, True], [False, True, False]]


def test_a_reward_that_is_not_finite_is_for_the_main_process_to_judge() -> None:
    assert np.isnan(written(reward=np.float32(np.nan)).reward[0])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"obs": np.zeros((2, 3))},
            "host-counting shows obs of shape (2, 3), but its spec says (2, 2).",
        ),
        (
            {"obs": np.array([[0, np.nan], [0, 0]])},
            f"host-counting shows obs that is not finite in {WHERE};",
        ),
        (
            {"state": np.array([np.inf])},
            f"host-counting shows state that is not finite in {WHERE};",
        ),
        (
            {"avail_actions": np.array([[True] * 3, [False] * 3])},
            f"host-counting leaves an agent without an available action in {WHERE};",
        ),
        (
            {"avail_actions": np.array([[0, -np.inf, 0]] * 2)},
            "avail_actions holds numbers other than 0 and 1;",
        ),
    ],
)
def test_what_the_learner_cannot_take_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=f"^{re.escape(said)}"):
        written(**changes)


# --- an episode -----------------------------------------------------------------------------------


class Served:
    """A worker's loop in a thread of this process, with an environment and the other end."""

    def __init__(self, env: Any) -> None:
        self.link: Connection[bytes, bytes]
        self.link, theirs = Pipe()
        self.slot, self.error = empty_slot(), list[BaseException]()
        self._thread = Thread(target=self._serve, args=(theirs, env))
        self._thread.start()

    def _serve(self, link: Any, env: Any) -> None:
        try:
            worker._serve(link, self.slot, env)
        except BaseException as error:
            self.error.append(error)
        link.close()

    def ask(self, message: bytes) -> bytes:
        self.link.send_bytes(message)
        return self.link.recv_bytes()

    def fault(self, *messages: bytes) -> str:
        """What the loop raises when it has been sent these."""
        for message in messages[:-1]:
            self.ask(message)
        self.link.send_bytes(messages[-1])
        self._thread.join()
        return str(self.error[0])

    def close(self) -> None:
        if self._thread.is_alive():
            self.link.send_bytes(QUIT)
        self._thread.join()
        self.link.close()


@pytest.fixture
def served() -> Iterator[Any]:
    """Starts loops that end with the test."""
    started = list[Served]()

    def serve(env: Any) -> Served:
        started.append(Served(env))
        return started[-1]

    yield serve
    for one in started:
        one.close()


def test_an_episode_is_a_time_step_for_each_message_and_its_infos_come_with_the_last(
    served: Any,
) -> None:
    loop = served(HostCounting(episode_limit=2))
    loop.slot.actions[:] = [1, 2]
    assert loop.ask(RESET + b"7") == TIMESTEP
    assert loop.ask(STEP) == TIMESTEP
    assert loop.slot.reward[0] == 3
    assert loop.ask(STEP) == LAST_TIMESTEP + b'{"clock": 2.0}'


class Reporting(HostCounting):
    """Tells `info` in its last time step, whatever it is."""

    info: Any = None

    def time_step(self, reward: float) -> TimeStep:
        return super().time_step(reward)._replace(info=self.info)


@pytest.mark.parametrize("nothing", [None, float("nan")])
def test_a_number_that_is_not_known_arrives_as_nan(served: Any, nothing: Any) -> None:
    env = Reporting(episode_limit=1)
    env.info = {"won": nothing, "each": [1, 2]}
    loop = served(env)
    loop.ask(RESET + b"7")
    outcome = json.loads(loop.ask(STEP)[1:])
    assert np.isnan(outcome["won"]) and outcome["each"] == 1.5


def test_no_info_at_all_is_no_outcome(served: Any) -> None:
    loop = served(Reporting(episode_limit=1))
    loop.ask(RESET + b"7")
    assert loop.ask(STEP) == LAST_TIMESTEP + b"{}"


def test_an_info_that_is_no_number_is_refused_by_name(served: Any) -> None:
    env = Reporting(episode_limit=1)
    env.info = {"map": "plain"}
    assert served(env).fault(RESET + b"7", STEP).startswith("info['map'] must be a number, or None")


class Blind(HostCounting):
    """Shows nothing finite in its second step."""

    def time_step(self, reward: float) -> TimeStep:
        timestep = super().time_step(reward)
        obs = np.full((2, 2), np.nan if self.t == 2 else 0, np.float32)
        return timestep._replace(observation=timestep.observation._replace(obs=obs))


def test_a_fault_is_told_with_the_seed_and_the_step(served: Any) -> None:
    loop = served(Blind())
    loop.ask(RESET + b"1")
    loop.ask(STEP)
    said = loop.fault(RESET + b"7", STEP, STEP)
    assert "in step 2 of the episode with seed 7" in said


class Ending(HostCounting):
    """Is over before it begins."""

    def reset(self, seed: int) -> TimeStep:
        return super().reset(seed)._replace(terminated=np.bool_(True))


def test_an_episode_that_ends_in_reset_is_refused(served: Any) -> None:
    assert served(Ending()).fault(RESET + b"7").startswith("host-counting ends an episode in reset")


class Mute(HostCounting):
    """Forgets to return its time step."""

    def step(self, actions: Any) -> Any:
        super().step(actions)


def test_a_step_that_returns_nothing_is_refused(served: Any) -> None:
    said = served(Mute()).fault(RESET + b"7", STEP)
    assert said.startswith("the environment returned a NoneType, not a macpo.TimeStep")


# --- what a worker needs --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "tests.support.host_environments:HostCounting",
        "tests.support.foreign_games:Relay",
        "tests.support.foreign_games:Skirmish",
    ],
    ids=["own class", "PettingZoo", "as SMAC"],
)
def test_an_environment_in_plain_python_is_played_without_jax(name: str) -> None:
    done = run_without_jax(f"""
from macpo.training.host.worker import make_env
print(make_env({{"name": {name!r}}}).reset(0).reward)
""")
    assert done.stdout == "0.0\n", done.stderr


def test_the_game_itself_is_played_without_jax() -> None:
    done = run_without_jax("""
from macpo.training.host.worker import make_env
print(make_env({"name": "smac", "map": "3m"}).spec.n_agents)
""")
    assert done.stdout == "3\n", done.stderr
