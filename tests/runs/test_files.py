"""Files: whole or not at all, and a disk that refuses is told in a sentence."""

import errno
import os
from pathlib import Path
from typing import Literal

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
        f"cannot write {file}: No space left on device; free some space or choose another place. "
        "Nothing that was saved before is lost."
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


def test_a_file_may_be_written_in_parts(tmp_path: Path):
    files.write_atomically(tmp_path / "model", b"one ", memoryview(b"a two")[2:])
    assert (tmp_path / "model").read_bytes() == b"one two"


def test_a_name_may_be_as_long_as_the_file_system_allows(tmp_path: Path):
    file = tmp_path / ("a" * 251 + ".gif")
    files.write_atomically(file, b"film")
    assert list(tmp_path.iterdir()) == [file]


# --- file systems that cannot sync ----------------------------------------------------------------


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP, errno.ENOSYS])
def test_a_file_system_that_cannot_sync_is_used_all_the_same(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def refuse(_: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", refuse)
    files.write_atomically(tmp_path / "model", b"new")
    assert (tmp_path / "model").read_bytes() == b"new"


def test_a_folder_that_may_only_be_written_is_used_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def refuse(*_: object) -> int:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(os, "open", refuse)  # how the folder is opened, and the file is not
    files.write_atomically(tmp_path / "model", b"new")
    assert (tmp_path / "model").read_bytes() == b"new"


# --- what killed processes leave ------------------------------------------------------------------


def test_leftovers_are_removed_and_nothing_else_is(tmp_path: Path):
    leftovers = [".model.12.tmp", ".other.7.tmp"]
    kept = ["model", ".model.tmp", ".model.x.tmp", "model.12.tmp", ".model"]
    for name in leftovers + kept:
        (tmp_path / name).touch()
    files.remove_leftovers(tmp_path, {"model"})
    assert not (tmp_path / ".model.12.tmp").exists()
    assert (tmp_path / ".other.7.tmp").exists()
    files.remove_leftovers(tmp_path)
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted(kept)


def test_what_a_write_leaves_when_it_is_killed_is_a_leftover(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(Path, "replace", lambda *_: None)
    monkeypatch.setattr(Path, "unlink", lambda *_, **__: None)
    files.write_atomically(tmp_path / "model", b"new")
    assert not (tmp_path / "model").exists() and len(list(tmp_path.iterdir())) == 1
    monkeypatch.undo()
    files.remove_leftovers(tmp_path, {"model"})
    assert list(tmp_path.iterdir()) == []


# --- reading --------------------------------------------------------------------------------------


def test_json_is_written_for_people_to_read_and_comes_back(tmp_path: Path):
    file = tmp_path / "settings.json"
    files.write_json(file, {"steps": 1, "lr": None})
    assert file.read_text() == '{\n  "steps": 1,\n  "lr": null\n}\n'
    assert files.read_json(file, "settings") == {"steps": 1, "lr": None}


@pytest.mark.parametrize(
    "content",
    [None, b"{", b"\xff", b"[" * 100_000, b"9" * 5000],
    ids=["missing", "cut", "bytes", "deep", "huge"],
)
def test_what_cannot_be_read_is_named(content: bytes | None, tmp_path: Path):
    file = tmp_path / "settings.json"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(UsageError) as error:
        files.read_json(file, "settings")
    assert str(error.value).startswith(f"cannot read settings from {file}: ")


def test_a_file_that_the_system_cannot_tell_of_is_none(tmp_path: Path):
    (tmp_path / "there").write_bytes(b"")
    found = [files.is_file(tmp_path / name) for name in ("there", "absent", ".", "x" * 300)]
    assert found == [True, False, False, False]


def test_what_is_in_a_folder_is_told_and_nothing_where_there_is_none(tmp_path: Path):
    (tmp_path / "b").touch()
    (tmp_path / "a").touch()
    assert files.list_directory(tmp_path) == [tmp_path / "a", tmp_path / "b"]
    assert files.list_directory(tmp_path / "a") == []
    assert files.list_directory(tmp_path / "missing") == []


# --- errors of the disk ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "action", "told"),
    [
        (errno.ENOSPC, "write", "cannot write model: No space left on device; free some space or"),
        (errno.EDQUOT, "create", "cannot create model: Disk quota exceeded; free some space or"),
        (errno.EACCES, "write", "cannot write model: Permission denied; change the permissions or"),
        (errno.ENAMETOOLONG, "create", "cannot create model: File name too long; choose a shorter"),
        (errno.EIO, "write", "cannot write model: Input/output error; choose another place"),
        (errno.EACCES, "read", "cannot read model: Permission denied; see that it is there and"),
    ],
)
def test_an_error_of_the_disk_names_the_file_what_was_done_and_what_to_do(
    number: int, action: Literal["write", "create", "read"], told: str
):
    with pytest.raises(UsageError) as error, files.disk_errors(Path("model"), action):
        raise OSError(number, os.strerror(number), "another name")
    assert str(error.value).startswith(told)


def test_other_errors_are_not_those_of_the_disk():
    with pytest.raises(ZeroDivisionError), files.disk_errors(Path("model")):
        raise ZeroDivisionError
