"""Training again and again in one directory: claimed, interrupted at any moment, resumed."""

import errno
import itertools
import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from macpo import machine
from macpo.errors import UsageError
from macpo.runs import arrays, checkpoint, saving, train
from macpo.runs.claim import claimed
from macpo.runs.directory import RunDirectory
from tests.support.counting import (
    EXPERIMENT,
    begin,
    content,
    counting,
    fresh,
    go_on,
    interrupted,
)


@pytest.fixture(autouse=True)
def _counting() -> Iterator[None]:
    with counting():
        yield


@pytest.fixture
def whole(tmp_path: Path) -> dict[str, bytes]:
    """What an uninterrupted run leaves."""
    assert begin(tmp_path / "whole").finished
    return content(tmp_path / "whole")


# --- whose directory it is ------------------------------------------------------------------------


def test_a_folder_with_files_of_the_user_is_left_as_it_is(tmp_path: Path):
    (tmp_path / "README.md").write_text("mine")
    (tmp_path / "metrics.jsonl").write_text("mine too")
    with pytest.raises(UsageError, match=r"already holds metrics\.jsonl, README\.md, which a run"):
        begin(tmp_path)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["README.md", "metrics.jsonl"]
    assert (tmp_path / "README.md").read_text() == "mine"


def test_a_folder_with_other_files_may_become_that_of_a_run(tmp_path: Path):
    (tmp_path / "notes.txt").write_text("mine")
    assert begin(tmp_path).finished
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_runs_without_a_name_that_are_trained_at_once_do_not_share_a_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    others = list[Path]()

    def before(chunk: int) -> None:
        if chunk == 2 and not others:
            others.append(Path())
            others[0] = begin(None).directory

    with counting(before):
        mine = begin(None).directory
    assert content(mine) == content(others[0])
    assert mine != others[0]


@pytest.mark.parametrize("how", ["train", "resume"])
def test_a_directory_where_a_run_is_going_on_is_refused(how: str, tmp_path: Path):
    refusals = list[str]()

    def before(chunk: int) -> None:
        if chunk == 5:
            with pytest.raises(UsageError) as caught:
                begin(tmp_path) if how == "train" else go_on(tmp_path)
            refusals.append(str(caught.value))

    with counting(before):
        assert begin(tmp_path).finished
    (refusal,) = refusals
    assert ("already holds a run" if how == "train" else "another process is training") in refusal


def test_a_directory_that_another_process_has_just_taken_is_refused(tmp_path: Path):
    with claimed(tmp_path), pytest.raises(UsageError, match="another process is training"):
        begin(tmp_path)
    assert not (tmp_path / "experiment.json").exists()


def test_a_run_that_has_come_and_gone_while_another_was_prepared_is_not_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    run, first = tmp_path / "run", list[dict[str, bytes]]()

    def be_slow(*_: object) -> None:
        monkeypatch.setattr(train, "check_memory", lambda *_: None)
        begin(run)
        first.append(content(run))

    monkeypatch.setattr(train, "check_memory", be_slow)
    with pytest.raises(UsageError, match="already holds a run"):
        begin(run, replace(EXPERIMENT, run=replace(EXPERIMENT.run, seed=8)))
    assert [content(run)] == first


# --- where it goes on -----------------------------------------------------------------------------


@pytest.mark.parametrize("at_chunk", [1, 2, 3, 4, 9, 10])
def test_a_run_that_broke_off_ends_as_the_whole_one(
    at_chunk: int, whole: dict[str, bytes], tmp_path: Path
):
    interrupted(tmp_path / "run", at_chunk)
    said = go_on(tmp_path / "run")
    assert ("starting from the beginning" in said) == (at_chunk <= 3)
    assert content(tmp_path / "run") == whole


def test_a_finished_run_makes_its_parameters_again_from_the_checkpoint(
    whole: dict[str, bytes], tmp_path: Path
):
    for damage in (b"", b"nothing", None):
        if damage is None:
            (tmp_path / "whole" / "model.safetensors").unlink()
        else:
            (tmp_path / "whole" / "model.safetensors").write_bytes(damage)
        assert "already at 1,000 of 1,000 env steps" in go_on(tmp_path / "whole")
        assert content(tmp_path / "whole") == whole


def test_fewer_steps_than_are_played_are_refused_and_nothing_is_written(
    whole: dict[str, bytes], tmp_path: Path
):
    with pytest.raises(UsageError, match=r"has already played 1,000 env steps; .* not 100\.$"):
        go_on(tmp_path / "whole", steps=100)
    assert content(tmp_path / "whole") == whole
    assert "already at 1,000 of 1,000" in go_on(tmp_path / "whole", steps=1000)


def test_a_longer_run_goes_on(whole: dict[str, bytes], tmp_path: Path):
    go_on(tmp_path / "whole", steps=1200)
    assert RunDirectory(tmp_path / "whole").read_experiment().run.steps == 1200
    assert content(tmp_path / "whole")["metrics.jsonl"].startswith(whole["metrics.jsonl"])


def test_deleted_checkpoints_do_not_cost_the_rows(whole: dict[str, bytes], tmp_path: Path):
    shutil.rmtree(tmp_path / "whole" / "checkpoints")
    with pytest.raises(UsageError, match="holds no checkpoint, but"):
        go_on(tmp_path / "whole")
    with pytest.raises(UsageError, match="holds no checkpoint, but"):
        go_on(tmp_path / "whole", steps=2000)
    assert content(tmp_path / "whole") == whole


def test_what_is_passed_over_is_told(whole: dict[str, bytes], tmp_path: Path):
    newest = tmp_path / "whole" / "checkpoints" / "000000000010.safetensors"
    newest.write_bytes(newest.read_bytes()[:-1])
    said = go_on(tmp_path / "whole")
    assert f"passed over a checkpoint: {newest} is damaged" in said
    assert content(tmp_path / "whole") == whole


def test_a_run_in_bf16_goes_on_without_units_for_it_and_says_that_it_is_slower(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    has_units = True
    for module in (machine, train):
        monkeypatch.setattr(module, "has_bf16_units", lambda: has_units)
    begin(tmp_path, replace(EXPERIMENT, run=replace(EXPERIMENT.run, precision="bf16")))
    steps = EXPERIMENT.run.steps
    assert "bf16" not in go_on(tmp_path, 2 * steps)
    has_units = False
    assert "updates are slower here (bf16)" in go_on(tmp_path, 3 * steps)


# --- without replay -------------------------------------------------------------------------------


def test_a_run_that_is_not_interrupted_is_the_same_without_replay_in_its_checkpoints(
    whole: dict[str, bytes], tmp_path: Path
):
    run = tmp_path / "run"
    train.train(EXPERIMENT, run, console=Console(quiet=True), save_replay=False)
    assert content(run) == whole


def test_a_run_goes_on_with_an_empty_replay_where_it_was_not_saved(
    whole: dict[str, bytes], tmp_path: Path
):
    class Broken(BaseException): ...

    def before(chunk: int) -> None:
        if chunk == 5:
            raise Broken

    run = tmp_path / "run"
    with counting(before), pytest.raises(Broken):
        train.train(EXPERIMENT, run, console=Console(quiet=True), save_replay=False)
    assert "saved without replay, which is filled anew" in go_on(run)
    rows = [json.loads(line) for line in content(run)["metrics.jsonl"].splitlines()]
    fourth = next(row for row in rows if row["env_steps"] == 400)
    only_fourth = 4 * sum(range(16))  # each chunk adds its number to all places of replay
    assert (fourth["chunks"], fourth["replayed"]) == (4, only_fourth)
    assert content(run)["metrics.jsonl"] != whole["metrics.jsonl"]
    for file in checkpoint.files(run / "checkpoints"):  # as it was begun
        assert "replay_buffer" not in arrays.read(file).arrays


# --- killed at any moment -------------------------------------------------------------------------


def test_a_run_killed_between_any_two_operations_on_files_ends_as_the_whole_one(tmp_path: Path):
    run, moments = tmp_path / "run", list[Path]()
    short = replace(EXPERIMENT, run=replace(EXPERIMENT.run, steps=400))

    def copied_before(operation: Callable[..., Any]) -> Callable[..., Any]:
        def operate(*args: Any, **options: Any) -> Any:
            if run.exists():
                moments.append(tmp_path / f"moment{len(moments)}")
                shutil.copytree(run, moments[-1])
            return operation(*args, **options)

        return operate

    with pytest.MonkeyPatch.context() as patch:
        for owner, name in ((os, "fsync"), (Path, "replace"), (Path, "unlink"), (Path, "mkdir")):
            patch.setattr(owner, name, copied_before(getattr(owner, name)))
        begin(run, short)
    assert len(moments) > 25
    for moment in moments:
        go_on(moment) if (moment / "experiment.json").exists() else begin(moment, short)
        assert content(moment) == content(run), moment.name
        assert not list(moment.rglob("*.tmp"))


def test_a_disk_that_is_full_at_any_moment_is_told_and_costs_nothing(tmp_path: Path):
    short = replace(EXPERIMENT, run=replace(EXPERIMENT.run, steps=400))
    begin(tmp_path / "whole", short)
    n_full, finished = 0, False
    while not finished:
        run, syncs = tmp_path / f"full{n_full}", itertools.count()

        def sync(_: int, last: int = n_full, syncs: Iterator[int] = syncs) -> None:
            if next(syncs) >= last:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "fsync", sync)
            try:
                finished = begin(run, short).finished
            except UsageError as error:
                n_full += 1
                assert f"cannot write {run}/" in str(error)
                assert "No space left on device; free some space" in str(error)
        go_on(run) if (run / "experiment.json").exists() else begin(run, short)
        assert content(run) == content(tmp_path / "whole"), run.name
    assert n_full > 12


def test_parameters_can_be_read_at_any_moment_after_the_first_checkpoint(tmp_path: Path):
    interrupted(tmp_path, at_chunk=5)
    model = saving.read_model(RunDirectory(tmp_path), EXPERIMENT, fresh().learner.params)
    np.testing.assert_array_equal(model["chunks"], [3])


def test_rows_behind_the_last_checkpoint_of_a_finished_run_are_cut(tmp_path: Path):
    with counting():
        begin(tmp_path / "run")
        metrics = tmp_path / "run" / "metrics.jsonl"
        whole = metrics.read_bytes()
        metrics.write_bytes(whole + whole)
        go_on(tmp_path / "run")
        assert metrics.read_bytes() == whole


def test_a_new_run_removes_what_a_killed_one_has_left_half_written(tmp_path: Path):
    leftover = tmp_path / ".experiment.json.99999999.tmp"
    leftover.write_text("{")
    with counting():
        begin(tmp_path)
    assert not leftover.exists()
