"""Dropping checkpoints: of finished runs, and nothing else."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from macpo.errors import UsageError
from macpo.runs import checkpoint
from macpo.runs.claim import claimed
from macpo.runs.cleaning import Freed, clean, to_free
from macpo.runs.directory import RunDirectory
from macpo.runs.train import resume
from tests.support.counting import begin, content, counting, go_on


@pytest.fixture(autouse=True)
def _counting() -> Iterator[None]:
    with counting():
        yield


@pytest.fixture
def files(tmp_path: Path) -> RunDirectory:
    """Of a finished run."""
    begin(tmp_path / "run")
    return RunDirectory(tmp_path / "run")


@pytest.fixture
def stopped(tmp_path: Path) -> RunDirectory:
    """Of a run that a signal has stopped."""
    with counting(lambda chunk: signal.raise_signal(signal.SIGTERM) if chunk == 4 else None):
        begin(tmp_path / "stopped")
    return RunDirectory(tmp_path / "stopped")


def everything(files: RunDirectory) -> dict[str, bytes]:
    """The run's files, but for the empty one of its claim."""
    found = [file for file in sorted(files.path.rglob("*")) if file.is_file()]
    return {str(file.relative_to(files.path)): file.read_bytes() for file in found}


def test_the_checkpoints_of_a_finished_run_are_dropped_and_their_size_is_told(files: RunDirectory):
    sizes = [file.stat().st_size for file in checkpoint.files(files.checkpoints)]
    assert clean(files.path) == Freed(2, sum(sizes))
    assert checkpoint.files(files.checkpoints) == []
    assert clean(files.path) == Freed(0, 0)


def test_nothing_else_is_touched_but_the_readme(files: RunDirectory):
    mine = ("mine.safetensors", "000000000099.txt", "99.safetensors")
    for name in mine:
        (files.checkpoints / name).write_text("mine")
    before = everything(files)
    dropped = {f"checkpoints/{file.name}" for file in checkpoint.files(files.checkpoints)}
    clean(files.path)
    after = everything(files)
    assert set(before) - set(after) == dropped
    assert set(after) - set(before) == {f"checkpoints/{checkpoint.DROPPED}"}
    assert {name for name in before if after.get(name, before[name]) != before[name]} == {
        "README.md"
    }
    assert "checkpoints have been dropped, so that it cannot be extended" in (
        files.readme.read_text()
    )


def test_looking_first_changes_nothing(files: RunDirectory):
    before = everything(files)
    assert to_free(files.path).n_files == 2
    assert everything(files) == before


def test_a_cleaned_run_is_still_finished_and_cannot_be_extended(files: RunDirectory):
    before = content(files.path)
    clean(files.path)
    assert "already finished, and without checkpoints" in go_on(files.path)
    with pytest.raises(UsageError, match="have been dropped, so that it cannot be extended"):
        resume(files.path, steps=2000)
    assert content(files.path) == before


def test_an_unfinished_run_is_refused_without_force(stopped: RunDirectory):
    before = everything(stopped)
    for act in (to_free, clean):
        with pytest.raises(UsageError, match=r"is not finished.*macpo resume .*--force"):
            act(stopped.path)
    assert everything(stopped) == before
    assert clean(stopped.path, force=True).n_files == 2
    assert "it ends here" in stopped.readme.read_text()
    with pytest.raises(UsageError, match="have been dropped"):
        resume(stopped.path)


def test_a_run_that_is_going_on_is_refused(files: RunDirectory):
    with claimed(files.path):
        for act in (to_free, clean):
            with pytest.raises(UsageError, match="process is training in"):
                act(files.path, force=True)
    assert len(checkpoint.files(files.checkpoints)) == 2


def test_checkpoints_that_alone_have_sound_parameters_are_kept(files: RunDirectory):
    files.model.write_bytes(files.model.read_bytes()[:-1])
    with pytest.raises(UsageError, match=r"is damaged: .* Only the checkpoints of .*macpo resume"):
        clean(files.path)
    files.model.unlink()
    with pytest.raises(UsageError, match="Only the checkpoints of"):
        clean(files.path, force=True)
    go_on(files.path)
    assert clean(files.path).n_files == 2


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path):
    with pytest.raises(UsageError, match="is not a run directory"):
        clean(tmp_path)
    assert [*tmp_path.iterdir()] == []


def test_a_run_killed_while_it_is_cleaned_goes_on_from_what_is_left(
    files: RunDirectory, monkeypatch: pytest.MonkeyPatch
):
    newest = checkpoint.files(files.checkpoints)[0]
    unlink = Path.unlink

    def killed(file: Path, missing_ok: bool = False) -> None:
        if file == newest:
            raise KeyboardInterrupt
        unlink(file, missing_ok)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Path, "unlink", killed)
        clean(files.path)
    assert checkpoint.files(files.checkpoints) == [newest]
    go_on(files.path, steps=1200)
    assert not (files.checkpoints / checkpoint.DROPPED).exists()
