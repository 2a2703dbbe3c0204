"""Files: whole or not at all, and a disk that refuses is told in a sentence."""

import errno
import os
from pathlib import Path

import pytest

from macpo.errors import UsageError
from macpo.runs import files


def full(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_file_is_replaced_and_nothing_else_is_left(tmp_path: Path):
    file = tmp_path / "model"
    files.write_atomically(file, b"old")
    files.write_atomically(file, b"new")
    assert file.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_disk_that_is_full_leaves_the_old_file_and_no_other(
    step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    file = tmp_path / "model"
    file.write_bytes(b"old")
    monkeypatch.setattr(*((os, "fsync", full) if step == "fsync" else (Path, "replace", full)))
    with pytest.raises(UsageError) as error:
        files.write_atomically(file, b"new")
    assert str(error.value) == (
        f"cannot write {file}: No space left on device; free some space or choose another place "
        "with --out. Nothing that was saved before is lost."
    )
    assert file.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [file]


def test_an_interruption_leaves_the_old_file_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    file = tmp_path / "model"
    file.write_bytes(b"old")
    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        files.write_atomically(file, b"new")
    assert file.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [file]


def test_a_folder_that_does_not_exist_is_a_usage_error(tmp_path: Path):
    with pytest.raises(UsageError, match=r"cannot write .*: No such file or directory"):
        files.write_atomically(tmp_path / "missing" / "model", b"new")


def test_json_is_written_for_people_to_read_and_comes_back(tmp_path: Path):
    file = tmp_path / "settings.json"
    files.write_json(file, {"steps": 1, "lr": None})
    assert file.read_text() == '{\n  "steps": 1,\n  "lr": null\n}\n'
    assert files.read_json(file, "settings") == {"steps": 1, "lr": None}


@pytest.mark.parametrize("content", [None, "{"], ids=["missing", "no JSON"])
def test_what_cannot_be_read_is_named(content: str | None, tmp_path: Path):
    file = tmp_path / "settings.json"
    if content is not None:
        file.write_text(content)
    with pytest.raises(UsageError) as error:
        files.read_json(file, "settings")
    assert str(error.value).startswith(f"cannot read settings from {file}: ")


def test_an_error_of_the_disk_becomes_a_usage_error_and_no_other_one():
    with pytest.raises(UsageError) as error, files.disk_errors(Path("model")):
        raise OSError("it is on fire")
    assert str(error.value).startswith("cannot write model: it is on fire; free some space")
    with pytest.raises(ZeroDivisionError), files.disk_errors(Path("model")):
        raise ZeroDivisionError
