"""The model card: its numbers are those of the run's own files."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from macpo.experiment import Experiment, Run
from macpo.replay import Replay
from macpo.runs.directory import RunDirectory
from macpo.runs.hub.card import model_card
from macpo.runs.hub.push import to_push
from macpo.runs.story import tell
from tests.support.counting import EXPERIMENT, RUN

REPO = "me/hunt"


def card(files: RunDirectory, experiment: Experiment = EXPERIMENT, *held: str) -> str:
    return model_card(files, experiment, REPO, held)


def front_matter(text: str) -> dict[str, Any]:
    """What a hub reads."""
    return yaml.safe_load(text.split("---\n")[1])


def row(seed: int, score: object, **more: object) -> str:
    about = {"kind": "test", "seed": seed, "env_steps": 100, "test_return_mean": score, **more}
    return json.dumps(about) + "\n"


def test_the_numbers_are_those_of_the_records(files: RunDirectory):
    absolute = json.loads(files.absolute.read_text())
    last = [json.loads(line) for line in files.metrics.read_text().splitlines()][-1]
    assert (absolute["test_return_mean"], last["test_return_mean"]) == (1.5, -3.5)
    text = card(files)
    assert "| 7 | 1,000 | -3.50 | 1.50 at 500 | 1.50 |" in text
    (result,) = front_matter(text)["model-index"][0]["results"]
    told = {"type": "mean_reward", "name": "mean_reward, absolute metric", "value": 1.5}
    assert result["metrics"] == [told]


def test_the_results_are_told_as_by_the_runs_own_readme(files: RunDirectory):
    (table,) = (part for part in tell(files, EXPERIMENT).split("\n\n") if part.startswith("| seed"))
    assert table in card(files)


def test_it_says_how_far_the_run_has_come(files: RunDirectory):
    assert "Finished: every seed has played 1,000 env steps.\n" in card(files)


def test_a_run_that_learned_offline_tells_of_its_updates_and_is_repeated_with_its_file(
    tmp_path: Path,
):
    run = Run(steps=0, updates=40)
    offline = Experiment(env="two-step", replay=Replay(from_file="episodes.npz"), run=run)
    files = RunDirectory(tmp_path)
    files.metrics.write_text(row(3, 2.0, env_steps=0, updates=30))
    text = card(files, offline)
    assert "Not finished, at 30 of 40 updates.\n" in text
    assert "| seed | updates |" in text and "| 3 | 30 | 2.00 | 2.00 at 30 | – |" in text
    assert (
        "`macpo train --config runs/hunt/experiment.json --replay.from FILE` repeats the run, "
        "where FILE holds the episodes that its replay began with."
    ) in text
    assert "--replay.from" not in card(files)


def test_a_hub_reads_the_mean_over_seeds_of_their_last_evaluations(tmp_path: Path):
    files = RunDirectory(tmp_path)
    files.metrics.write_text(
        row(3, 9.0) + row(3, 1.0, test_battle_won_mean=0.5) + row(4, 2.0, test_battle_won_mean=0.25)
    )
    (result,) = front_matter(card(files))["model-index"][0]["results"]
    assert result["dataset"] == {"type": "two-step", "name": "two-step"}
    assert {one["name"]: one["value"] for one in result["metrics"]} == {
        "mean_reward, last evaluation": 1.5,
        "win_rate, last evaluation": 0.375,
    }


def test_what_is_no_number_is_not_told_to_a_hub(tmp_path: Path):
    files = RunDirectory(tmp_path)
    files.metrics.write_text(row(3, "nan"))
    about = front_matter(card(files))
    assert "model-index" not in about and "license" not in about
    assert (about["library_name"], about["pipeline_tag"]) == ("macpo", "reinforcement-learning")
    assert about["tags"][-2:] == ["two-step", "qmix"]


def test_a_run_that_was_not_evaluated_says_so(tmp_path: Path):
    assert "It has not been evaluated." in card(RunDirectory(tmp_path))


def test_it_says_how_to_load_what_is_there(files: RunDirectory):
    text = card(files, EXPERIMENT, "episode.gif", "best.safetensors")
    assert "macpo pull me/hunt\nmacpo evaluate runs/hunt\n" in text
    assert "macpo evaluate runs/hunt --best  #" in text
    assert 'macpo.load(macpo.pull("me/hunt"))' in text
    assert "![episode.gif](episode.gif)" in text and "learning_curve.png" not in text
    assert "--best" not in card(files)


def test_code_that_is_not_registered_needs_trust_and_the_card_says_so(files: RunDirectory):
    experiment = Experiment(env="tests.support.sums:Config", run=RUN)
    text = card(files, experiment)
    assert "macpo evaluate runs/hunt --trust" in text
    assert 'macpo.load(macpo.pull("me/hunt"), trust=True)' in text
    assert front_matter(text)["tags"][-2] == "tests.support.sums:Config"


def test_versions_and_machine_are_told(files: RunDirectory):
    (session,) = json.loads(files.sessions.read_text())
    uploads, _ = to_push(files.path, REPO)
    text = uploads[-1].content.decode()
    assert uploads[-1].name == "README.md"
    for name in ("begun", "macpo", "jax", "python", "device"):
        assert session[name] in text


@pytest.mark.parametrize("name", ["sessions.json", "timing.jsonl"])
def test_a_run_that_keeps_no_record_of_its_sessions_has_a_card(name: str, files: RunDirectory):
    (files.path / name).unlink()
    assert "## How it was trained" in card(files)
