"""Charts exported from Weights & Biases."""

from pathlib import Path

import numpy as np
import pytest

from macpo.errors import UsageError
from macpo.report.collection import collect
from macpo.report.formats import wandb
from macpo.report.seeds import TrainedSeed
from tests.support.synthetic_runs import write_runs

CHART = """"Step","qmix_seed0 - test_return_mean","qmix_seed0 - test_return_mean__MIN",\
"qmix_seed1 - test_return_mean"
"100","1.5","1.5",""
"200","2.5","2.5","4"

"300","","","5e0"
"""


def write(folder: Path, text: str = CHART, name: str = "predator-prey, punishment=-2.csv") -> Path:
    file = folder / name
    file.write_text(text)
    return file


def read(file: Path) -> list[TrainedSeed]:
    return list(wandb.read(file))


def test_each_run_has_a_column_and_gaps_where_others_were_logged(tmp_path: Path):
    first, second = (seed.evaluations["test_return_mean"] for seed in read(write(tmp_path)))
    np.testing.assert_array_equal(first, [[100, 200], [1.5, 2.5]])
    np.testing.assert_array_equal(second, [[200, 300], [4, 5]])


def test_seeds_are_found_in_the_names_of_runs_and_the_task_in_that_of_the_file(tmp_path: Path):
    write_runs(tmp_path / "ours", ["macpo"], n_seeds=1, punishment=-2)
    collection = collect([tmp_path / "ours", write(tmp_path)])
    assert [task.title for task in collection.tasks] == ["predator-prey"]
    assert [method.label for method in collection.methods] == ["qmix · macpo", "qmix · wandb"]
    assert [seed.seed for seed in collection.seeds[0, 1]] == [0, 1]


def test_a_file_is_read_only_if_it_is_named_itself(tmp_path: Path):
    write_runs(tmp_path, ["macpo"], n_seeds=1)
    write(tmp_path)
    assert [method.label for method in collect([tmp_path]).methods] == ["qmix · macpo"]


def test_names_may_hold_what_separates_them(tmp_path: Path):
    (seed,) = read(write(tmp_path, "Step,a - b seed 3 - eval/return\n1,2\n", "x.csv"))
    assert seed.experiment["algorithm"] == {"name": "a - b"}
    assert {*seed.evaluations} == {"eval/return"} and seed.seed == 3


def test_a_byte_order_mark_is_no_part_of_a_name(tmp_path: Path):
    (seed,) = read(write(tmp_path, "\ufeffStep,a - m\n1,nan\n"))
    assert np.isnan(seed.evaluations["m"].values).all()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "is empty"),
        ("Step,loss\n1,2\n", "is no export of wandb"),
        ("Step,a - m\nx,2\n", "line 2 of .* must be a number, not 'x'"),
        ("Step,a - m\n1,2\n2,y\n", "line 3 of .* must be a number, not 'y'"),
        ("Step,a - m\nnan,2\n", "must be a count of env steps, not nan"),
        ("Step,a - m\n1," + "2" * 200_000, "field larger than field limit"),
    ],
)
def test_what_is_damaged_is_told_with_its_line(tmp_path: Path, text: str, told: str):
    with pytest.raises(UsageError, match=told):
        read(write(tmp_path, text))


def test_what_is_no_text_is_told(tmp_path: Path):
    file = tmp_path / "x.csv"
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match=r"cannot read .*x\.csv"):
        read(file)
