"""Rows and experiments as read from run directories."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from macpo.errors import UsageError
from macpo.report.records import (
    changed_settings,
    read_experiment,
    read_metrics,
    series,
    title,
)
from tests.report.conftest import MakeRun, Row

GOOD = '{"kind": "train", "seed": 0, "env_steps": 8, "loss": 0.5}\n'


def write(directory: Path, text: str | bytes) -> Path:
    data = text if isinstance(text, bytes) else text.encode()
    (directory / "metrics.jsonl").write_bytes(data)
    return directory


def test_rows_come_back_as_written(make_run: MakeRun, two_seeds: list[Row]) -> None:
    assert read_metrics(make_run(two_seeds)) == two_seeds


def test_a_half_written_last_line_is_ignored(tmp_path: Path) -> None:
    rows = read_metrics(write(tmp_path, GOOD + '{"kind": "train", "se'))
    assert [row["loss"] for row in rows] == [0.5]


def test_a_whole_last_line_without_newline_is_not_trusted_either(tmp_path: Path) -> None:
    # 12 may be the beginning of 12345
    assert len(read_metrics(write(tmp_path, GOOD + GOOD.strip()))) == 1


def test_an_empty_file_has_no_rows(tmp_path: Path) -> None:
    assert read_metrics(write(tmp_path, "")) == []


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ('{"kind": "train", "se\n', "is not JSON"),
        ("\n", "is not JSON"),
        (b"\xff\xfe\xfa\n", "is not JSON"),
        ("[1, 2]\n", "is not a row of metrics"),
        ('{"kind": "train", "seed": 0}\n', "is not a row of metrics"),
        ('{"kind": "train", "seed": "0", "env_steps": 8}\n', "is not a row of metrics"),
        ('{"kind": "train", "seed": 0, "env_steps": 8, "loss": null}\n', "not a number"),
        ('{"kind": "train", "seed": 0, "env_steps": 8, "loss": "big"}\n', "not a number"),
        ("[" * 100_000 + "\n", "it is nested too deep"),
        (f'{{"kind": "train", "seed": 0, "env_steps": {10**400}}}\n', "beyond 64 bits"),
        (f'{{"kind": "train", "seed": 0, "env_steps": 8, "loss": {10**400}}}\n', "beyond 64 bits"),
        (f'{{"kind": "train", "seed": 0, "env_steps": {"9" * 5000}}}\n', "is not JSON"),
    ],
    ids=range(12),
)
def test_a_broken_line_is_named(tmp_path: Path, line: str | bytes, complaint: str) -> None:
    data = line if isinstance(line, bytes) else line.encode()
    write(tmp_path, GOOD.encode() + data + GOOD.encode())
    with pytest.raises(UsageError, match=rf"line 2 of .*metrics\.jsonl.*{complaint}"):
        read_metrics(tmp_path)


def test_a_missing_file_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot read .*metrics\.jsonl: No such file"):
        read_metrics(tmp_path)


def test_a_series_has_the_steps_and_values_of_each_seed(two_seeds: list[Row]) -> None:
    curves = series(two_seeds, "test", "test_return_mean")
    assert list(curves) == [0, 1]
    np.testing.assert_array_equal(curves[0], ([2000, 4000], [2.0, 4.0]))
    np.testing.assert_array_equal(curves[1], ([2100, 4100], [12.0, 14.0]))


def test_a_series_leaves_out_rows_from_before_the_first_update(two_seeds: list[Row]) -> None:
    steps, values = series(two_seeds, "train", "f_mean")[0]
    np.testing.assert_array_equal(steps, [3000, 4000])
    np.testing.assert_array_equal(values, [1.2, 1.2])


def test_a_series_is_sorted_by_env_steps() -> None:
    rows = [{"kind": "train", "seed": 0, "env_steps": t, "loss": float(t)} for t in (30, 10, 20)]
    np.testing.assert_array_equal(series(rows, "train", "loss")[0][1], [10, 20, 30])


def test_a_metric_that_nobody_recorded_is_an_empty_series(two_seeds: list[Row]) -> None:
    assert series(two_seeds, "train", "nothing") == {}


@pytest.mark.parametrize("value", ['"nan"', "NaN"])
def test_divergence_stays_visible(tmp_path: Path, value: str) -> None:
    write(tmp_path, GOOD.replace("0.5", value))
    steps, values = series(read_metrics(tmp_path), "train", "loss")[0]
    assert steps[0] == 8
    assert math.isnan(values[0])


def test_the_title_names_environment_algorithm_and_weighting(make_run: MakeRun) -> None:
    assert title(read_experiment(make_run([]))) == "predator-prey · qmix · macpo"


def test_settings_that_differ_from_the_defaults_are_told(make_run: MakeRun) -> None:
    assert changed_settings(read_experiment(make_run([], "default"))) == []
    experiment = read_experiment(make_run([], "hard", punishment=-2.0))
    assert changed_settings(experiment) == ["env.punishment -2.0"]


def test_an_experiment_with_a_plugin_that_is_not_installed_still_has_a_title(
    make_run: MakeRun,
) -> None:
    experiment = read_experiment(make_run([]))
    experiment["env"] = {"name": "somebody-elses-game", "size": 3}
    assert title(experiment) == "somebody-elses-game · qmix · macpo"
    assert changed_settings(experiment) == []


@pytest.mark.parametrize("data", [[], {"env": {}}, {"env": 1, "algorithm": {}, "weighting": {}}])
def test_a_file_that_is_no_experiment_is_a_usage_error(tmp_path: Path, data: object) -> None:
    (tmp_path / "experiment.json").write_text(json.dumps(data))
    with pytest.raises(UsageError, match="holds no experiment"):
        read_experiment(tmp_path)


def test_a_directory_without_experiment_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot read an experiment from .*experiment\.json"):
        read_experiment(tmp_path)
