"""Flags with several values: an arm for each combination."""

import shlex

import pytest

from macpo import UsageError
from macpo.study.grid import Arm, arms


def of(text: str, name: str = "") -> list[Arm]:
    return arms(shlex.split(text), name)


def test_every_combination_is_an_arm_named_after_what_is_varied():
    assert of("--env.punishment 0 -2 --weighting macpo uniform --steps 100") == [
        Arm(
            f"punishment={punishment} {weighting}",
            shlex.split(f"--env.punishment {punishment} --weighting {weighting} --steps 100"),
        )
        for punishment in ("0", "-2")
        for weighting in ("macpo", "uniform")
    ]


def test_a_flag_without_a_value_and_one_given_with_an_equals_sign_go_to_every_arm():
    (arm,) = of("--algorithm.no-double-q --steps=100")
    assert arm == Arm("run", ["--algorithm.no-double-q", "--steps", "100"])


def test_a_flag_that_is_given_twice_is_kept_twice():
    (arm,) = of("--preset pymarl --preset macpo")
    assert arm.arguments == ["--preset", "pymarl", "--preset", "macpo"]


def test_a_name_stands_in_front_of_what_is_varied():
    assert [arm.name for arm in of("--seed 1 2", "mine")] == ["mine seed=1", "mine seed=2"]
    assert [arm.name for arm in of("--seed 1", "mine")] == ["mine"]


def test_letters_that_a_directory_cannot_have_become_dots():
    assert [arm.name for arm in of("--env my_module:make two-step")] == [
        "my_module.make",
        "two-step",
    ]


def test_the_same_value_twice_is_refused():
    with pytest.raises(UsageError, match="two arms would be called per; give each value once"):
        of("--weighting per macpo per")


def test_a_value_without_a_flag_is_refused():
    with pytest.raises(UsageError, match="'macpo' belongs to no flag"):
        of("macpo --steps 100")


def test_more_combinations_than_anyone_trains_are_refused():
    values = " ".join(map(str, range(101)))
    with pytest.raises(UsageError, match="10,201 combinations; at most 10,000"):
        of(f"--seed {values} --steps {values}")
