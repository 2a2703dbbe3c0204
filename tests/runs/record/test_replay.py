"""When replay is recorded: evenly, once each, whatever happens to the run, and at no cost to it."""

import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from rich.console import Console

import macpo
from macpo.algorithms.coma import COMA
from macpo.algorithms.fop import FOP
from macpo.algorithms.iql import IQL
from macpo.algorithms.vdn import VDN
from macpo.errors import UsageError
from macpo.runs.directory import RunDirectory
from macpo.runs.record import replay
from macpo.runs.record.moment import (
    About,
    Moment,
    choose,
    every_step,
    moment_files,
    read_moment,
)
from macpo.runs.record.replay import Plan, ReplayRecorder
from macpo.training.trainer import make_trainer
from tests.runs.conftest import SMALL
from tests.runs.record.test_moment import batch
from tests.support.counting import EXPERIMENT, content, counting, go_on
from tests.support.quiet import Quiet

# --- which moments there are ----------------------------------------------------------------------


def test_moments_are_spaced_evenly_over_the_env_steps() -> None:
    plan = Plan(4, 1000)
    passed = [plan.passed(env_steps, 1000) for env_steps in (0, 249, 250, 999, 1000, 1300)]
    assert passed == [0, 0, 1, 3, 4, 4]


def test_a_run_that_is_extended_goes_on_at_the_same_pace() -> None:
    assert Plan(4, 1000).passed(1500, 2000) == 6


@pytest.mark.parametrize("text", ["{", "[]", '{"moments": 0, "steps": 9}', '{"moments": 3}'])
def test_a_damaged_plan_is_refused_in_a_sentence(text: str, tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text(text)
    with pytest.raises(UsageError, match=r"plan\.json"):
        Plan.read(tmp_path)


# --- interrupted and resumed ----------------------------------------------------------------------


@pytest.fixture
def _counting(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Runs are played in no time, and what is recorded says when."""

    def look(self: ReplayRecorder, state: Any, number: int) -> Moment:
        env_steps = int(np.asarray(state.env_steps)[0])
        chunks = int(np.asarray(state.learner.params["chunks"])[0])
        about = About(number, 7, env_steps, chunks, "macpo", "|δ|", "", 2, 4, ("bellman",))
        return Moment(about, *choose(batch(), every_step(batch())))

    def init(self: ReplayRecorder, experiment: Any, trainer: Any, plan: Plan) -> None:
        self.experiment, self.plan = experiment, plan

    monkeypatch.setattr(ReplayRecorder, "__init__", init)
    monkeypatch.setattr(ReplayRecorder, "_look", look)
    with counting():
        yield


def recording(directory: Path, moments: int = 4) -> None:
    macpo.train(EXPERIMENT, directory, console=Console(quiet=True), record_weights=moments)


def recorded(directory: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in moment_files(directory / "replay")}


def moments(directory: Path) -> list[tuple[int, int]]:
    """(number, env steps) of each."""
    found = [read_moment(file).about for file in moment_files(directory / "replay")]
    return [(about.number, about.env_steps) for about in found]


@pytest.mark.usefixtures("_counting")
def test_a_moment_is_taken_at_the_end_of_the_chunk_in_which_it_falls(tmp_path: Path) -> None:
    recording(tmp_path / "run")
    assert moments(tmp_path / "run") == [(1, 300), (2, 500), (3, 800), (4, 1000)]


@pytest.mark.usefixtures("_counting")
def test_of_moments_that_fall_into_one_chunk_the_last_is_taken(tmp_path: Path) -> None:
    recording(tmp_path / "run", moments=20)  # chunks are of 100 env steps
    assert moments(tmp_path / "run") == [(2 * i, 100 * i) for i in range(1, 11)]


@pytest.mark.parametrize("at_chunk", range(1, 11))
@pytest.mark.usefixtures("_counting")
def test_a_run_that_was_killed_has_every_moment_once_in_the_end(
    at_chunk: int, tmp_path: Path
) -> None:
    class Killed(BaseException): ...

    def before(chunk: int) -> None:
        if chunk == at_chunk:
            raise Killed

    recording(tmp_path / "whole")
    with counting(before), pytest.raises(Killed):
        recording(tmp_path / "run")
    go_on(tmp_path / "run")  # plays from the last checkpoint: some moments for the second time
    assert recorded(tmp_path / "run") == recorded(tmp_path / "whole")
    assert content(tmp_path / "run") == content(tmp_path / "whole")


@pytest.mark.usefixtures("_counting")
def test_a_moment_half_written_by_a_killed_process_is_removed(tmp_path: Path) -> None:
    recording(tmp_path / "run")
    leftover = tmp_path / "run" / "replay" / ".0005.safetensors.123.tmp"
    leftover.write_bytes(b"half")
    go_on(tmp_path / "run", steps=1500)
    assert not leftover.exists()
    assert moments(tmp_path / "run")[4:] == [(5, 1300), (6, 1500)]


@pytest.mark.usefixtures("_counting")
def test_a_run_without_a_plan_records_nothing_when_it_is_resumed(tmp_path: Path) -> None:
    recording(tmp_path / "run", moments=0)
    go_on(tmp_path / "run", steps=1500)
    assert not (tmp_path / "run" / "replay").exists()


@pytest.mark.usefixtures("_counting")
def test_a_disk_that_refuses_a_moment_costs_the_record_and_not_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(file: Path, moment: Moment) -> None:
        raise UsageError(f"cannot write {file}: No space left on device.")

    monkeypatch.setattr(replay, "write_moment", refuse)
    console = Console(file=io.StringIO(), width=400, record=True)
    assert macpo.train(EXPERIMENT, tmp_path / "run", console=console, record_weights=4).finished
    told = "replay is not recorded any more: cannot write"
    assert console.export_text().count(told) == 1


def test_a_folder_with_a_recording_is_not_taken_for_a_new_run(tmp_path: Path) -> None:
    (tmp_path / "replay").mkdir()
    with pytest.raises(UsageError, match="already holds replay"):
        RunDirectory(tmp_path).require_unused()


# --- what is refused ------------------------------------------------------------------------------


def refused(experiment: macpo.Experiment, tmp_path: Path, moments: int = 3) -> str:
    """The sentence with which a recording is refused, before anything is made."""
    with pytest.raises(UsageError) as caught:
        console = Console(quiet=True)
        macpo.train(experiment, tmp_path / "run", console=console, record_weights=moments)
    assert not (tmp_path / "run").exists()
    return str(caught.value)


def test_an_algorithm_without_replay_has_none_to_record(tmp_path: Path) -> None:
    experiment = macpo.Experiment(env=SMALL.env, algorithm=COMA(rnn_hidden_dim=8))
    assert "coma learns on-policy" in refused(experiment, tmp_path)


@pytest.mark.parametrize("moments", [-1, 101])
def test_the_number_of_moments_is_bounded(moments: int, tmp_path: Path) -> None:
    said = refused(SMALL, tmp_path, moments)
    assert said == f"record_weights must be between 0 and 100, not {moments}."


def test_a_learner_that_hides_its_weights_is_refused(tmp_path: Path) -> None:
    experiment = replace(SMALL, algorithm=Quiet(rnn_hidden_dim=8))
    assert "hand on the metrics" in refused(experiment, tmp_path)


# --- what is recorded -----------------------------------------------------------------------------

RUN = replace(SMALL.run, steps=900, checkpoint_interval=300, seeds=2, seed=5)
SHORT = replace(
    SMALL,
    algorithm=VDN(rnn_hidden_dim=8, central_mixing_embed_dim=8),
    weighting="macpo",
    run=RUN,
)


def test_a_recorded_run_has_the_same_bytes_as_one_that_is_not(tmp_path: Path) -> None:
    for name, moments in (("plain", 0), ("taped", 3)):
        macpo.train(SHORT, tmp_path / name, console=Console(quiet=True), record_weights=moments)
    plain, taped = (
        {file.relative_to(tmp_path / name): file.read_bytes() for file in files(tmp_path / name)}
        for name in ("plain", "taped")
    )
    assert plain == taped
    plan = json.loads((tmp_path / "taped" / "replay" / "plan.json").read_text())
    assert plan == {"moments": 3, "steps": 900}

    whole = recorded(tmp_path / "taped")
    assert list(whole) == ["0001.safetensors", "0002.safetensors", "0003.safetensors"]
    check(read_moment(tmp_path / "taped" / "replay" / "0003.safetensors"))

    # killed after two thirds of its env steps
    (tmp_path / "taped" / "replay" / "0003.safetensors").unlink()
    max((tmp_path / "taped" / "checkpoints").glob("*.safetensors")).unlink()
    macpo.resume(tmp_path / "taped", console=Console(quiet=True))
    assert recorded(tmp_path / "taped") == whole


def files(run: Path) -> list[Path]:
    """Those that must be the same in equal runs."""
    names = ("metrics.jsonl", "experiment.json", "model.safetensors")
    return [*(run / name for name in names), *(run / "checkpoints").iterdir()]


def check(moment: Moment) -> None:
    """What holds of every moment of MAC-PO's weights."""
    about, steps = moment.about, moment.steps
    assert about.factors == ("bellman", "value", "joint")
    assert (about.number, about.n_episodes) == (3, SMALL.run.batch_size)
    assert about.seed == 5  # the first of two
    bellman, value, joint = np.exp(steps.log_factors.T)
    assert bellman == pytest.approx(np.abs(steps.q - steps.target), rel=1e-4)
    assert value == pytest.approx(np.exp(-np.abs(steps.q - steps.q_star)), rel=1e-4)
    assert ((joint >= 1) & (joint <= 2)).all()
    assert np.exp(steps.log_raw) == pytest.approx(bellman * value * joint, rel=1e-4)
    assert about.n_steps == len(steps.weight)  # a small batch is kept whole
    assert steps.weight.mean() == pytest.approx(1, rel=1e-4)
    cells, prey = moment.listed.states
    assert cells.shape == prey.shape == (len(moment.listed.place), 2, 2)


@pytest.mark.parametrize(
    ("algorithm", "part", "n"),
    [
        (IQL(rnn_hidden_dim=8, central_mixing_embed_dim=8), "agent", 2),
        pytest.param(FOP(rnn_hidden_dim=8), "critic", 2, marks=pytest.mark.slow),
    ],
)
def test_agents_and_critics_with_errors_of_their_own_are_told_apart(
    algorithm: Any, part: str, n: int
) -> None:
    experiment = replace(SMALL, env="two-step", algorithm=algorithm, weighting="per")
    trainer = make_trainer(experiment)
    recorder = ReplayRecorder.planned(experiment, trainer, 1)
    assert recorder is not None
    state = trainer.init()
    key = jax.random.key(0)
    played = trainer.compiled_play(state.learner.params, key, 16, 1.0, True).episodes
    state = trainer.fill(state, played)
    moment = recorder._look(state, 1)  # pyright: ignore[reportPrivateUsage]
    about, steps = moment.about, moment.steps
    assert about.part == part
    assert set(steps.part.tolist()) == set(range(n))
    lengths = np.bincount(steps.episode) / n
    for episode, length in enumerate(lengths):  # every episode has each of its steps for each part
        of = steps.episode == episode
        assert sorted(steps.step[of].tolist()) == sorted(list(range(int(length))) * n)


def test_a_host_environment_is_recorded_too(tmp_path: Path) -> None:
    env = "tests.support.host_environments:HostCounting"
    run, algorithm = replace(SMALL.run, steps=150, batch_size=4), VDN(rnn_hidden_dim=8)
    experiment = replace(SMALL, env=env, algorithm=algorithm, run=run)
    macpo.train(experiment, tmp_path / "run", console=Console(quiet=True), record_weights=2)
    *_, file = moment_files(tmp_path / "run" / "replay")
    moment = read_moment(file)
    obs, state, available = moment.listed.states
    assert available.dtype == bool
    assert (obs[:, 1] - obs[:, 0] == 1).all()  # the clock that agents see goes on by one
    assert state.shape == (len(moment.listed.place), 2, 1)
