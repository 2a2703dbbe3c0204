"""Studies in files of TOML."""

from pathlib import Path

import pytest

from macpo import UsageError
from macpo.study.file import read
from macpo.study.grid import Arm

FACTORS = """
name = "factors"
seeds = [3, 4]

[all]
preset = "pymarl"
env = "predator-prey"
"env.punishment" = [0, -2]

[arms.macpo]
weighting = "macpo"

[arms.raw]
weighting = "macpo"
weighting_options = { }
algorithm = { double_q = false, lr = 1e-3 }
"""


def written(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "factors.toml"
    file.write_text(text)
    return file


def test_each_arm_has_its_own_flags_and_those_of_all(tmp_path: Path):
    study = read(written(tmp_path, FACTORS.replace("weighting_options = { }\n", "")))
    shared = ["--preset", "pymarl", "--env", "predator-prey", "--env.punishment"]
    own = ["--weighting", "macpo", "--algorithm.no-double-q", "--algorithm.lr", "0.001"]
    assert (study.name, study.seeds) == ("factors", [3, 4])
    assert study.arms == [
        Arm("macpo punishment=0", [*shared, "0", "--weighting", "macpo"]),
        Arm("macpo punishment=-2", [*shared, "-2", "--weighting", "macpo"]),
        Arm("raw punishment=0", [*shared, "0", *own]),
        Arm("raw punishment=-2", [*shared, "-2", *own]),
    ]


def test_seeds_may_be_trained_together(tmp_path: Path):
    assert read(written(tmp_path, "seeds_together = 4\n[all]\nsteps = 1")).seeds_together == 4
    assert read(written(tmp_path, "[all]\nsteps = 1")).seeds_together == 1
    with pytest.raises(UsageError, match="seeds_together must be a number, not 'all'"):
        read(written(tmp_path, 'seeds_together = "all"\n[all]\nsteps = 1'))


def test_an_arms_own_value_replaces_the_shared_one(tmp_path: Path):
    study = read(written(tmp_path, "[all]\nsteps = [1, 2]\n[arms.long]\nsteps = 3"))
    assert study.arms == [Arm("long", ["--steps", "3"])]


def test_without_arms_all_flags_are_a_grid_and_the_file_names_the_study(tmp_path: Path):
    study = read(written(tmp_path, '[all]\nweighting = ["per", "macpo"]'))
    assert (study.name, study.seeds) == ("factors", None)
    assert [arm.name for arm in study.arms] == ["per", "macpo"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[arm.x]", "has no 'arm'; did you mean 'arms'"),
        ("seeds = 'five'", "seeds must be a number or a list"),
        ("name = 3", "name must be text"),
        ("arms = 3", r"\[arms\] must be a table"),
        ("[all]\nsteps = []", "steps has no value"),
        ("[all]\nsteps = 2026-11-28", "steps must be text or numbers"),
        ("[all", "cannot read a study from .*factors.toml"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_with_its_name(tmp_path: Path, text: str, message: str):
    with pytest.raises(UsageError, match=message) as error:
        read(written(tmp_path, text))
    assert "factors.toml" in str(error.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path):
    with pytest.raises(UsageError, match=r"cannot read a study from .*nothing\.toml: No such"):
        read(tmp_path / "nothing.toml")
