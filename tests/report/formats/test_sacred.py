"""Runs of PyMARL and EPyMARL, as sacred recorded them."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from macpo.errors import UsageError
from macpo.report.collection import collect
from macpo.report.formats import sacred
from macpo.report.places import signature
from macpo.report.seeds import TrainedSeed
from tests.support.synthetic_runs import write_runs

CONFIG = {
    "name": "qmix",
    "seed": 7,
    "env": "stag_hunt",
    "env_args": {"miscapture_punishment": -2, "world_shape": [10, 10], "seed": 7},
    "lr": 0.0005,
    "t_max": 100,
    "label": "monday",
}
INFO = {
    "test_return_mean": [1.5, {"dtype": "float64", "py/object": "numpy.float64", "value": 2.5}],
    "test_return_mean_T": [100, 200],
    "return_mean": [9.0],
    "return_mean_T": [50],
}
METRICS = {
    "test_return_mean": {"steps": [100, 200], "timestamps": ["a", "b"], "values": [1.5, 2.5]},
    "loss": {"steps": [50], "values": [3.0]},
}


def write(folder: Path, *, config: Any = CONFIG, **files: Any) -> Path:
    """A sacred run with these files besides its settings."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in {"config": config, **files}.items():
        text = data if isinstance(data, str) else json.dumps(data)
        (folder / f"{name}.json").write_text(text)
    return folder


def read(place: Path) -> TrainedSeed:
    (seed,) = sacred.read(place)
    return seed


@pytest.mark.parametrize(
    "files", [{"info": INFO}, {"metrics": METRICS}, {"info": {}, "metrics": METRICS}]
)
def test_the_evaluations_are_read_from_either_file(tmp_path: Path, files: Mapping[str, Any]):
    seed = read(write(tmp_path, **files))
    assert {*seed.evaluations} == {"test_return_mean"}
    curve = seed.evaluations["test_return_mean"]
    assert curve.env_steps.tolist() == [100, 200] and curve.values.tolist() == [1.5, 2.5]
    assert (seed.seed, seed.env_steps) == (7, 200)


def test_a_file_that_was_cut_off_is_made_up_for_by_the_other(tmp_path: Path):
    place = write(tmp_path, info=json.dumps(INFO)[:40], metrics=METRICS)
    assert read(place).env_steps == 200
    place = write(tmp_path, info=INFO, metrics=json.dumps(METRICS)[:40])
    assert read(place).env_steps == 200


def test_old_results_stand_on_the_same_task_as_ours(tmp_path: Path):
    write_runs(tmp_path / "ours", ["macpo"], n_seeds=2, punishment=-2)
    for seed in (1, 2):
        config = {**CONFIG, "seed": seed, "label": f"run {seed}"}
        write(tmp_path / "results" / "sacred" / str(seed), config=config, info=INFO)
    collection = collect([tmp_path])
    assert [task.title for task in collection.tasks] == ["predator-prey"]
    assert [method.label for method in collection.methods] == ["qmix · macpo", "qmix · sacred"]
    numbers = {place: [s.seed for s in seeds] for place, seeds in collection.seeds.items()}
    assert numbers == {(0, 0): [0, 1], (0, 1): [1, 2]}


def test_other_settings_make_another_method(tmp_path: Path):
    write(tmp_path / "1", info=INFO)
    write(tmp_path / "2", config={**CONFIG, "lr": 0.001}, info=INFO)
    labels = [method.label for method in collect([tmp_path]).methods]
    assert labels == ["qmix, lr=0.0005", "qmix, lr=0.001"]


@pytest.mark.parametrize(
    ("env", "title"),
    [
        ({"env": "sc2", "env_args": {"map_name": "3m"}}, {"name": "smac", "map": "3m"}),
        (
            {"env": "gymma", "env_args": {"key": "lbf:A", "time_limit": 5}},
            {"name": "lbf:A", "time_limit": 5},
        ),
        ({"env": "mine", "env_args": None}, {"name": "mine"}),
        (
            {"env_args": {"n_agents": 12, "capture_action_conditions": [3, 1]}},
            {"name": "predator-prey", "n_predators": 12, "n_catchers": 3},
        ),
    ],
)
def test_the_environment_is_named_as_here(
    tmp_path: Path, env: Mapping[str, Any], title: Mapping[str, Any]
):
    assert read(write(tmp_path, config={**CONFIG, **env}, info=INFO)).experiment["env"] == title


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"config": [], "info": INFO}, "holds no settings"),
        ({"config": {"seed": "a"}, "info": INFO}, "seed must be a whole number, not 'a'"),
        ({"config": '{"seed"', "info": INFO}, "cannot read the settings of a run"),
        ({"info": {}}, "has not been evaluated yet"),
        ({"info": []}, "holds no metrics"),
        ({"info": json.dumps(INFO)[:50]}, "cannot read the metrics of a run"),
        ({"info": {**INFO, "test_return_mean": ["x", 1]}}, "must be a number, not 'x'"),
        ({"info": {**INFO, "test_return_mean": [{"py/reduce": []}]}}, "must be a number, not None"),
        ({"info": {**INFO, "test_return_mean_T": [-1, 1]}}, "must be a count of env steps"),
    ],
)
def test_what_is_damaged_is_told_with_its_place(
    tmp_path: Path, files: Mapping[str, Any], told: str
):
    with pytest.raises(UsageError, match=told) as error:
        read(write(tmp_path, **files))
    assert str(tmp_path) in str(error.value)


def test_a_watched_report_notices_new_evaluations(tmp_path: Path):
    place = write(tmp_path, info=INFO)
    before = signature([tmp_path])
    assert signature([tmp_path]) == before
    (place / "info.json").write_text(json.dumps({**INFO, "more": 1}))
    assert signature([tmp_path]) != before
