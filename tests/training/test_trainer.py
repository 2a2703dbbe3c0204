"""The training loop: when it explores, learns, syncs targets and stops; and that it repeats."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from macpo import machine
from macpo.algorithms.vdn import Config as Vdn
from macpo.errors import UsageError
from macpo.experiment import Experiment, Run
from macpo.learners.base import LearnerState, UpdateResult
from macpo.replay.priority import Replay
from macpo.training.player import CompiledPlayer
from macpo.training.trainer import Trainer, TrainState, make_trainer
from macpo.weighting.uniform import Config as Uniform
from tests.support.toys import Counting, Reporting


class Tally:
    """An algorithm that learns nothing but counts its updates and its targets' copies."""

    def __init__(self, env: Counting) -> None:
        self.spec = env.spec

    def init(self, key: Any) -> LearnerState:
        zero = np.zeros(())
        return LearnerState({"updates": zero}, {"copied_after": zero, "copies": zero}, (), {})

    def initial_hidden(self, n_envs: int) -> Any:
        return np.zeros((n_envs, 0))

    def act(self, params, key, hidden, observation, last_action, epsilon):
        u = jax.random.uniform(key, last_action.shape)
        return hidden, jnp.floor(2 * u).astype(np.int8)

    def recent_episodes(self, batch_size: int, buffer_size: int) -> None:
        return None

    def update_bytes(self, batch_size: int) -> int:
        return 0

    def update(self, state, batch, key):
        episodes = batch.episodes
        metrics = {
            "batch_steps": episodes.length.sum(),
            "batch_epsilon": batch.epsilon,
            "copies_before": state.target_networks["copies"],
        }
        state = state._replace(params={"updates": state.params["updates"] + 1})
        return UpdateResult(state, metrics, jnp.abs(episodes.reward))

    def sync_targets(self, state):
        copies = state.target_networks["copies"] + 1
        targets = {"copied_after": state.params["updates"], "copies": copies}
        return state._replace(target_networks=targets)


UPDATE_METRICS = {"batch_steps", "batch_epsilon", "copies_before"}


@functools.cache
def tally(**run: Any) -> Trainer:
    env = Counting(episode_limit=4, most_steps=4)
    return Trainer(env, Tally(env), Replay(), Run(**{"updates_per_iteration": 1} | run))


@functools.cache
def tallied(
    trainer: Trainer, max_iterations: int, until_env_steps: int = 10**6
) -> tuple[TrainState, dict[str, Any]]:
    """The first seed's state and metrics after one chunk of a run that only counts."""
    state, metrics = trainer.chunk(trainer.init(), np.array(until_env_steps), max_iterations)
    return jax.tree.map(lambda x: np.asarray(x)[0], (state, metrics))


def as_published() -> tuple[TrainState, dict[str, Any]]:
    """Sixty iterations of eight episodes, with the default batch and target interval."""
    return tallied(as_published_trainer(), max_iterations=60)


def as_published_trainer() -> Trainer:
    return tally(
        batch_size_run=8,
        batch_size=128,
        buffer_size=200,
        target_update_interval=200,
        epsilon_anneal_time=1000,
    )


def six_iterations(until_env_steps: int = 10**6) -> tuple[TrainState, dict[str, Any]]:
    """At most six iterations of four episodes; the batch is the buffer and holds twelve."""
    return tallied(six_iterations_trainer(), max_iterations=6, until_env_steps=until_env_steps)


def six_iterations_trainer() -> Trainer:
    return tally(batch_size_run=4, batch_size=12, buffer_size=12, target_update_interval=8)


# --- schedules ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("env_steps", "epsilon"), [(0, 1.0), (50_000, 0.525), (100_000, 0.05), (200_000, 0.05)]
)
def test_epsilon_falls_linearly_and_then_stays(env_steps, epsilon):
    env = Counting()
    trainer = Trainer(env, Tally(env), Replay(), Run())
    np.testing.assert_allclose(trainer.epsilon(np.array(env_steps)), epsilon, rtol=1e-6)


def test_an_iteration_plays_one_episode_in_each_parallel_environment():
    _, metrics = as_published()
    np.testing.assert_array_equal(metrics["episodes"], 8 * np.arange(1, 61))


def test_env_steps_are_those_of_all_episodes_played():
    _, metrics = as_published()
    steps = np.cumsum(np.round(8 * metrics["ep_length_mean"]))
    np.testing.assert_array_equal(metrics["env_steps"], steps)


def test_epsilon_is_frozen_at_the_env_steps_before_the_iteration():
    _, metrics = as_published()
    before = np.array([0, *metrics["env_steps"][:-1]])
    expected = np.maximum(1 - 0.95 * before / 1000, 0.05)
    np.testing.assert_allclose(metrics["epsilon"], expected, rtol=1e-5)


def test_updates_are_told_the_epsilon_that_the_newest_episodes_were_played_with():
    _, metrics = as_published()
    learned = metrics["updates"] > 0
    assert len(set(metrics["epsilon"][learned].tolist())) > 1
    # the same sum twice in a program may be rounded twice
    told, played = metrics["batch_epsilon"][learned], metrics["epsilon"][learned]
    np.testing.assert_allclose(told, played, rtol=1e-6)


def test_there_is_no_update_before_a_whole_batch_has_been_played():
    _, metrics = as_published()
    updates = np.maximum(np.arange(1, 61) - 15, 0)  # 128 episodes are in after iteration 16
    np.testing.assert_array_equal(metrics["updates"], updates)


def test_there_is_none_either_after_replay_was_lost_until_it_holds_a_whole_batch_again():
    trainer = six_iterations_trainer()
    state, _ = trainer.chunk(trainer.init(), np.array(10**6), 6)
    state = state._replace(replay_buffer=trainer.init().replay_buffer)
    state, metrics = trainer.chunk(state, np.array(10**6), 6)
    assert metrics["updates"].tolist() == [[4, 4, 5, 6, 7, 8]]
    assert state.iteration.tolist() == [12]


def test_metrics_of_updates_are_known_by_name_and_0_before_the_first_update():
    _, metrics = as_published()
    assert as_published_trainer().update_metrics == UPDATE_METRICS
    np.testing.assert_array_equal(metrics["batch_steps"] == 0, np.arange(60) < 15)


def test_a_healthy_run_passes_jax_s_search_for_nan():
    trainer = six_iterations_trainer()
    with jax.debug_nans(True):
        state, _ = trainer.chunk(trainer.init(), np.array(10**6), 6)
        trainer.evaluate(state)
    assert state.updates[0] > 0


def test_every_update_sees_a_whole_batch():
    _, metrics = six_iterations()
    steps = np.diff(metrics["env_steps"], prepend=0)
    of_the_last_three_iterations = np.convolve(steps, np.ones(3), mode="valid")
    np.testing.assert_array_equal(metrics["batch_steps"][2:], of_the_last_three_iterations)


def copies_after_each_iteration(state: TrainState, metrics: dict[str, Any]) -> list[int]:
    return [*metrics["copies_before"][1:], state.learner.target_networks["copies"]]


def test_targets_are_copied_every_200_episodes():
    state, metrics = as_published()
    copied = np.flatnonzero(np.diff(copies_after_each_iteration(state, metrics), prepend=0)) + 1
    assert (8 * copied).tolist() == [200, 400]
    assert state.last_sync == 400
    assert state.learner.target_networks["copied_after"] == 400 / 8 - 15


def test_copies_wait_for_the_first_update():
    assert copies_after_each_iteration(*six_iterations()) == [0, 0, 1, 1, 2, 2]


def test_of_several_updates_in_an_iteration_only_the_last_is_followed_by_a_copy():
    trainer = tally(
        batch_size_run=4,
        batch_size=4,
        buffer_size=20,
        target_update_interval=8,
        updates_per_iteration=3,
    )
    state, metrics = tallied(trainer, max_iterations=3)
    assert metrics["updates"].tolist() == [3, 6, 9]
    assert state.learner.target_networks == {"copied_after": 6, "copies": 1}


def test_a_chunk_stops_at_the_first_iteration_that_reaches_the_mark():
    state, metrics = six_iterations(until_env_steps=35)
    made = int(state.iteration)
    assert metrics["env_steps"][made - 2] < 35 <= metrics["env_steps"][made - 1]
    assert state.env_steps == metrics["env_steps"][made - 1]
    assert made < 6
    assert not metrics["env_steps"][made:].any()


def test_a_chunk_makes_no_more_iterations_than_it_has_room_for():
    state, metrics = six_iterations()
    assert state.iteration == 6
    assert metrics["episodes"].tolist() == [4, 8, 12, 16, 20, 24]


# --- the whole thing ------------------------------------------------------------------------------

MAX_ITERATIONS = 4


@functools.cache
def trainer(seed: int = 0, seeds: int = 1) -> Trainer:
    env = Counting(episode_limit=4, most_steps=6)
    run = Run(
        batch_size_run=2,
        batch_size=2,
        buffer_size=6,
        target_update_interval=4,
        test_nepisode=3,
        seed=seed,
        seeds=seeds,
    )
    return Trainer(env, Vdn(rnn_hidden_dim=8).make(env, Uniform()), Replay(), run)


@functools.cache
def trained(seed: int = 0, seeds: int = 1) -> Any:
    """(state, metrics of training, metrics of evaluation)."""
    # compiled programs do not depend on the number of the seed
    compiled = trainer(0, seeds)
    state, metrics = compiled.chunk(trainer(seed, seeds).init(), np.array(10**6), MAX_ITERATIONS)
    return jax.tree.map(np.asarray, (state, metrics, compiled.evaluate(state)))


def test_the_same_seed_gives_the_same_result():
    again = trained.__wrapped__()
    jax.tree.map(np.testing.assert_array_equal, trained(), again)


def test_different_seeds_start_with_different_networks():
    agents = [trainer(seed).init().learner.params.value.agent for seed in (0, 1)]
    assert (agents[0].embed.weight != agents[1].embed.weight).all()


def test_different_seeds_play_different_games():
    assert (trained(0)[1]["env_steps"] != trained(1)[1]["env_steps"]).any()


@pytest.mark.parametrize("seed", [0, 1])
def test_each_of_two_seeds_is_bit_for_bit_the_one_trained_alone(seed):
    together = jax.tree.map(lambda x: x[seed], trained(0, seeds=2))
    alone = jax.tree.map(lambda x: x[0], trained(seed))
    jax.tree.map(np.testing.assert_array_equal, together, alone)


def test_metrics_have_a_row_per_seed_and_a_column_per_iteration():
    _, metrics, evaluated = trained(0, seeds=2)
    assert {x.shape for x in metrics.values()} == {(2, MAX_ITERATIONS)}
    assert {x.shape for x in evaluated.values()} == {(2,)}


def test_outcomes_are_averaged_over_episodes_of_training_and_of_evaluation():
    env = Reporting(episode_limit=4, most_steps=6)
    trainer = Trainer(env, Tally(env), Replay(), Run(batch_size_run=3, test_nepisode=5))
    state, metrics = trainer.chunk(trainer.init(), np.array(10**6), 2)
    np.testing.assert_array_equal(metrics["counted_mean"], metrics["ep_length_mean"])
    evaluated = trainer.evaluate(state)
    assert evaluated["test_counted_mean"] == evaluated["test_ep_length_mean"] > 0


def test_all_parameters_have_moved_after_a_few_iterations():
    state, metrics, _ = trained()
    before = trainer().init().learner.params
    for path, moved in jax.tree_util.tree_leaves_with_path(
        jax.tree.map(lambda x, y: np.abs(x - y).max(), state.learner.params, before)
    ):
        assert moved > 0, jax.tree_util.keystr(path)
    assert np.isfinite(metrics["loss"]).all()


def test_the_replay_buffer_holds_the_latest_episodes():
    state, metrics, _ = trained()
    assert state.replay_buffer.n_added == 2 * MAX_ITERATIONS
    lengths = np.diff(metrics["env_steps"][0], prepend=0)[-3:]
    assert state.replay_buffer.episodes.length.sum() == lengths.sum()


# --- before a run ---------------------------------------------------------------------------------


def test_updates_are_traced_without_computing_anything():
    trainer = six_iterations_trainer()
    learned, metrics = trainer._update_shapes
    assert {type(x) for x in jax.tree.leaves((learned, metrics))} == {jax.ShapeDtypeStruct}
    assert set(metrics) == UPDATE_METRICS
    assert learned.learner.params["updates"].shape == ()


def test_a_mistake_in_an_update_is_raised_by_a_check_before_the_run():
    class Mistaken(Tally):
        def update(self, state, batch, key):
            return super().update(state, batch.rewards, key)

    env = Counting(episode_limit=4, most_steps=4)
    trainer = Trainer(env, Mistaken(env), Replay(), Run(batch_size=12, buffer_size=12))
    with pytest.raises(AttributeError, match="'Batch' object has no attribute 'rewards'"):
        trainer.check()


def test_a_precision_without_units_is_refused_before_the_run_but_not_to_play(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(machine, "has_bf16_units", lambda: False)
    run = Run(precision="bf16", batch_size=8)
    trainer = make_trainer(Experiment("two-step", "vdn", run=run), to_play=True)
    with pytest.raises(UsageError, match="--precision bf16 needs a processor with units"):
        trainer.check()
    monkeypatch.setattr(machine, "has_bf16_units", lambda: True)
    trainer.check()


def test_an_update_is_traced_once_for_the_check_and_the_chunk():
    class Traced(Tally):
        times = 0

        def update(self, state, batch, key):
            Traced.times += 1
            return super().update(state, batch, key)

    env = Counting(episode_limit=4, most_steps=4)
    run = Run(batch_size_run=4, batch_size=32, buffer_size=32)  # shared out over two devices
    trainer = Trainer(env, Traced(env), Replay(), run)
    trainer.check()
    CompiledPlayer(trainer).compile()
    chunk: Any = trainer.chunk  # of another length: it is traced anew
    chunk.lower(trainer.state_shapes, np.array(10**6), 2)
    assert Traced.times == 1


# --- rewards that are not finite, and infos that are not known ------------------------------------


class Unsound(Reporting):
    """Pays NaN in every second step of an episode, and tells the count of even goals only."""

    def step(self, key: Any, state: Any, actions: Any) -> Any:
        after, timestep = super().step(key, state, actions)
        told = jnp.where(after.goal % 2 == 0, after.t, np.nan)
        reward = jnp.where(after.t == 2, np.nan, timestep.reward)
        return after, timestep._replace(reward=reward, info={"counted": told})

    def reset(self, key: Any) -> Any:
        state, first = super().reset(key)
        return state, first._replace(info={"counted": np.zeros(())})


def unsound(nonfinite_rewards: Any) -> tuple[TrainState, dict[str, Any]]:
    """Two iterations of eight episodes, all kept in replay."""
    env = Unsound(episode_limit=4, most_steps=4)
    run = Run(batch_size_run=8, batch_size=8, buffer_size=16, nonfinite_rewards=nonfinite_rewards)
    return tallied(Trainer(env, Tally(env), Replay(), run), max_iterations=2)


def test_rewards_that_are_not_finite_are_counted_in_a_chunk_and_read_as_0_where_allowed() -> None:
    state, metrics = unsound("zero")
    episodes = state.replay_buffer.episodes
    assert metrics["rewards_nonfinite"].sum() == (episodes.length >= 2).sum() > 0
    assert not episodes.reward[:, 1].any() and np.isfinite(episodes.reward).all()
    assert np.isfinite(metrics["return_mean"]).all()


def test_by_default_they_stay_in_the_chunk_that_is_refused_afterwards() -> None:
    state, metrics = unsound("refuse")
    assert np.isnan(state.replay_buffer.episodes.reward).sum() == metrics["rewards_nonfinite"].sum()


def test_an_outcome_is_the_mean_over_the_episodes_that_tell_it() -> None:
    state, metrics = unsound("zero")
    length = state.replay_buffer.episodes.length[:8]  # of goals up to the limit: the goal itself
    np.testing.assert_allclose(metrics["counted_mean"][0], length[length % 2 == 0].mean(), 1e-6)
