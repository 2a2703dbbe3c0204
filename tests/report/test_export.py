"""Results written for other programs, and read back."""

import json
from pathlib import Path

import numpy as np
import pytest

from macpo.cli import main
from macpo.errors import UsageError
from macpo.report.collection import Task, collect
from macpo.report.export import task_name, write_marl_eval
from macpo.report.score import final_score
from tests.support.synthetic_runs import write_runs


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    write_runs(tmp_path / "runs", n_seeds=2, n_evaluations=4, punishment=-2)
    write_runs(tmp_path / "runs" / "zero", n_seeds=1, n_evaluations=4, punishment=0)
    return tmp_path / "runs"


def test_the_tree_is_that_of_marl_eval(runs: Path, tmp_path: Path):
    file = tmp_path / "results.json"
    collection = collect([runs])
    assert write_marl_eval(collection, file) == []
    tree = json.loads(file.read_text())
    assert {*tree} == {"predator-prey"} and {*tree["predator-prey"]} == {"punishment=-2", "default"}
    algorithms = tree["predator-prey"]["punishment=-2"]
    assert {*algorithms} == {"qmix · macpo", "qmix · uniform"}
    run = algorithms["qmix · macpo"]["seed_1"]
    assert [*run] == ["step_0", "step_1", "step_2", "step_3", "absolute_metrics"]
    curve = collection.seeds[0, 0][1].evaluations["test_return_mean"]
    assert run["step_2"]["step_count"] == 30_000
    assert run["step_2"]["test_return_mean"] == [curve.values[2]]
    assert run["absolute_metrics"]["test_return_mean"] == [final_score(curve)]


def test_absolute_metrics_are_those_of_the_run_where_it_has_them(runs: Path, tmp_path: Path):
    absolute = {"kind": "absolute", "seed": 1, "env_steps": 20_000, "test_return_mean": 7.5}
    (runs / "macpo-seed1" / "absolute.jsonl").write_text(json.dumps(absolute) + "\n")
    write_marl_eval(collect([runs]), tmp_path / "results.json")
    tree = json.loads((tmp_path / "results.json").read_text())
    run = tree["predator-prey"]["punishment=-2"]["qmix · macpo"]["seed_1"]
    assert run["absolute_metrics"]["test_return_mean"] == [7.5]


def test_what_is_read_back_is_what_was_written(runs: Path, tmp_path: Path):
    file = tmp_path / "results.json"
    before = collect([runs])
    write_marl_eval(before, file)
    after = collect([file])
    assert [task.settings for task in after.tasks] == [task.settings for task in before.tasks]
    assert after.seeds.keys() == before.seeds.keys()
    for place, seeds in before.seeds.items():
        for old, new in zip(seeds, after.seeds[place], strict=True):
            assert (new.seed, new.env_steps) == (old.seed, old.env_steps)
            for metric, curve in old.evaluations.items():
                np.testing.assert_array_equal(new.evaluations[metric], curve)


def test_runs_of_a_task_have_equally_many_steps(runs: Path, tmp_path: Path):
    write_runs(tmp_path / "short", ["per"], n_seeds=1, n_evaluations=3, punishment=0)
    file = tmp_path / "results.json"
    (note,) = write_marl_eval(collect([runs, tmp_path / "short"]), file)
    assert "3 to 4 evaluations" in note and "punishment=0" in note
    tasks = json.loads(file.read_text())["predator-prey"]
    assert {len(run) for runs in tasks["default"].values() for run in runs.values()} == {3 + 1}
    assert {len(run) for runs in tasks["punishment=-2"].values() for run in runs.values()} == {5}


def test_names_have_no_commas(runs: Path, tmp_path: Path):
    experiment = runs / "macpo-seed0" / "experiment.json"
    data = json.loads(experiment.read_text())
    data["algorithm"]["lr"] = 0.5
    experiment.write_text(json.dumps(data))
    file = tmp_path / "results.json"
    write_marl_eval(collect([runs]), file)
    names = {*json.loads(file.read_text())["predator-prey"]["punishment=-2"]}
    assert names == {"qmix · macpo lr=0.5", "qmix · macpo lr=0.001", "qmix · uniform"}


def test_the_map_is_always_in_the_name_of_a_battle():
    assert task_name(Task("", {"env.name": "smac", "env.map": "MMM2", "env.difficulty": "7"})) == (
        "map=MMM2"
    )


def test_of_an_environment_that_is_not_registered_every_setting_is_named():
    assert task_name(Task("", {"env.name": "mine:Config", "env.size": 3})) == "size=3"


def test_without_an_evaluation_there_is_nothing_to_write(runs: Path, tmp_path: Path):
    for file in runs.rglob("metrics.jsonl"):
        lines = file.read_text().splitlines(keepends=True)
        file.write_text("".join(line for line in lines if '"train"' in line))
    with pytest.raises(UsageError, match="nothing has been evaluated yet"):
        write_marl_eval(collect([runs]), tmp_path / "results.json")
    assert not (tmp_path / "results.json").exists()


def test_the_command_writes_the_file(runs: Path, tmp_path: Path):
    file = tmp_path / "results.json"
    with pytest.raises(SystemExit) as stop:
        main(["export", str(runs), "--marl-eval", str(file)])
    assert stop.value.code == 0 and json.loads(file.read_text())
