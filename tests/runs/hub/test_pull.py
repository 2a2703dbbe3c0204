"""Fetching a run: what arrives, and what never does."""

import errno
import fcntl
import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import save

import macpo
from macpo.errors import UsageError
from macpo.experiment import to_dict
from macpo.report.listing import list_runs
from macpo.runs.claim import claimed
from macpo.runs.directory import RunDirectory
from macpo.runs.hub.kept import kept_files
from tests.runs.conftest import SMALL, resume, train
from tests.runs.hub.conftest import REPO, content
from tests.support.counting import EXPERIMENT
from tests.support.fake_hub import LARGE, Hub, asked_instead, sha256


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    """A run with networks that act."""
    short = replace(SMALL, run=replace(SMALL.run, steps=300, checkpoint_interval=300))
    assert train(tmp_path / "trained", short).finished
    return tmp_path / "trained"


@pytest.fixture
def sound(files: RunDirectory) -> dict[str, bytes]:
    """The files that a push of the run uploads, but for the card."""
    names = [one.name for one in kept_files() if one.name != "README.md"]
    return {name: (files.path / name).read_bytes() for name in names}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


def test_what_was_pushed_arrives_bit_for_bit_and_plays_the_same_episodes(
    trained: Path, hub: Hub, here: Path
):
    macpo.push(trained, REPO)
    assert macpo.pull(REPO) == Path("runs/hunt")
    pulled = content(here / "runs" / "hunt")
    assert pulled.pop("checkpoints/dropped")
    assert pulled == hub.repos[REPO].files
    assert [*(here / "runs").iterdir()] == [here / "runs" / "hunt"]
    assert macpo.evaluate("runs/hunt", episodes=8) == macpo.evaluate(trained, episodes=8)
    best = {"episodes": 8, "which": "best"}
    assert macpo.evaluate("runs/hunt", **best) == macpo.evaluate(trained, **best)
    assert macpo.load("runs/hunt").experiment.env == SMALL.env


def test_a_pulled_run_is_listed_as_finished_and_cannot_be_extended(
    files: RunDirectory, hub: Hub, here: Path
):
    macpo.push(files.path, REPO)
    pulled = macpo.pull(REPO)
    (listed,), notes = list_runs(Path("runs"))
    assert (listed.name, listed.state, listed.played, notes) == ("hunt", "finished", 1000, [])
    with pytest.raises(UsageError, match=r"cannot be extended or continued \(a run that was pull"):
        resume(pulled, steps=2000)


def test_an_earlier_revision_is_fetched_by_its_commit(
    files: RunDirectory, sound: dict[str, bytes], hub: Hub, here: Path
):
    repo = hub.publish(REPO, sound)
    repo.commits.append({**sound, "metrics.jsonl": b""})
    assert (macpo.pull(REPO, "new") / "metrics.jsonl").read_bytes() == b""
    old = macpo.pull(REPO, "old", revision=repo.commit_id(0))
    assert (old / "metrics.jsonl").read_bytes() == sound["metrics.jsonl"]
    with pytest.raises(UsageError, match=f"{REPO} on http.* has no revision 'v2'"):
        macpo.pull(REPO, "other", revision="v2")


# --- repositories of strangers --------------------------------------------------------------------


def test_only_files_of_the_expected_names_arrive(sound: dict[str, bytes], hub: Hub, here: Path):
    traps = (
        *("../escaped.json", "/tmp/escaped", "checkpoints/000000000001.safetensors", ".lock"),
        *("model.pkl", "pytorch_model.bin", "conftest.py", "sessions.json", "tracker_id"),
        *("replay/moment.npz", "sub/model.safetensors", "Experiment.json", "experiment.json/x"),
    )
    hub.publish(REPO, {**sound, **dict.fromkeys(traps, b"cos\nsystem\n(S'false'\ntR.")})
    macpo.pull(REPO)
    assert set(content(here)) == {f"runs/hunt/{name}" for name in (*sound, "checkpoints/dropped")}
    asked = [line.rpartition(f"/{hub.repos[REPO].commit_id(0)}/")[2] for line in hub.asked]
    assert set(asked) & set(traps) == set()
    assert not (here.parent / "escaped.json").exists()


@pytest.mark.parametrize("name", ["experiment.json", "model.safetensors"])
def test_a_repository_without_a_run_is_refused(
    name: str, sound: dict[str, bytes], hub: Hub, here: Path
):
    del sound[name]
    hub.publish(REPO, sound)
    with pytest.raises(UsageError, match=f"{REPO} holds no run of macpo: it has no {name}"):
        macpo.pull(REPO)
    assert [*here.iterdir()] == []


def test_a_file_that_is_announced_as_too_large_is_not_asked_for(
    sound: dict[str, bytes], hub: Hub, here: Path
):
    hub.publish(REPO, sound, announced={"experiment.json": 2**20 + 1})
    said = "experiment.json of me/hunt has 1,048,577 bytes; at most 1,048,576 are fetched"
    with pytest.raises(UsageError, match=said):
        macpo.pull(REPO)
    assert len(hub.asked) == 1 and [*here.iterdir()] == []


@pytest.mark.parametrize("name", ["metrics.jsonl", "model.safetensors"])
@pytest.mark.parametrize("wrong", [-1, 1, 5])
def test_a_file_of_another_size_than_announced_is_refused(
    name: str, wrong: int, sound: dict[str, bytes], hub: Hub, here: Path
):
    hub.publish(REPO, sound, announced={name: len(sound[name]) + wrong})
    with pytest.raises(UsageError, match=f"has not sent the {name} of {REPO} that it announces"):
        macpo.pull(REPO)
    assert content(here) == {}


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("model.safetensors", b"cos\nsystem\n.", "model.safetensors is damaged"),
        ("model.safetensors", save({}, {"macpo": "[]"}), "model.safetensors is damaged"),
        ("best.safetensors", save({}), "best.safetensors was written by an earlier layout"),
        ("experiment.json", b"[" * 100_000, "cannot read an experiment from experiment.json"),
    ],
)
def test_a_run_that_is_not_sound_leaves_nothing(
    name: str, data: bytes, said: str, sound: dict[str, bytes], hub: Hub, here: Path
):
    hub.publish(REPO, {**sound, name: data})
    with pytest.raises(UsageError, match=f"{REPO} holds no run that this .* read: {said}"):
        macpo.pull(REPO)
    assert content(here) == {}


def test_what_a_run_names_is_imported_by_neither_pull_nor_evaluate(
    sound: dict[str, bytes], hub: Hub, here: Path
):
    data: Any = json.loads(json.dumps(to_dict(EXPERIMENT)))
    data["env"] = {"name": "os:mkdir", "options": {"path": "sprung"}}
    hub.publish(REPO, {**sound, "experiment.json": json.dumps(data).encode()})
    pulled = macpo.pull(REPO)
    with pytest.raises(UsageError, match=r"'os:mkdir' with .*if you trust whoever wrote it"):
        macpo.evaluate(pulled)
    assert not (here / "sprung").exists()


# --- the directory --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["runs/hunt", "file", "link", ".", ".."])
def test_what_is_there_already_is_left_as_it_is(
    name: str, sound: dict[str, bytes], hub: Hub, here: Path
):
    hub.publish(REPO, sound)
    (here / "runs" / "hunt").mkdir(parents=True)
    (here / "runs" / "hunt" / "mine.txt").write_text("mine")
    (here / "file").write_text("mine")
    (here / "link").symlink_to("nowhere")
    before = content(here)
    with pytest.raises(UsageError, match="exists, and is left as it is; choose another --out"):
        macpo.pull(REPO, name)
    assert content(here) == before and hub.asked == []


def test_an_empty_directory_is_filled(sound: dict[str, bytes], hub: Hub, here: Path):
    hub.publish(REPO, sound)
    (here / "empty").mkdir()
    assert macpo.pull(REPO, "empty") == Path("empty")
    assert set(sound) < set(content(here / "empty"))


def test_a_directory_that_somebody_else_fills_meanwhile_is_theirs(
    sound: dict[str, bytes], hub: Hub, here: Path, monkeypatch: pytest.MonkeyPatch
):
    hub.publish(REPO, sound)

    def fill(*_: object) -> None:
        (here / "out").mkdir()
        (here / "out" / "theirs").write_text("theirs")

    monkeypatch.setattr("macpo.runs.hub.pull._require_sound", fill)
    with pytest.raises(UsageError, match="out exists, and is left as it is"):
        macpo.pull(REPO, "out")
    assert content(here) == {"out/theirs": b"theirs"}


@pytest.mark.parametrize("end", [KeyboardInterrupt, MemoryError])
def test_an_interrupted_pull_leaves_no_half_run(
    end: type[BaseException],
    sound: dict[str, bytes],
    hub: Hub,
    here: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    hub.publish(REPO, sound)

    def stop(handle: int) -> None:
        raise end

    monkeypatch.setattr("macpo.runs.hub.server.sync", stop)
    with pytest.raises(end):
        macpo.pull(REPO)
    assert [*(here / "runs").iterdir()] == []


def killed(folder: Path) -> Path:
    """What a pull that was killed has left."""
    folder.mkdir(parents=True)
    with claimed(folder):
        (folder / "model.safetensors").write_bytes(b"half")
    return folder


def test_what_a_killed_pull_has_left_is_removed_by_the_next_but_not_one_at_work(
    sound: dict[str, bytes], hub: Hub, here: Path
):
    hub.publish(REPO, sound)
    killed(here / "runs" / ".hunt.0123abcd.pull")
    at_work = killed(here / "runs" / ".hunt.0123abce.pull")
    with claimed(at_work):
        macpo.pull(REPO)
    assert {x.name for x in (here / "runs").iterdir()} == {"hunt", at_work.name}


@pytest.mark.parametrize(
    "name", [".hunt.notes.pull", ".hunt.0a.pull", ".hunter.0123abcd.pull", ".hunt.0123ABCD.pull"]
)
def test_folders_that_no_pull_into_this_one_has_made_stay(
    name: str, sound: dict[str, bytes], hub: Hub, here: Path
):
    hub.publish(REPO, sound)
    mine = killed(here / "runs" / name)
    macpo.pull(REPO)
    assert (mine / "model.safetensors").exists()


def test_a_folder_that_another_pull_has_made_and_not_yet_claimed_stays(
    sound: dict[str, bytes], hub: Hub, here: Path
):
    hub.publish(REPO, sound)
    (here / "runs" / ".hunt.0123abcd.pull").mkdir(parents=True)
    macpo.pull(REPO)
    assert (here / "runs" / ".hunt.0123abcd.pull").is_dir()


@pytest.mark.parametrize("locks", ["of no file system", "of no system"])
def test_where_there_are_no_locks_no_folder_is_taken_for_a_dead_one(
    locks: str, sound: dict[str, bytes], hub: Hub, here: Path, monkeypatch: pytest.MonkeyPatch
):
    hub.publish(REPO, sound)
    maybe_at_work = killed(here / "runs" / ".hunt.0123abcd.pull")

    def refuse(*_: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    if locks == "of no system":
        monkeypatch.setitem(sys.modules, "fcntl", None)  # as on Windows
    else:
        monkeypatch.setattr(fcntl, "flock", refuse)
    macpo.pull(REPO)
    assert (maybe_at_work / "model.safetensors").exists()


# --- servers --------------------------------------------------------------------------------------


@pytest.mark.parametrize("token", [None, "hf_tester"])
def test_a_repository_that_is_not_there_is_told(token: str | None, here: Path):
    said = f"shows no repository {REPO}: there is none, or it is private"
    with asked_instead(here / "home", token), pytest.raises(UsageError, match=said):
        macpo.pull(REPO)
    assert [*here.iterdir()] == []


def test_a_private_repository_needs_a_token(sound: dict[str, bytes], here: Path):
    with asked_instead(here / "home", None) as hub:
        hub.publish(REPO, sound, private=True)
        with pytest.raises(UsageError, match=r"needs a token that may read it; `hf auth login`"):
            macpo.pull(REPO)
    with asked_instead(here / "home", "hf_reader") as hub:
        hub.publish(REPO, sound, private=True)
        assert macpo.pull(REPO).is_dir()


@pytest.mark.parametrize("name", ["experiment.json", "best.safetensors", "metrics.jsonl"])
def test_a_server_that_breaks_off_leaves_no_half_run(
    name: str, sound: dict[str, bytes], hub: Hub, here: Path
):
    hub.publish(REPO, sound)
    hub.breaks_at = sha256(sound[name]) if name.endswith(LARGE) else name
    with pytest.raises(UsageError, match=r"cannot be reached, or does not .*RemoteProtocolError"):
        macpo.pull(REPO)
    assert content(here) == {} and [*(here / "runs").iterdir()] == []
    hub.breaks_at = ""
    assert macpo.pull(REPO).is_dir()


def test_a_server_that_fails_is_told(sound: dict[str, bytes], hub: Hub, here: Path):
    hub.publish(REPO, sound)
    hub.fails_at = "/resolve/"
    with pytest.raises(UsageError, match="failed with HTTP status 500"):
        macpo.pull(REPO)
    assert content(here) == {}


def test_a_server_that_is_down_is_told(here: Path, files: RunDirectory):
    from huggingface_hub import constants

    with asked_instead(here / "home"), pytest.MonkeyPatch.context() as patch:
        patch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
        for act in (lambda: macpo.pull(REPO), lambda: macpo.push(files.path, REPO)):
            with pytest.raises(UsageError, match=r"^http://127.0.0.1:9 cannot be reached.*Connect"):
                act()
    assert [*here.iterdir()] == []


def test_offline_nobody_is_asked(here: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(UsageError, match="is not asked while HF_HUB_OFFLINE is set; unset it"):
        macpo.pull(REPO)
    assert hub.asked == []
