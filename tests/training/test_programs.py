"""Which trainers share compiled programs, and which do not."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import pytest
from rich.console import Console

import macpo
from macpo.envs.base import Environment
from macpo.envs.host_stub import HostEnvStub
from macpo.runs import film
from macpo.training import programs
from macpo.training.trainer import Trainer, make_trainer
from macpo.types import Spec

RUN = macpo.Run(steps=400, batch_size=4, batch_size_run=2, buffer_size=8, test_nepisode=2)
TINY = macpo.Experiment("two-step", macpo.algorithms.VDN(rnn_hidden_dim=4), run=RUN)
EPISODES = Spec("played by workers", 2, 3, obs_size=4, state_size=4, episode_limit=5)


@pytest.fixture(autouse=True)
def nothing_is_remembered() -> Iterator[None]:
    programs.forget()
    yield
    programs.forget()


def with_run(**settings: Any) -> macpo.Experiment:
    return replace(TINY, run=replace(RUN, **settings))


def share(one: macpo.Experiment, other: macpo.Experiment) -> bool:
    return make_trainer(one).programs is make_trainer(other).programs


LONGER = with_run(seed=7, steps=900, checkpoint_interval=50)


def test_runs_that_differ_in_seed_length_and_checkpoints_share_programs() -> None:
    assert share(TINY, LONGER)
    assert make_trainer(TINY).chunk is make_trainer(LONGER).chunk


def test_programs_that_are_shared_are_the_same() -> None:
    def lowered(trainer: Trainer) -> str:
        jitted: Any = trainer.chunk  # by `jax.jit`
        return jitted.lower(trainer.state_shapes, jnp.array(100), 2).as_text()

    first = lowered(make_trainer(TINY))
    programs.forget()
    assert lowered(make_trainer(LONGER)) == first


def test_each_starts_from_its_own_seed() -> None:
    one, other = make_trainer(TINY).init(), make_trainer(LONGER).init()
    assert (one.seed.item(), other.seed.item()) == (0, 7)
    same = jax.tree.map(lambda x, y: bool((x == y).all()), one.learner.params, other.learner.params)
    assert not any(jax.tree.leaves(same))


@pytest.mark.parametrize(
    "other",
    [
        with_run(batch_size=8),
        with_run(seeds=2),
        with_run(test_interval=100),
        with_run(epsilon_anneal_time=10),
        replace(TINY, algorithm=macpo.algorithms.VDN(rnn_hidden_dim=8)),
        replace(TINY, weighting=macpo.weighting.PER()),
        replace(TINY, env=macpo.envs.MatrixGame()),
        replace(TINY, replay=macpo.Replay(sampling="prioritized")),
    ],
    ids=lambda other: repr(other)[-60:],
)
def test_any_other_setting_makes_other_programs(other: macpo.Experiment) -> None:
    assert not share(TINY, other)
    assert share(other, other)


def test_where_the_end_of_a_run_anneals_beta_its_length_counts() -> None:
    replay = macpo.Replay(sampling="prioritized")
    assert not share(replace(TINY, replay=replay), replace(LONGER, replay=replay))


def test_custom_parts_share_nothing_since_what_they_call_may_have_changed() -> None:
    toy = replace(TINY, env="tests.support.toys:Wide")
    assert not share(toy, toy)


def test_of_an_environment_that_workers_play_the_sizes_count() -> None:
    def of(env: Environment) -> programs.Programs:
        return programs.programs_of(TINY, env)

    assert of(HostEnvStub(EPISODES)) is of(HostEnvStub(EPISODES))
    assert of(HostEnvStub(EPISODES)) is not of(HostEnvStub(replace(EPISODES, n_agents=3)))


def test_a_copy_of_a_trainer_compiles_its_own() -> None:
    trainer = make_trainer(TINY)
    assert replace(trainer, run=with_run(seeds=2).run).programs is not trainer.programs


def test_only_the_latest_kinds_are_remembered() -> None:
    first = make_trainer(TINY).programs
    for size in range(programs.MAX_KINDS):
        make_trainer(with_run(buffer_size=16 + size))
    assert make_trainer(TINY).programs is not first


@contextmanager
def compilations() -> Iterator[list[str]]:
    """The names of what is compiled meanwhile."""
    names, active = list[str](), [True]

    def note(event: str, _: float, fun_name: str = "", **more: Any) -> None:
        if active and event.endswith("backend_compile_duration"):
            names.append(fun_name)

    jax.monitoring.register_event_duration_secs_listener(note)
    yield names
    active.clear()


@pytest.mark.slow
def test_a_run_with_programs_of_another_compiles_nothing_and_writes_what_it_writes_with_its_own(
    tmp_path: Path,
) -> None:
    def metrics(experiment: macpo.Experiment, name: str) -> bytes:
        macpo.train(experiment, tmp_path / name, console=Console(quiet=True))
        return (tmp_path / name / "metrics.jsonl").read_bytes()

    with compilations() as first:
        metrics(TINY, "first")
    with compilations() as second:
        shared = metrics(LONGER, "shared")
    assert first and not second
    programs.forget()
    assert metrics(LONGER, "own") == shared


@pytest.mark.slow
def test_a_second_policy_of_a_kind_is_filmed_without_compiling(tmp_path: Path) -> None:
    for seed in range(2):
        macpo.train(with_run(seed=seed), tmp_path / f"{seed}", console=Console(quiet=True))
    first = film.play(macpo.load(tmp_path / "0"), seed=3)
    with compilations() as names:
        second = film.play(macpo.load(tmp_path / "1"), seed=3)
    assert names == []
    assert len(first.states) == len(second.states) == 3
