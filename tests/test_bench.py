"""What the bench counts, and that its rows come out."""

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import macpo
from macpo import registry
from macpo.algorithms.qmix import Config as Qmix
from macpo.bench.algorithms import contenders
from macpo.bench.trace import share_outside_networks
from macpo.bench.update import batch_of, full_lengths, typical_lengths, useful_flops
from macpo.experiment import Run
from macpo.nets.action_selection import gather_actions


@pytest.mark.parametrize(("weighting", "gigaflops"), [("macpo", 142.4), ("uniform", 60.1)])
def test_the_useful_arithmetic_of_a_full_update_is_what_the_shapes_say(
    weighting: str, gigaflops: float
):
    env = macpo.make_env("predator-prey")
    learner = Qmix().make(env, macpo.weighting.make(weighting))
    flops = useful_flops(learner, full_lengths(128, 200))
    assert flops / 1e9 == pytest.approx(gigaflops, rel=0.003)


def test_typical_lengths_average_fifty_with_one_episode_at_the_limit():
    lengths = typical_lengths(128, 200)
    assert lengths.mean() == pytest.approx(50, abs=3)
    assert lengths[0] == lengths.max() == 200 and lengths.min() >= 1
    assert (np.diff(lengths) <= 0).all()


def test_a_batch_is_cut_to_the_lengths_asked_for():
    env = macpo.make_env("predator-prey", episode_limit=20)
    batch = batch_of(env, np.array([20, 7, 3], np.int32))
    np.testing.assert_array_equal(batch.length, [20, 7, 3])
    np.testing.assert_array_equal(batch.terminated, [False, True, True])


@pytest.mark.slow
def test_the_bench_writes_its_results_with_the_machine(tmp_path: Path):
    file = tmp_path / "bench.json"
    bench = shlex.split(f"-m macpo bench memory env --rounds 1 --json {file}")
    tests_own = ("XLA_FLAGS", "JAX_COMPILATION_CACHE_DIR")  # measured as a user would
    environment = {name: x for name, x in os.environ.items() if name not in tests_own}
    subprocess.run([sys.executable, *bench], env=environment, check=True, capture_output=True)
    data = json.loads(file.read_text())
    assert {"cpu", "cores", "python", "jax", "macpo"} <= set(data["machine"])
    values = {row["name"]: row["value"] for row in data["results"]}
    assert values["replay, 10,000 full episodes"] < 100  # MB
    assert values["peak memory of a MAC-PO update, full length"] < 1300  # MB
    assert values["environment, 512 parallel"] > values["NumPy reference environment"]


def outside_networks(fn: Callable[[jax.Array], jax.Array]) -> float:
    x = jnp.ones((256, 256))
    compiled = jax.jit(fn).lower(x).compile()
    return share_outside_networks(compiled, lambda: compiled(x))


def test_matrix_products_and_what_comes_from_the_networks_lines_are_inside_them():
    actions = jnp.arange(256) % 7
    assert outside_networks(lambda x: gather_actions(x @ (x @ x), actions)) < 0.1


def test_what_comes_from_other_lines_is_outside_them():
    assert outside_networks(lambda x: jnp.sort(x @ x, axis=0)) > 0.5


def test_every_algorithm_is_timed_at_its_own_batch_and_with_replay_at_the_common_one():
    found = contenders()
    for name, config in registry.discover("algorithms").items():
        sizes = {size for size, names in found.items() if name in names}
        assert Run(**config.schedule).batch_size in sizes
        assert (128 in sizes) == (not config.about.on_policy)
