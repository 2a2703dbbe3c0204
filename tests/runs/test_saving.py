"""What a run saves: always enough to go on, and never taken for what it is not."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from macpo.errors import UsageError
from macpo.experiment import Experiment, to_dict
from macpo.runs import arrays, checkpoint, saving
from macpo.runs.arrays import EarlierFormat
from macpo.runs.directory import RunDirectory
from macpo.runs.record.jsonl import Extent, extent
from macpo.training.trainer import TrainState
from tests.support.counting import EXPERIMENT, fresh


def state_at(iteration: int) -> TrainState:
    return fresh(100 * iteration)._replace(iteration=np.full(1, iteration, np.int32))


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    """With checkpoints at iterations 3 and 5, after 30 and 50 bytes of 60."""
    files = RunDirectory(tmp_path / "run")
    files.make()
    files.write_experiment(EXPERIMENT)
    checkpoint.begin(files.checkpoints)
    files.metrics.write_bytes(bytes(range(60)))
    for iteration in (3, 5):
        rows = extent(files.metrics, 10 * iteration)
        saving.save(files, EXPERIMENT, state_at(iteration), rows)
    return files


def last_state(run: RunDirectory, experiment: Experiment = EXPERIMENT) -> saving.LastState:
    return saving.last_state(run, experiment, fresh)


def iteration_of(found: saving.LastState) -> int | None:
    return None if found.state is None else int(found.state.iteration[0])


def flip(file: Path, position: int) -> None:
    data = bytearray(file.read_bytes())
    data[position] ^= 1
    file.write_bytes(data)


def newest(run: RunDirectory) -> Path:
    return checkpoint.files(run.checkpoints)[0]


def test_a_run_goes_on_from_its_newest_state_and_the_rows_before_it(run: RunDirectory):
    found = last_state(run)
    assert (iteration_of(found), found.metrics_bytes, found.passed_over) == (5, 50, [])


def test_a_checkpoint_without_replay_is_smaller_and_says_so(run: RunDirectory):
    with_replay = newest(run).stat().st_size
    assert last_state(run).has_replay
    saving.save(run, EXPERIMENT, state_at(6), extent(run.metrics, 60), replay=False)
    assert newest(run).stat().st_size < with_replay
    found = last_state(run)
    assert iteration_of(found) == 6 and not found.has_replay
    assert found.state is not None and found.state.replay_buffer.shape == (1, 16)


# --- damage ---------------------------------------------------------------------------------------


def test_a_checkpoint_of_which_any_bit_has_changed_is_passed_over(run: RunDirectory):
    size = newest(run).stat().st_size
    for position in range(0, size, max(size // 40, 1)):  # also what it says of rows and settings
        flip(newest(run), position)
        found = last_state(run)
        assert (iteration_of(found), found.metrics_bytes) == (3, 30)
        assert len(found.passed_over) == 1 and str(newest(run)) in found.passed_over[0]
        flip(newest(run), position)
    assert iteration_of(last_state(run)) == 5


@pytest.mark.parametrize("position", [30, 49])
def test_a_checkpoint_whose_rows_have_changed_is_passed_over(position: int, run: RunDirectory):
    flip(run.metrics, position)
    found = last_state(run)
    assert (iteration_of(found), found.metrics_bytes) == (3, 30)
    assert "rows in its first 50 bytes have been changed" in found.passed_over[0]


def test_rows_after_the_newest_checkpoint_may_be_damaged(run: RunDirectory):
    flip(run.metrics, 55)
    assert iteration_of(last_state(run)) == 5


def test_a_checkpoint_whose_rows_are_lost_is_passed_over(run: RunDirectory):
    run.metrics.write_bytes(run.metrics.read_bytes()[:40])
    found = last_state(run)
    assert iteration_of(found) == 3
    assert "it has lost rows (40 of 50 bytes)" in found.passed_over[0]


@pytest.mark.parametrize("what", ["rows", "checkpoints", "metrics"])
def test_a_run_of_which_no_state_is_whole_is_refused_with_the_reasons(what: str, run: RunDirectory):
    if what == "rows":
        flip(run.metrics, 0)
    elif what == "metrics":
        run.metrics.unlink()
    else:
        for file in checkpoint.files(run.checkpoints):
            flip(file, -1)
    with pytest.raises(UsageError, match=rf"^{run.path} cannot be continued\. ") as caught:
        last_state(run)
    assert str(caught.value).count("is damaged: ") == 2
    assert str(caught.value).endswith("or train again with `macpo train`.")


def test_earlier_layouts_are_told_from_damage(run: RunDirectory, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(arrays, "FORMAT", arrays.FORMAT + 1)
    with pytest.raises(EarlierFormat):
        last_state(run)


@pytest.mark.parametrize("info", [{}, {"experiment": {}}, {"experiment": 3, "rows": 4}])
def test_a_checkpoint_that_says_too_little_is_passed_over(
    info: dict[str, object], run: RunDirectory
):
    arrays.write(newest(run), state_at(5), info)
    found = last_state(run)
    assert iteration_of(found) == 3
    assert "it does not say" in found.passed_over[0]


# --- lost checkpoints -----------------------------------------------------------------------------


def delete(folder: Path) -> None:
    shutil.rmtree(folder)


def empty(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()


def leave_dangling(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.symlink_to("elsewhere")


def replace_by_a_file(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.touch()


@pytest.mark.parametrize("lose", [delete, empty, leave_dangling, replace_by_a_file])
def test_a_run_that_has_lost_its_checkpoints_is_refused_while_it_has_rows(
    lose: Callable[[Path], None], run: RunDirectory
):
    lose(run.checkpoints)
    with pytest.raises(UsageError, match=r"holds no checkpoint, but metrics\.jsonl has rows"):
        last_state(run)
    assert run.metrics.stat().st_size == 60


def test_without_a_checkpoint_and_without_rows_a_run_starts_from_the_beginning(tmp_path: Path):
    assert last_state(RunDirectory(tmp_path)) == saving.LastState(None, 0, [])
    (tmp_path / "metrics.jsonl").touch()
    assert last_state(RunDirectory(tmp_path)) == saving.LastState(None, 0, [])


def test_rows_before_the_first_checkpoint_are_written_again(tmp_path: Path):
    checkpoint.begin(tmp_path / "checkpoints")
    (tmp_path / "metrics.jsonl").write_text("rows")
    assert last_state(RunDirectory(tmp_path)) == saving.LastState(None, 0, [])


# --- other experiments ----------------------------------------------------------------------------


def test_a_run_may_become_longer_and_nothing_else(run: RunDirectory):
    longer = replace(EXPERIMENT, run=replace(EXPERIMENT.run, steps=2000))
    assert iteration_of(last_state(run, longer)) == 5
    other = replace(EXPERIMENT, run=replace(EXPERIMENT.run, seed=8, steps=2000))
    refusal = r"experiment\.json differs from what was trained \(run\.seed: 0 → 8\); restore it"
    with pytest.raises(UsageError, match=refusal):
        last_state(run, other)
    with pytest.raises(UsageError, match=refusal):
        saving.read_model(run, other, {"chunks": np.zeros(1, np.int32)})


def test_another_experiment_is_no_damage_even_if_its_arrays_are_other_ones(run: RunDirectory):
    other = replace(EXPERIMENT, algorithm=replace(EXPERIMENT.algorithm, gamma=0.5))
    with pytest.raises(UsageError, match=r"algorithm\.gamma: 0\.99 → 0\.5"):
        saving.last_state(run, other, lambda: fresh()._replace(replay_buffer=np.zeros(1)))


def test_settings_that_are_newer_than_a_checkpoint_had_their_defaults(run: RunDirectory):
    saved = json.loads(json.dumps(to_dict(EXPERIMENT)))
    del saved["replay"], saved["run"]["batch_size"]
    info = {"experiment": saved, "rows": extent(run.metrics, 50)}
    arrays.write(newest(run), state_at(5), info)
    assert iteration_of(last_state(run)) == 5


def test_nothing_that_a_checkpoint_names_is_imported(run: RunDirectory):
    saved = json.loads(json.dumps(to_dict(EXPERIMENT)))
    saved["env"] = {"name": "os:system", "options": {"command": "exit"}}
    info = {"experiment": saved, "rows": Extent(0, extent(run.metrics, 0).sha256)}
    arrays.write(newest(run), state_at(5), info)
    with pytest.raises(UsageError, match=r"env\.name: os:system → two-step"):
        last_state(run)


# --- the parameters on their own ------------------------------------------------------------------


def params(run: RunDirectory) -> dict[str, np.ndarray]:
    return saving.read_model(run, EXPERIMENT, {"chunks": np.zeros(1, np.int32)})


def test_the_parameters_are_never_older_than_the_newest_checkpoint(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch
):
    learned = state_at(7)
    chunks = learned.learner._replace(params={"chunks": np.full(1, 7, np.int32)})
    replaced = list[str]()
    monkeypatch.setattr(Path, "replace", lambda _, target: replaced.append(Path(target).name))
    saving.save(run, EXPERIMENT, learned._replace(learner=chunks), extent(run.metrics, 60))
    assert replaced == ["model.safetensors", "000000000007.safetensors"]


def test_parameters_of_which_any_bit_has_changed_are_refused(run: RunDirectory):
    size = run.model.stat().st_size
    for position in range(0, size, max(size // 40, 1)):
        flip(run.model, position)
        with pytest.raises(UsageError, match=r"model\.safetensors is damaged: .* makes it again"):
            params(run)
        flip(run.model, position)
    np.testing.assert_array_equal(params(run)["chunks"], [0])


def test_a_run_without_parameters_says_what_to_do(run: RunDirectory):
    run.model.unlink()
    with pytest.raises(UsageError, match=r"has no model\.safetensors yet.* makes it again"):
        params(run)
