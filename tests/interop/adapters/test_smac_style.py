"""SMAC's methods through our contract."""

from typing import Any

import numpy as np
import pytest

from macpo.envs.host import EnvironmentLost
from macpo.errors import UsageError
from macpo.interop import check, factory
from tests.support.foreign_games import Skirmish


def adapted(env: Any, **settings: Any) -> Any:
    def make() -> Any:
        return env

    return factory.config_class("games:skirmish", make)(**settings).make()


def ends_of(env: Any) -> list[tuple[bool, bool]]:
    """(terminated, truncated) of every step up to the end."""
    timestep, ends = env.reset(0), []
    while not (timestep.terminated or timestep.truncated):
        timestep = env.step(np.zeros(2, np.int8))
        ends.append((bool(timestep.terminated), bool(timestep.truncated)))
    return ends


def going(steps: int, *end: bool) -> list[tuple[bool, ...]]:
    return [(False, False)] * (steps - 1) + [end]


def test_it_keeps_every_promise_of_an_environment() -> None:
    results = list(check.examine(adapted(Skirmish())))
    assert [result for result in results if result.findings] == []
    assert len(results) > 10


def test_sizes_and_limit_are_those_of_get_env_info() -> None:
    spec = adapted(Skirmish()).spec
    assert (spec.n_agents, spec.n_actions, spec.obs_size, spec.state_size) == (2, 5, 3, 4)
    assert (spec.name, spec.episode_limit) == ("games:skirmish", 4)


def test_observations_state_and_masks_are_those_after_the_step() -> None:
    env = adapted(Skirmish())
    env.reset(0)
    timestep = env.step(np.array([0, 0]))
    np.testing.assert_array_equal(
        timestep.observation.obs, np.float32([[1, 1, 1], [1, 1, 0]]), strict=True
    )
    np.testing.assert_array_equal(timestep.observation.state, np.ones(4, np.float32), strict=True)
    np.testing.assert_array_equal(
        timestep.observation.avail_actions, [[True, True, False, False, False]] * 2
    )


def test_actions_are_a_list_of_integers() -> None:
    env = adapted(Skirmish())
    env.reset(0)
    assert env.step(np.array([0, 1], np.int8)).reward == np.float32(0.5)


@pytest.mark.parametrize("won", [True, False])
def test_an_end_before_the_limit_is_one(won: bool) -> None:
    assert ends_of(adapted(Skirmish(3, won))) == going(3, True, False)


def test_running_out_of_time_is_distinguished_from_other_ends() -> None:
    assert ends_of(adapted(Skirmish(length=9))) == going(4, False, True)


def test_a_victory_in_the_last_step_is_an_end() -> None:
    assert ends_of(adapted(Skirmish(length=4, won=True))) == going(4, True, False)


def test_a_shorter_limit_cuts_off_and_spares_an_end_in_its_last_step() -> None:
    assert ends_of(adapted(Skirmish(9), episode_limit=2)) == going(2, False, True)
    assert ends_of(adapted(Skirmish(2, won=False), episode_limit=2)) == going(2, True, False)


@pytest.mark.parametrize(("asked", "given"), [(None, True), (False, False), (True, True)])
def test_time_out_counts_as_an_end_unless_configured_otherwise(
    asked: bool | None, given: bool
) -> None:
    spec = adapted(Skirmish(), truncation_is_terminal=asked).spec
    assert spec.truncation_is_terminal is given


def test_battles_won_are_kept_by_default_and_other_numbers_on_demand() -> None:
    env = adapted(Skirmish(1))
    assert env.reset(0).info == {"battle_won": 0}
    assert env.step(np.array([0, 0])).info == {"battle_won": 1}
    env = adapted(Skirmish(1), info=("dead_enemies", "never_reported"))
    env.reset(0)
    assert env.step(np.array([0, 0])).info == {"dead_enemies": 1, "never_reported": 0}


class Newer(Skirmish):
    """Gymnasium's shape of a step, a reward for each agent, a seed and no battles."""

    def __getattribute__(self, name: str) -> Any:
        if name == "battles_won":
            raise AttributeError(name)
        return super().__getattribute__(name)

    def reset(self, seed: int | None = None, options: Any = None) -> Any:
        self.seed_given = seed
        return super().reset()[0], {}

    def step(self, actions: Any) -> Any:
        _, over, _ = super().step(actions)
        return self.get_obs(), [float(a) for a in actions], over, self.t == 2, {}


class Older(Skirmish):
    """Gym's shape of a step, with the flag of its time limit, and a seed given in advance."""

    def seed(self, seed: int) -> None:
        self.seed_given = seed

    def step(self, actions: Any) -> Any:
        reward, over, info = super().step(actions)
        return self.get_obs(), reward, over, {**info, "TimeLimit.truncated": over}


def test_five_values_rewards_of_each_agent_and_no_info_are_understood() -> None:
    env = adapted(newer := Newer(9))
    assert env.reset(5).info == {}
    assert newer.seed_given == 5
    timestep = env.step(np.array([0, 1]))
    assert timestep.reward == 1 and not timestep.truncated
    assert env.step(np.array([0, 1])).truncated


def test_four_values_and_a_seed_given_in_advance_are_understood() -> None:
    env = adapted(older := Older(3))
    assert ends_of(env) == going(3, False, True)
    assert older.seed_given == 0


class Restarted(Skirmish):
    """What SMAC returns after it has restarted a crashed game."""

    def step(self, actions: Any) -> Any:
        return 0, True, {}


class Refused(Skirmish):
    """A game that cannot be reached."""

    def reset(self) -> Any:
        raise ConnectionRefusedError("nobody listens")


class Faulty(Skirmish):
    """An environment with a mistake in it."""

    def step(self, actions: Any) -> Any:
        return None


def test_a_restarted_game_is_a_lost_episode() -> None:
    env = adapted(Restarted())
    env.reset(0)
    with pytest.raises(EnvironmentLost, match="restarted in the middle"):
        env.step(np.array([0, 0]))


def test_a_dropped_line_is_a_lost_episode() -> None:
    with pytest.raises(EnvironmentLost, match="ConnectionRefusedError: nobody listens"):
        adapted(Refused()).reset(0)


def test_a_mistake_is_no_lost_episode() -> None:
    env = adapted(Faulty())
    env.reset(0)
    with pytest.raises(UsageError, match=r"step returned \(None\), which cannot be read as"):
        env.step(np.array([0, 0]))


# --- what is recognised, and what is refused ------------------------------------------------------


class Wall(Skirmish):
    """Pays an eighth in every step, and returns `values` in the order of the newest SMAC-likes."""

    def __init__(self, *ends: tuple[bool, bool], info: Any = None, **sizes: Any) -> None:
        super().__init__(length=9, limit=len(ends))
        self.ends, self.info, self.sizes = ends, info, sizes

    def get_env_info(self) -> dict[str, Any]:
        return super().get_env_info() | self.sizes

    def step(self, actions: Any) -> Any:
        self.t += 1
        return 0.125, *self.ends[self.t - 1], self.info


def test_a_reward_in_front_of_two_flags_is_the_reward() -> None:
    env = adapted(Wall((False, False), (False, True)))
    env.reset(0)
    timesteps = [env.step(np.array([0, 0])) for _ in range(2)]
    assert [float(timestep.reward) for timestep in timesteps] == [0.125, 0.125]
    assert [bool(timestep.truncated) for timestep in timesteps] == [False, True]
    assert env.assumptions == ("step returns (reward, terminated, truncated, info)",)


@pytest.mark.parametrize("nothing", [None, float("nan")])
def test_a_battle_that_does_not_tell_who_won_is_not_won(nothing: Any) -> None:
    env = adapted(Wall((True, False), info={"battle_won": nothing}))
    env.reset(0)
    timestep = env.step(np.array([0, 0]))
    assert ends_of_one(timestep) == (False, True)  # the last allowed step, as without the name
    assert np.isnan(timestep.info["battle_won"])


def ends_of_one(timestep: Any) -> tuple[bool, bool]:
    return bool(timestep.terminated), bool(timestep.truncated)


@pytest.mark.parametrize("own", [float("inf"), None, -1])
def test_a_limit_that_is_none_counts_as_no_limit(own: Any) -> None:
    with pytest.raises(UsageError, match=r"set a limit with --env\.episode-limit STEPS"):
        adapted(Wall((False, False), episode_limit=own))
    env = adapted(Wall((False, False), (False, False), episode_limit=own), episode_limit=2)
    env.reset(0)
    ends = [ends_of_one(env.step(np.array([0, 0]))) for _ in range(2)]
    assert ends == [(False, False), (False, True)]


def test_actions_that_an_agent_does_not_have_are_unavailable() -> None:
    wall = Wall((False, False))
    wall.get_avail_actions = lambda: [[1, 1], [1, 1, 1, 1, 1]]
    avail = adapted(wall).reset(0).observation.avail_actions
    assert avail.astype(int).tolist() == [[1, 1, 0, 0, 0], [1, 1, 1, 1, 1]]


def test_a_mask_to_be_added_to_logits_is_refused() -> None:
    wall = Wall((False, False))
    wall.get_avail_actions = lambda: np.array([[0, -np.inf, -np.inf, 0, 0]] * 2)
    with pytest.raises(UsageError, match="avail_actions holds numbers other than 0 and 1"):
        adapted(wall).reset(0)


@pytest.mark.parametrize(
    ("method", "rows", "said"),
    [
        ("get_obs", [np.zeros(3), np.zeros(4)], "agent 1 observes 4 .* declares at most 3"),
        ("get_avail_actions", [[1] * 6, [1] * 5], "agent 0 has a mask of 6 .* declares at most 5"),
    ],
)
def test_more_than_was_declared_is_refused_with_the_agent(
    method: str, rows: Any, said: str
) -> None:
    wall = Wall((False, False))
    setattr(wall, method, lambda: rows)
    with pytest.raises(UsageError, match=f"^games:skirmish: {said}"):
        adapted(wall).reset(0)


def test_it_is_closed_once() -> None:
    env = adapted(skirmish := Skirmish())
    env.close()
    env.close()
    assert skirmish.closed == 1
