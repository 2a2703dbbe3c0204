"""GitHub's workflows, as far as they can be checked without GitHub."""

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.paths import ROOT

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
TARGETS = set(re.findall(r"^([\w-]+):(?!=)", (ROOT / "Makefile").read_text(), re.M))
WRITES_NOTHING = {"contents": "read"}
every_workflow = pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.name)


def jobs(file: Path) -> dict[str, Any]:
    return yaml.safe_load(file.read_text())["jobs"]


def steps(file: Path) -> list[dict[str, Any]]:
    return [step for job in jobs(file).values() for step in job["steps"]]


def test_there_are_workflows_for_changes_and_for_releases() -> None:
    assert [file.name for file in WORKFLOWS] == ["release.yml", "tests.yml"]


@every_workflow
def test_what_they_run_is_a_target_of_the_makefile(file: Path) -> None:
    called = [step["run"] for step in steps(file) if "run" in step]
    assert called
    for command in called:
        words = re.fullmatch(r"make ([\w-]+)( [A-Z]+=\S+)*", command)
        assert words is not None, command
        assert words[1] in TARGETS


@every_workflow
def test_actions_are_pinned_to_a_major_version(file: Path) -> None:
    used = [step["uses"] for step in steps(file) if "uses" in step]
    assert [
        action for action in used if not re.fullmatch(r"[\w./-]+@(release/)?v\d+", action)
    ] == []


@every_workflow
def test_they_may_read_and_nothing_else_but_for_the_job_that_publishes(file: Path) -> None:
    assert yaml.safe_load(file.read_text())["permissions"] == WRITES_NOTHING
    more = {name: job["permissions"] for name, job in jobs(file).items() if "permissions" in job}
    assert more == ({"publish": {"id-token": "write"}} if file.name == "release.yml" else {})


@every_workflow
def test_no_job_holds_a_secret_or_keeps_the_token_of_its_checkout(file: Path) -> None:
    assert "secrets." not in file.read_text()
    checkouts = [
        step for step in steps(file) if step.get("uses", "").startswith("actions/checkout")
    ]
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


def test_the_job_that_publishes_runs_no_code_of_ours() -> None:
    publish = jobs(ROOT / ".github" / "workflows" / "release.yml")["publish"]
    assert not any("run" in step or "checkout" in step["uses"] for step in publish["steps"])


def test_a_release_is_refused_whose_tag_is_not_its_version(tmp_path: Path) -> None:
    (tmp_path / "dist").mkdir()
    (tmp_path / "dist" / "macpo-0.2.0.tar.gz").touch()
    words = ["make", "--file", ROOT / "Makefile", "tag-fits"]
    for tag, status in {"v0.2.0": 0, "v0.3.0": 2}.items():
        env = {**os.environ, "GITHUB_REF_NAME": tag}
        done = subprocess.run(words, cwd=tmp_path, env=env, capture_output=True, check=False)
        assert done.returncode == status
