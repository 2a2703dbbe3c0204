"""Episodes that workers play: those of a plain loop, whoever plays them and whatever goes wrong."""

import functools
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from macpo import registry
from macpo.algorithms.vdn import Config as Vdn
from macpo.envs.host_stub import HostEnvStub
from macpo.errors import UsageError
from macpo.experiment import Run
from macpo.replay import buffer
from macpo.replay.priority import Replay
from macpo.training.host.player import HostPlayer
from macpo.training.host.pool import Pool, Workers
from macpo.training.trainer import Trainer
from macpo.types import Observation, Rollout
from macpo.weighting.uniform import Config as Uniform
from tests.support.sums import Config, Sums

N, EPSILON, KEY = 6, jnp.asarray(0.5), jax.random.key(3)
SPEC = Config().make().spec


def pool_of(config: Config | None = None, **workers: Any) -> Pool:
    config = config or Config()
    part = {"name": "tests.support.sums:Config", **asdict(config)}
    return Pool(part, config.make().spec, N, Workers(**{"count": 2, **workers}))


@functools.cache
def trainer(name: str = "vdn", **run: Any) -> Trainer:
    env = HostEnvStub(SPEC)
    small = {"rnn_hidden_dim": 8}
    config = Vdn(**small) if name == "vdn" else registry.make_config("algorithms", name)
    return Trainer(env, config.make(env, Uniform()), Replay(), Run(**run))


@functools.cache
def params(name: str = "vdn") -> Any:
    return trainer(name).algorithm.init(jax.random.key(1)).params


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    with pool_of() as pool:
        yield pool


@pytest.fixture(scope="module")
def player(pool: Pool) -> HostPlayer:
    return HostPlayer(trainer(), pool)


@pytest.fixture(scope="module")
def played(player: HostPlayer) -> Rollout:
    return player.collect(params(), KEY, N, EPSILON)[0]


def assert_same(a: Any, b: Any) -> None:
    jax.tree.map(lambda x, y: np.testing.assert_array_equal(x, y, strict=True), a, b)


def rows(played: Rollout, which: list[int]) -> Any:
    return jax.tree.map(lambda x: x[np.array(which)], played)


# --- what an episode is ---------------------------------------------------------------------------


def in_a_plain_loop(player: HostPlayer) -> list[dict[str, Any]]:
    """The same episodes one after another in this process, with the policy asked for one at a
    time."""
    algorithm, env = trainer().algorithm, Sums(Config())
    act = jax.jit(algorithm.act)
    seeds, keys = player._begin(KEY, np.zeros(N, np.int32))
    found = []
    for seed, key in zip(np.asarray(seeds), keys, strict=True):
        timestep, steps = env.reset(int(seed)), []
        hidden, last = algorithm.initial_hidden(1), np.full((1, 2), -1, np.int8)
        timesteps = [timestep]
        while not (timestep.terminated or timestep.truncated):
            view = Observation(*(x[None] for x in timestep.observation))
            step_key = jax.random.fold_in(key, len(steps))
            hidden, actions = act(params(), step_key, hidden, view, last, EPSILON)
            last = np.asarray(actions)
            timestep = env.step(last[0].astype(np.int64))
            steps.append((last[0], timestep.reward))
            timesteps.append(timestep)
        found.append({"timesteps": timesteps, "steps": steps})
    return found


def test_workers_play_the_episodes_of_a_plain_loop(player: HostPlayer, played: Rollout):
    episodes = played.episodes
    for row, plain in enumerate(in_a_plain_loop(player)):
        length, timesteps = len(plain["steps"]), plain["timesteps"]
        assert episodes.length[row] == length
        for name in Observation._fields:
            stored = getattr(episodes.encoded_state, name)[row, : length + 1]
            shown = [getattr(x.observation, name) for x in timesteps]
            np.testing.assert_array_equal(stored, shown)
        np.testing.assert_array_equal(
            episodes.actions[row, :length], [a for a, _ in plain["steps"]]
        )
        rewards = np.float32([reward for _, reward in plain["steps"]])
        np.testing.assert_array_equal(episodes.reward[row, :length], rewards)
        assert episodes.terminated[row] == timesteps[-1].terminated
        assert {name: x[row] for name, x in played.outcome.items()} == timesteps[-1].info
    assert set(episodes.terminated.tolist()) == {False, True}
    assert len(set(episodes.length.tolist())) > 2


def test_everything_past_the_end_is_zero(played: Rollout):
    length = played.episodes.length[:, None]
    past = np.arange(SPEC.episode_limit) >= length
    behind_final = np.arange(SPEC.episode_limit + 1) > length
    assert not played.episodes.actions[past].any()
    assert not played.episodes.reward[past].any()
    assert not any(x[behind_final].any() for x in played.episodes.encoded_state)


def test_agents_only_do_what_their_own_mask_allows(played: Rollout):
    episodes = played.episodes
    real = np.arange(SPEC.episode_limit) < episodes.length[:, None]
    avail = np.take_along_axis(
        episodes.encoded_state.avail_actions[:, :-1], episodes.actions[..., None].astype(int), -1
    )[..., 0]
    assert avail[real].all()
    assert episodes.actions[..., 1].max() > 2 >= episodes.actions[..., 0].max()


def test_the_shapes_are_those_of_replay(played: Rollout):
    replay_buffer = jax.eval_shape(lambda: buffer.init(trainer().env, N))
    shapes = lambda tree: jax.tree.map(lambda x: (x.shape, np.dtype(x.dtype)), tree)  # noqa: E731
    assert shapes(played.episodes) == shapes(replay_buffer.episodes)


def test_without_encoded_states_everything_else_is_the_same(player: HostPlayer, played: Rollout):
    again, _ = player.collect(params(), KEY, N, EPSILON, keep_states=False)
    assert again.episodes.encoded_state == ()
    bare = played._replace(episodes=played.episodes._replace(encoded_state=()))
    assert_same(again, bare)


def test_a_time_limit_counts_as_an_end_where_the_environment_says_so(played: Rollout):
    with pool_of(Config(truncation_is_terminal=True), count=1) as pool:
        again, _ = HostPlayer(trainer(), pool).collect(params(), KEY, N, EPSILON)
    terminated = np.ones(N, bool)
    assert_same(again, played._replace(episodes=played.episodes._replace(terminated=terminated)))


# --- what it does not depend on -------------------------------------------------------------------


def test_the_number_of_workers_changes_nothing(played: Rollout):
    with pool_of(count=1) as pool:
        assert len(pool.workers) == 1
        again, _ = HostPlayer(trainer(), pool).collect(params(), KEY, N, EPSILON)
    assert_same(again, played)


@pytest.mark.parametrize("fault", ["dies", "hangs", "lost"])
def test_a_lost_episode_is_played_anew_and_counted_and_the_others_stay(
    fault: Any, played: Rollout, tmp_path: Path
):
    config = Config(fault, once=str(tmp_path / "once"))
    with pool_of(config, count=1, timeout=20 if fault == "hangs" else 60) as pool:
        again, n_lost = HostPlayer(trainer(), pool).collect(params(), KEY, N, EPSILON)
    assert n_lost == 1
    unlike = [r for r in range(N) if _differ(rows(again, [r]), rows(played, [r]))]
    assert len(unlike) == 1  # another seed
    (row,) = unlike
    length = again.episodes.length[row]
    assert length >= 2
    assert not again.episodes.reward[row, length:].any()
    np.testing.assert_array_equal(
        again.episodes.encoded_state.obs[row, :, 0, 0][:length], np.arange(length)
    )


def _differ(a: Any, b: Any) -> bool:
    return any((x != y).any() for x, y in zip(*map(jax.tree.leaves, (a, b)), strict=True))


def test_a_reward_that_is_not_finite_ends_the_run_unless_it_is_read_as_0(tmp_path: Path):
    once = Config("nan", once=str(tmp_path / "once"))
    with pool_of(Config("nan"), count=1) as pool, pytest.raises(UsageError) as caught:
        HostPlayer(trainer(), pool).collect(params(), KEY, N, EPSILON)
    assert str(caught.value).startswith("sums paid a reward of nan in step 2 of an episode;")
    with pool_of(once, count=1) as pool:
        allowing = HostPlayer(trainer(nonfinite_rewards="zero"), pool)
        again, _ = allowing.collect(params(), KEY, N, EPSILON)
    assert np.isnan(again.episodes.reward).sum() == 1


# --- learners -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["qmix", "mappo"])
def test_an_algorithm_of_each_family_plays_and_can_learn_from_what_is_played(name: str, pool: Pool):
    config = registry.config_class("algorithms", name)
    sizes = ("batch_size", "batch_size_run", *(["buffer_size"] * config.about.on_policy))
    one = trainer(name, **config.schedule | dict.fromkeys(sizes, N))
    played, _ = HostPlayer(one, pool).collect(params(name), KEY, N, EPSILON)
    assert (played.episodes.length >= 2).all()
    state, metrics = jax.eval_shape(one.learn, one.state_shapes, 0, played.episodes)
    assert jax.tree.leaves(state) and {"return_mean", "loss"} <= set(metrics)
