"""Files of marl-eval, as Mava, BenchMARL and macpo write them."""

import json
from pathlib import Path
from typing import Any

import pytest

from macpo.errors import UsageError
from macpo.report.formats import marl_eval
from macpo.report.seeds import TrainedSeed

RUN = {
    "step_0": {"step_count": 100, "elapsed_time": 5.0, "mean_episode_return": [1.0, 2.0]},
    "step_1": {"step_count": 200, "elapsed_time": 9.0, "mean_episode_return": 4},
    "absolute_metrics": {"mean_episode_return": [9.0]},
}


def write(folder: Path, data: Any) -> Path:
    file = folder / "results.json"
    file.write_text(data if isinstance(data, str) else json.dumps(data))
    return file


def read(file: Path) -> list[TrainedSeed]:
    return list(marl_eval.read(file))


def test_every_run_of_every_task_is_a_seed(tmp_path: Path):
    data = {"Smax": {"3m": {"rec_mappo": {"seed_4": RUN, "seed_5": RUN}}, "8m": {"q": {"x": RUN}}}}
    seeds = read(write(tmp_path, data))
    assert [seed.seed for seed in seeds] == [4, 5, 0]
    assert [seed.experiment["env"]["task"] for seed in seeds] == ["3m", "3m", "8m"]
    assert seeds[0].experiment["algorithm"] == {"name": "rec_mappo"}


def test_a_value_is_the_mean_over_episodes_under_our_name(tmp_path: Path):
    (seed,) = read(write(tmp_path, {"e": {"t": {"a": {"seed_0": RUN}}}}))
    curve = seed.evaluations["test_return_mean"]
    assert curve.env_steps.tolist() == [100, 200] and curve.values.tolist() == [1.5, 4]
    assert {*seed.evaluations} == {"test_return_mean"}


def test_settings_in_the_name_of_a_task_are_settings(tmp_path: Path):
    data = {"predator-prey": {"punishment=-2 n_prey=4": {"a": {"seed_0": RUN}}}}
    (seed,) = read(write(tmp_path, data))
    assert seed.experiment["env"] == {"name": "predator-prey", "punishment": -2, "n_prey": 4}


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ("{", "cannot read marl-eval's results"),
        ([], "expected an object of environments"),
        ({"format": "macpo report 1"}, "expected an object of tasks"),
        ({"e": {"t": {"a": {}}}}, "expected an object of runs"),
        ({"e": {"t": {"a": {"r": {"step_0": 3}}}}}, "a step has no step_count"),
        ({"e": {"t": {"a": {"r": {"absolute_metrics": {}}}}}}, "no evaluations of seed 0 yet"),
        ({"e": {"t": {"a": {"r": {"s": {"step_count": "x"}}}}}}, "step_count must be a number"),
        ({"e": {"t": {"a": {"r": {"s": {"step_count": 1, "m": ["x"]}}}}}}, "m must be a number"),
    ],
)
def test_what_is_damaged_is_told_with_the_file(tmp_path: Path, data: Any, told: str):
    with pytest.raises(UsageError, match=told) as error:
        read(write(tmp_path, data))
    assert "results.json" in str(error.value)
