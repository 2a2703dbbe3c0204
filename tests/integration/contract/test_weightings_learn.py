"""What weightings promise inside the learner; a new file is tested without an edit here."""

import functools
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from macpo import registry
from macpo.algorithms.qmix import Config as Qmix
from macpo.experiment import Run
from macpo.replay.priority import Replay
from macpo.runs import arrays, checkpoint
from macpo.training.trainer import Trainer
from tests.support.toys import Counting
from tests.support.weighting_kinds import KINDS

RUN = Run(
    batch_size_run=4,
    batch_size=4,
    updates_per_iteration=1,
    buffer_size=24,
    target_update_interval=8,
)
FOREVER = jnp.array(10**6)


WITH_PRIORITIES = "macpo-regret"
"""The weighting whose batches are drawn by priority; those of the others are drawn uniformly."""


@functools.cache
def trainer(name: str):
    """Of QMIX with a weighting that has all its running means."""
    env = Counting(episode_limit=5, most_steps=5)
    sizes = {"rnn_hidden_dim": 4, "central_mixing_embed_dim": 4}
    config = Qmix(**sizes, mixing_embed_dim=4, hypernet_embed=4)
    weighting = registry.make_config("weighting", name, normalise="ema")
    replay = Replay(sampling="prioritized" if name == WITH_PRIORITIES else "uniform")
    return Trainer(env, config.make(env, weighting), replay, RUN)


@functools.cache
def learned(name: str) -> tuple[Any, dict[str, np.ndarray]]:
    """The state after six iterations, and their metrics."""
    t = trainer(name)
    halfway, first = t.chunk(t.init(), FOREVER, 3)
    state, then = t.chunk(halfway, FOREVER, 3)
    metrics = {k: np.concatenate([first[k][0], then[k][0]]) for k in first}
    return jax.device_get(state), metrics


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
def test_updates_with_it_change_every_network_and_stay_finite(name: str) -> None:
    before = jax.device_get(trainer(name).init())
    state, metrics = learned(name)
    assert metrics["updates"].tolist() == [1, 2, 3, 4, 5, 6]
    assert all(np.isfinite(x).all() for x in metrics.values())
    assert metrics["weight_n_nonfinite"].max() == 0
    for path, x in jax.tree_util.tree_leaves_with_path(state.learner.params):
        y = functools.reduce(lambda tree, key: _child(tree, key), path, before.learner.params)
        assert np.abs(x - y).max() > 0, jax.tree_util.keystr(path)


def _child(tree: Any, key: Any) -> Any:
    if hasattr(key, "name"):
        return getattr(tree, key.name)
    return tree[key.idx if hasattr(key, "idx") else key.key]


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    ["remern-net", WITH_PRIORITIES],
    ids=["running means and auxiliary networks", "priorities"],
)
def test_a_run_that_was_saved_and_loaded_continues_bit_for_bit(name: str, tmp_path: Path) -> None:
    t = trainer(name)
    state, _ = t.chunk(t.init(), FOREVER, 3)
    saved = arrays.read(checkpoint.save(tmp_path, 3, jax.device_get(state), {}))
    found = saved.tree(t.state_shapes)
    again, _ = t.chunk(jax.device_put(found, t.sharding), FOREVER, 3)
    expected, _ = learned(name)
    jax.tree.map(np.testing.assert_array_equal, jax.device_get(again), expected)


@pytest.mark.slow
def test_prioritised_sampling_updates_what_it_drew_and_uniform_replay_keeps_no_priorities() -> None:
    state, metrics = learned(WITH_PRIORITIES)
    filled = state.priorities.value[0] > 0
    assert filled.all()  # six iterations of four episodes fill all rows
    assert len(np.unique(state.priorities.value[0])) > 4  # errors, not only the first priority
    assert (metrics["importance_min"] <= 1).all() and (metrics["importance_min"] > 0).all()
    untouched, _ = learned("remern-net")
    assert (untouched.priorities.value[0] == 1).all()  # as new episodes get it
