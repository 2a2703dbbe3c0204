"""What every algorithm promises; a new file in `macpo/algorithms` is tested without an edit here.

Compilation is nearly all of the time here, so an algorithm's update is compiled once, for batches
of one size that all tests share.
"""

import dataclasses
import functools
import itertools
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from rich.console import Console

import macpo
from macpo import registry
from macpo.cli import main
from macpo.conformance.algorithm import LENGTHS, MAX_EPISODES, PROMISES, SPEC, Subject, batch_of
from macpo.conformance.canvas import Canvas, past_end, scribble
from macpo.conformance.findings import examine
from macpo.errors import UsageError
from macpo.experiment import Experiment, Run
from macpo.learners.base import Algorithm
from macpo.training.trainer import make_trainer
from macpo.types import Episodes, Observation
from macpo.weighting.factors import Factor
from macpo.weighting.weighting import BoltzmannWeighting, Product, Weighting, WeightingOutput
from tests.support.paths import ROOT
from tests.support.weighting_kinds import KINDS

ALGORITHMS = list(registry.discover("algorithms"))
WEIGHTINGS = list(registry.discover("weighting"))
ON_POLICY = [a for a in ALGORITHMS if registry.config_class("algorithms", a).about.on_policy]
WITH_REPLAY = [a for a in ALGORITHMS if a not in ON_POLICY]

KEY = jax.random.key(0)
EPISODES = scribble(SPEC, LENGTHS, [False, True])
SHORTER = (2, 1)


def config(name: str) -> Any:
    """Its configuration with small networks and batches and large steps."""
    fields = registry.config_class("algorithms", name).__dataclass_fields__
    small = {field: 8 for field in fields if field.endswith(("_dim", "_embed"))}
    quick = {field: 3e-3 for field in fields if field == "lr" or field.endswith("_lr")}
    few = {field: 2 for field in fields if field.endswith("_batch_size")}
    return registry.make_config("algorithms", name, **small, **quick, **few)


def make_weighting(name: str) -> Weighting:
    return registry.make_config("weighting", name)


@functools.cache
def subject(name: str) -> Subject:
    """The algorithm, whose update is compiled once for all tests."""
    return Subject(config(name))


def assert_close(actual: Any, expected: Any) -> None:
    """Equal but for the order of additions."""

    def check(x: Any, y: Any) -> None:
        np.testing.assert_allclose(x, y, rtol=1e-3, atol=1e-4 * max(np.abs(y).max(), 1e-3))

    jax.tree.map(check, actual, expected)


every_algorithm = pytest.mark.parametrize("name", ALGORITHMS)
# OW-QMIX's programs are QMIX's with another weighting (`tests/algorithms/test_wqmix.py`)
every_program = pytest.mark.parametrize("name", [name for name in ALGORITHMS if name != "owqmix"])
# values and critics, on-policy and with replay, with all networks and statistics that there are
one_of_each_family = pytest.mark.parametrize("name", ["cwqmix", "coma", "mappo", "dop"])


# --- its promises ---------------------------------------------------------------------------------


@every_program
def test_it_keeps_every_promise(name: str) -> None:
    wrong = {r.title: r.findings for r in examine(PROMISES, subject(name)) if r.findings}
    assert wrong == {}


# --- several seeds --------------------------------------------------------------------------------


@one_of_each_family
def test_seeds_side_by_side_learn_what_each_learns_alone(name: str) -> None:
    learner = subject(name).learner
    keys = jax.random.split(KEY, 2)
    batches = [
        batch_of(learner, scribble(SPEC, lengths, [True, False], seed=i))
        for i, lengths in enumerate([LENGTHS, SHORTER])
    ]
    stack = functools.partial(jax.tree.map, lambda *x: np.stack(x))
    states = [learner.init(key) for key in keys]
    together = jax.jit(jax.vmap(learner.update))(stack(*states), stack(*batches), keys)
    for i, (state, batch, key) in enumerate(zip(states, batches, keys, strict=True)):
        alone = subject(name).compiled_update(state, batch, key)
        assert_close(jax.tree.map(lambda x: np.asarray(x)[i], together), alone)  # noqa: B023


# --- acting ---------------------------------------------------------------------------------------


@every_algorithm
def test_teams_with_hundreds_of_actions_play(name: str) -> None:  # they learn: see the promises
    spec = dataclasses.replace(SPEC, n_actions=300)
    learner = config(name).make(Canvas(spec), make_weighting("uniform"))
    params = jax.eval_shape(learner.init, KEY).params
    obs, state, _ = jax.tree.map(lambda x: x[:, 0], EPISODES.encoded_state)
    seen = Observation(obs, state, jnp.ones((2, spec.n_agents, 300), bool))
    last = jnp.zeros((2, spec.n_agents), jnp.int16)
    _, actions = jax.eval_shape(
        learner.act, params, KEY, learner.initial_hidden(2), seen, last, jnp.array(0.5)
    )
    assert actions.dtype == jnp.int16


class ShowsPolicy(Weighting):
    """A weighting that adds the mean of `pi_taken` to its metrics, as its products do."""

    def apply(self, state: Any, signals: Any) -> WeightingOutput:
        weights, state, metrics = super().apply(state, signals)
        pi_taken = jnp.where(signals.mask[..., None], signals.pi_taken, 0.0)
        mean = pi_taken.sum() / (signals.mask.sum() * pi_taken.shape[-1])
        return WeightingOutput(weights, state, metrics | {"pi_taken_mean": mean})

    def times(self, other: Weighting) -> Weighting:
        return ShowingProduct(**vars(super().times(other)))


@dataclasses.dataclass(frozen=True)
class Showing(ShowsPolicy, BoltzmannWeighting):
    """Uniform weights that need `pi_taken`."""

    policy_temperature: float = 1e-3

    def factors(self) -> tuple[Factor, ...]:
        return (Factor("one", ("pi_taken",), lambda s, xp: 0.0 * s.pi_taken[..., 0]),)


class ShowingProduct(ShowsPolicy, Product):
    """The product of such a weighting and another."""


def played(learner: Algorithm, params: Any, episodes: Episodes) -> Episodes:
    """The episodes with the best actions in the states that they hold."""
    n, actions = len(episodes.length), []
    hidden, last = learner.initial_hidden(n), jnp.full((n, SPEC.n_agents), -1, jnp.int8)
    for t in range(SPEC.episode_limit):
        observation = jax.tree.map(lambda x: x[:, t], episodes.encoded_state)  # noqa: B023
        # in padding nothing is available
        observation = observation._replace(
            avail_actions=observation.avail_actions | (t >= episodes.length)[:, None, None]
        )
        hidden, last = learner.act(params, KEY, hidden, observation, last, None)
        actions.append(last)
    stored = jnp.where(past_end(episodes.reward, LENGTHS)[..., None], 0, jnp.stack(actions, 1))
    return episodes._replace(actions=stored.astype(jnp.int8))


def observed_update(name: str) -> tuple[Algorithm, Any]:
    """The algorithm as one that reports `pi_taken_mean`, and its update."""
    if name in ON_POLICY:
        return subject(name).learner, subject(name).compiled_update
    learner = config(name).make(Canvas(SPEC), Showing())

    @jax.jit
    def observed(*arguments: Any) -> Any:  # all else is not compiled
        _, metrics, _ = learner.update(*arguments)
        return (), {"pi_taken_mean": metrics["pi_taken_mean"]}, ()

    return learner, observed


@every_program
def test_learning_recomputes_the_policy_that_acted(name: str) -> None:
    learner, observed = observed_update(name)
    state = learner.init(KEY)
    state = state._replace(params=subject(name).wild_params)
    episodes = played(learner, state.params, scribble(SPEC, LENGTHS, [False, True], seed=1))
    _, metrics, _ = observed(state, batch_of(learner, episodes), KEY)
    assert metrics["pi_taken_mean"] == pytest.approx(1, abs=1e-3)


# --- every algorithm with every weighting ---------------------------------------------------------


def accepts(name: str, weighting: str) -> bool:
    try:
        config(name).make(Canvas(SPEC), make_weighting(weighting))
    except UsageError:
        return False
    return True


PAIRS = [(a, w) for a, w in itertools.product(WITH_REPLAY, WEIGHTINGS) if accepts(a, w)]


# where every agent has an error of its own, and where a critic's error is weighted
WITH_OTHER_ERRORS = ("iql", "dop")


def demanding_weighting(name: str) -> Weighting:
    """The one that asks for most networks, of a sum also for its derivatives; where errors are
    others, all that ask for anything."""
    if name in WITH_OTHER_ERRORS:
        kinds = [kind for kind in KINDS if (name, kind) in PAIRS]
    else:
        kinds = ["remern-net", *["differ"] * (name == "vdn")]
    return functools.reduce(lambda x, y: x.times(y), map(make_weighting, kinds))


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in WITH_REPLAY if name not in ("qmix", "owqmix")])
def test_an_algorithm_trains_with_what_weightings_ask_for(name: str) -> None:
    # `test_weightings_learn.py` has QMIX with every kind
    learner = config(name).make(Canvas(SPEC), demanding_weighting(name))
    before = state = learner.init(KEY)
    update = jax.jit(learner.update)
    for i in range(2):  # the second one sees what the first has left
        key = jax.random.fold_in(KEY, i)
        state, metrics, td_error_abs = update(state, batch_of(learner, EPISODES), key)
        state = learner.sync_targets(state) if i == 0 else state
        assert all(np.isfinite(x).all() for x in jax.tree.leaves((metrics, td_error_abs)))
    params = jax.device_get((state.params, before.params))
    for path, moved in jax.tree_util.tree_leaves_with_path(
        jax.tree.map(lambda x, y: np.abs(x - y).max(), *params)
    ):
        assert 0 < moved < np.inf, jax.tree_util.keystr(path)


@pytest.mark.parametrize("name", WITH_REPLAY)
def test_an_algorithm_with_replay_refuses_a_weighting_only_by_both_names(name: str) -> None:
    assert (name, "uniform") in PAIRS
    for weighting in {*WEIGHTINGS} - {w for a, w in PAIRS if a == name}:
        with pytest.raises(UsageError, match=rf"(?s){name}.*{weighting}|{weighting}.*{name}"):
            config(name).make(Canvas(SPEC), make_weighting(weighting))


@pytest.mark.parametrize("name", ON_POLICY)
def test_an_algorithm_without_replay_refuses_every_weighting_but_uniform(name: str) -> None:
    for weighting in {*WEIGHTINGS} - {"uniform"}:
        with pytest.raises(UsageError, match=rf"^{name} learns on-policy: .* no replay to weigh"):
            make_trainer(Experiment(env="two-step", algorithm=name, weighting=weighting))


@pytest.mark.parametrize("name", ON_POLICY[:1])
def test_the_command_line_answers_such_a_weighting_with_status_2(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["train", "--algorithm", name, "--weighting", "macpo"])
    assert stopped.value.code == 2
    assert capsys.readouterr().err.startswith(f"macpo: {name} learns on-policy")


# --- whole runs -----------------------------------------------------------------------------------

HALF = 32  # env steps
# What a run saves is one tree, whatever the algorithm: that of each survives (see the promises).


def run(name: str, directory: Path, steps: int) -> Path:
    """A run of the two-step game."""
    settings = Run(
        batch_size_run=4,
        batch_size=4,
        updates_per_iteration=1,
        target_update_interval=8,
        test_interval=16,
        checkpoint_interval=16,
        test_nepisode=2,
        buffer_size=MAX_EPISODES,
        epsilon_anneal_time=HALF,
        steps=steps,
    )
    experiment = Experiment(
        env="two-step", algorithm=config(name), run=settings, weighting="uniform"
    )
    macpo.train(experiment, directory, console=Console(quiet=True))
    return directory


@pytest.mark.slow
@pytest.mark.parametrize("name", ["dop"])  # `tests/runs` has values
def test_a_run_resumed_from_a_checkpoint_is_the_uninterrupted_one_bit_for_bit(
    name: str, tmp_path: Path
) -> None:
    whole, resumed = run(name, tmp_path / "whole", 2 * HALF), run(name, tmp_path / "half", HALF)
    assert len(metrics_of(resumed)) < len(metrics_of(whole))
    macpo.resume(resumed, steps=2 * HALF, console=Console(quiet=True))
    assert metrics_of(resumed) == metrics_of(whole)
    assert (resumed / "model.safetensors").read_bytes() == (
        whole / "model.safetensors"
    ).read_bytes()


def metrics_of(directory: Path) -> bytes:
    return (directory / "metrics.jsonl").read_bytes()


# --- what it says of itself -----------------------------------------------------------------------


def test_the_list_of_algorithms_shows_every_one(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["list", "algorithms"])
    assert stopped.value.code == 0
    names = {line.split()[0] for line in capsys.readouterr().out.splitlines() if line.strip()}
    assert {*registry.discover("algorithms")} <= names


@every_algorithm
def test_its_metrics_are_scalars_that_the_documentation_explains(name: str) -> None:
    explained = (ROOT / "docs" / "metrics.md").read_text()
    for metric, value in subject(name).update(EPISODES).metrics.items():
        assert np.ndim(value) == 0, metric
        assert f"`{metric}`" in explained, metric
