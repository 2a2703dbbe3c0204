"""Publishing a run: what is uploaded and what never is."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import macpo
from macpo.cli import main
from macpo.errors import UsageError
from macpo.experiment import to_dict
from macpo.runs.claim import claimed, is_claimed
from macpo.runs.directory import RunDirectory
from macpo.runs.hub.card import model_card
from macpo.runs.hub.push import to_push
from macpo.runs.hub.server import look_up
from tests.runs.hub.conftest import REPO, content
from tests.support.counting import EXPERIMENT, begin, counting, go_on, interrupted
from tests.support.fake_hub import READ_ONLY, Hub, asked_instead

SMALL_FILES = {
    *("experiment.json", "metrics.jsonl", "absolute.jsonl", "model.safetensors"),
    *("best.safetensors", "learning_curve.png", "episode.gif", "README.md"),
}


def test_a_repository_gets_the_small_files_as_they_are_and_a_card(files: RunDirectory, hub: Hub):
    assert macpo.push(files.path, REPO) == f"{hub.address}/{REPO}"
    held = hub.repos[REPO].files
    assert set(held) == SMALL_FILES
    before = content(files.path)
    assert {name for name in held if held[name] != before[name]} == {"README.md"}
    assert hub.repos[REPO].messages[-1] == f"macpo push {REPO}"
    assert not hub.repos[REPO].private


def test_the_run_is_left_as_it_is(files: RunDirectory, hub: Hub):
    before = content(files.path)
    macpo.push(files.path, REPO)
    assert content(files.path) == before


def test_nothing_tells_of_the_commands_folders_and_notes_of_whoever_trained(tmp_path: Path):
    experiment = macpo.Experiment(env="two-step", run=EXPERIMENT.run)
    secret, console = "/home/me/secret", None
    with counting():
        macpo.train(
            experiment,
            tmp_path / "secret-run",
            console=console,
            command_line=["macpo", "train", "--out", secret],
        )
    readme = tmp_path / "secret-run" / "README.md"
    assert secret in readme.read_text()
    readme.write_text(readme.read_text() + "secret notes")
    uploads, notes = to_push(tmp_path / "secret-run", REPO)
    assert [upload.name for upload in uploads if b"secret" in upload.content] == []
    assert notes == []


def test_a_place_that_a_setting_names_is_told_before(tmp_path: Path, files: RunDirectory):
    data = json.loads(json.dumps(to_dict(EXPERIMENT)))
    data["env"] = {"name": "smac", "replay_dir": "/home/me/replays"}
    files.experiment.write_text(json.dumps(data))
    _, notes = to_push(files.path, REPO)
    assert notes == [
        "experiment.json names '/home/me/replays', which whoever reads the repository will see"
    ]


def test_a_private_repository_is_made_private(files: RunDirectory, hub: Hub):
    macpo.push(files.path, REPO, private=True)
    assert hub.repos[REPO].private


def test_the_command_takes_what_the_function_takes(
    files: RunDirectory, hub: Hub, capsys: pytest.CaptureFixture[str]
):
    with pytest.raises(SystemExit) as stop:
        main(["push", str(files.path), REPO, "--private", "--message", "as it was"])
    assert stop.value.code == 0 and hub.repos[REPO].private
    assert hub.repos[REPO].messages[-1] == "as it was"
    assert capsys.readouterr().out.endswith(f"pushed: {hub.address}/{REPO}\n")


def test_nothing_is_uploaded_to_a_public_repository_that_is_to_be_private(
    files: RunDirectory, hub: Hub
):
    hub.publish(REPO, {"mine.txt": b"mine"})
    with pytest.raises(UsageError, match=r"is there already, and is public; make it private"):
        macpo.push(files.path, REPO, private=True)
    assert hub.repos[REPO].files == {"mine.txt": b"mine"} and hub.blobs == {}


def test_another_push_is_another_commit_without_what_the_earlier_run_had_more(
    files: RunDirectory, hub: Hub
):
    hub.publish(REPO, {"mine.txt": b"mine"})
    macpo.push(files.path, REPO)
    for file in (files.best, files.absolute):
        file.unlink()
    macpo.push(files.path, REPO, message="as it was stopped")
    repo = hub.repos[REPO]
    assert repo.messages[-1] == "as it was stopped"
    more = {"best.safetensors", "absolute.jsonl"}
    assert set(repo.files) == (SMALL_FILES - more) | {"mine.txt"}
    assert set(repo.commits[-2]) == SMALL_FILES | {"mine.txt"}


def test_a_stopped_run_is_published_as_one(tmp_path: Path, hub: Hub):
    with counting(lambda chunk: signal.raise_signal(signal.SIGTERM) if chunk == 4 else None):
        begin(tmp_path / "stopped")
    macpo.push(tmp_path / "stopped", REPO)
    card = hub.repos[REPO].files["README.md"].decode()
    assert "Not finished, at 400 of 1,000 env steps." in card


def test_a_run_that_was_killed_is_published_once_its_rows_are_those_of_its_parameters(
    tmp_path: Path, hub: Hub
):
    interrupted(tmp_path / "run", at_chunk=8)  # saved at 500 env steps
    said = r"metrics.jsonl has rows beyond the last checkpoint, .*`macpo resume .*` goes on from it"
    with pytest.raises(UsageError, match=said):
        macpo.push(tmp_path / "run", REPO)
    with pytest.raises(SystemExit) as stop:
        main(["push", str(tmp_path / "run"), REPO, "--dry-run"])
    assert stop.value.code == 2 and hub.asked == []
    with counting():
        go_on(tmp_path / "run")
    macpo.push(tmp_path / "run", REPO)
    assert b"every seed has played 1,000 env steps" in hub.repos[REPO].files["README.md"]


def test_a_run_that_was_killed_at_a_checkpoint_is_published(tmp_path: Path, hub: Hub):
    interrupted(tmp_path / "run", at_chunk=6)
    macpo.push(tmp_path / "run", REPO)
    assert b"Not finished, at 500 of 1,000 env steps." in hub.repos[REPO].files["README.md"]


def test_the_command_uploads_what_it_has_shown_read_while_nobody_can_train(
    files: RunDirectory, hub: Hub, monkeypatch: pytest.MonkeyPatch
):
    seen = list[bool]()

    def told(*arguments: Any) -> str:
        seen.append(is_claimed(files.path))
        return model_card(*arguments)

    monkeypatch.setattr("macpo.runs.hub.push.model_card", told)
    with pytest.raises(SystemExit) as stop:
        main(["push", str(files.path), REPO])
    assert stop.value.code == 0 and set(hub.repos[REPO].files) == SMALL_FILES
    assert seen == [True] and not is_claimed(files.path)


# --- refused --------------------------------------------------------------------------------------


def test_a_run_that_is_going_on_is_refused(files: RunDirectory, hub: Hub):
    with claimed(files.path), pytest.raises(UsageError, match="another process is training in"):
        macpo.push(files.path, REPO)
    assert hub.asked == []


def test_a_run_with_damaged_or_no_parameters_is_refused(files: RunDirectory, hub: Hub):
    files.best.write_bytes(files.best.read_bytes()[:-1])
    with pytest.raises(UsageError, match=r"best.safetensors is damaged"):
        macpo.push(files.path, REPO)
    files.model.unlink()
    with pytest.raises(UsageError, match=r"no model.safetensors: it has not reached a checkpoint"):
        macpo.push(files.path, REPO)
    assert hub.asked == []


def test_a_run_whose_rows_have_been_changed_is_refused(files: RunDirectory, hub: Hub):
    files.metrics.write_bytes(files.metrics.read_bytes().replace(b"-3.5", b"99.5"))
    with pytest.raises(UsageError, match=r"metrics.jsonl is damaged: rows .* have been changed"):
        macpo.push(files.path, REPO)
    assert hub.asked == []


def test_a_link_which_could_publish_any_file_is_refused(
    files: RunDirectory, hub: Hub, tmp_path: Path
):
    (tmp_path / "secret").write_text("secret")
    files.episode.unlink()
    files.episode.symlink_to(tmp_path / "secret")
    with pytest.raises(UsageError, match=r"episode.gif is a link, and links are not published"):
        macpo.push(files.path, REPO)
    assert hub.asked == []


def test_what_is_too_large_is_refused_before_it_is_read(
    files: RunDirectory, hub: Hub, monkeypatch: pytest.MonkeyPatch
):
    os.truncate(files.episode, 2**28 + 1)
    read = Path.read_bytes

    def read_other(file: Path) -> bytes:
        assert file != files.episode
        return read(file)

    monkeypatch.setattr(Path, "read_bytes", read_other)
    said = "episode.gif has 268,435,457 bytes; at most 268,435,456 can be published"
    with pytest.raises(UsageError, match=said):
        macpo.push(files.path, REPO)
    assert hub.asked == []


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
def test_a_pipe_which_nobody_writes_to_is_refused(files: RunDirectory, hub: Hub):
    files.episode.unlink()
    os.mkfifo(files.episode)
    with pytest.raises(
        UsageError, match=r"episode.gif is not a regular file and cannot be published"
    ):
        macpo.push(files.path, REPO)
    assert hub.asked == []


@pytest.mark.parametrize(
    "name",
    ["hunt", "a/b/c", "../hunt", "me/..", "me/a--b", "me/x.git", "", "me/hü", "me/" + "m" * 99],
)
def test_what_is_no_name_of_a_repository_is_refused(name: str, files: RunDirectory, tmp_path: Path):
    with pytest.raises(UsageError, match="is no name of a repository; expected OWNER/NAME"):
        macpo.push(files.path, name)
    with pytest.raises(UsageError, match="is no name of a repository; expected OWNER/NAME"):
        macpo.pull(name, tmp_path / "pulled")


@pytest.mark.parametrize(
    ("token", "repo", "said"),
    [
        (None, REPO, r"there is no token for http.*to push needs one that may write; `hf auth"),
        (READ_ONLY, REPO, r"refuses what your token asks of me/hunt \(you may not write here"),
        (None, "other/hunt", "there is no token for"),
    ],
)
def test_without_a_token_that_may_write_nothing_is_pushed(
    token: str | None, repo: str, said: str, files: RunDirectory, tmp_path: Path
):
    with asked_instead(tmp_path / "home", token) as hub, pytest.raises(UsageError, match=said):
        macpo.push(files.path, repo)
    assert hub.repos == {}


def test_what_somebody_else_commits_meanwhile_is_left_and_told(
    files: RunDirectory, hub: Hub, monkeypatch: pytest.MonkeyPatch
):
    repo = hub.publish(REPO, {"mine.txt": b"mine"})

    def looked_up(*arguments: Any) -> Any:
        found = look_up(*arguments)
        repo.commits.append({"best.safetensors": b"theirs"})
        return found

    monkeypatch.setattr("macpo.runs.hub.push.look_up", looked_up)
    said = f"{REPO} on http.* has got another commit in the meantime; push again"
    with pytest.raises(UsageError, match=said):
        macpo.push(files.path, REPO)
    assert repo.files == {"best.safetensors": b"theirs"}


@pytest.mark.parametrize("at", ["/preupload/", "/large/", "/commit/"])
def test_a_server_that_fails_on_the_way_leaves_the_repository_as_it_was(
    at: str, files: RunDirectory, hub: Hub
):
    hub.publish(REPO, {"mine.txt": b"mine"})
    hub.fails_at = at
    with pytest.raises(UsageError, match=r"failed with HTTP status 500 \(the stand-in fails here"):
        macpo.push(files.path, REPO)
    assert hub.repos[REPO].commits == [{"mine.txt": b"mine"}]
    hub.fails_at = ""
    macpo.push(files.path, REPO)
    assert set(hub.repos[REPO].files) == SMALL_FILES | {"mine.txt"}


def test_how_to_do_without_xet_is_told_where_a_server_has_none(
    files: RunDirectory, hub: Hub, monkeypatch: pytest.MonkeyPatch
):
    def upload(**_: object) -> None:
        raise ConnectionError(f"Request failed: {hub.address}/api/{REPO}/xet-write-token/main")

    monkeypatch.setattr("huggingface_hub._commit_api._upload_xet_files", upload)
    monkeypatch.setattr("huggingface_hub._commit_api.is_xet_available", lambda: True)
    with pytest.raises(UsageError, match=r"where a server has no xet, set HF_HUB_DISABLE_XET=1\.$"):
        macpo.push(files.path, REPO)


def test_without_the_extra_a_sentence_tells_how_to_get_it(
    files: RunDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(UsageError, match=r"macpo push needs huggingface_hub .*macpo\[hub\]'"):
        macpo.push(files.path, REPO)
    with pytest.raises(UsageError, match=r"macpo pull needs huggingface_hub .*macpo\[hub\]'"):
        macpo.pull(REPO, tmp_path / "pulled")


def test_nobody_imports_the_client_who_neither_pushes_nor_pulls():
    code = (
        "import sys; import macpo.cli.sharing, macpo.runs.hub.push, macpo.runs.hub.pull; "
        "print('huggingface_hub' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
