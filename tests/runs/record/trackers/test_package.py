"""Trackers: which there are, what they are told, and what they know a run by."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from macpo.errors import UsageError
from macpo.runs.record import trackers
from tests.runs.record.conftest import TEST, TRAIN, tracked, tracked_seed


def test_every_file_is_a_tracker():
    assert list(trackers.known()) == ["tensorboard", "trackio", "wandb"]
    assert trackers.known()["tensorboard"] == "Write TensorBoard files as well."


@pytest.mark.parametrize("name", trackers.known())
def test_a_tracker_whose_package_is_not_installed_says_which_extra_brings_it(
    name: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(sys.modules, "tensorboardX" if name == "tensorboard" else name, None)
    said = rf"^--{name} needs the package .*: pip install 'macpo\[{name}\]'\.$"
    with pytest.raises(UsageError, match=said):
        trackers.check([name])


def test_an_unknown_tracker_is_refused():
    with pytest.raises(UsageError, match=r"^unknown tracker 'wanda'; did you mean 'wandb'\? Known"):
        trackers.check(["wanda"])


def test_metrics_are_told_over_env_steps_and_the_axes_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    told = list[tuple[int, str, object]]()

    def open_seed(package: object, about: trackers.TrackedSeed) -> SimpleNamespace:
        return SimpleNamespace(
            log=lambda values, step: told.append((about.seed, step, values)),
            finish=lambda: told.append((about.seed, "finished", None)),
        )

    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace())
    monkeypatch.setattr("macpo.runs.record.trackers.wandb.open_seed", open_seed)
    sink = tracked("wandb", tmp_path)
    sink.write(TRAIN)
    sink.write(TEST | {"seed": 1})
    sink.close()
    learned = {"return_mean": 5.0, "epsilon": 0.98, "weight_raw_mean": 0.25}
    test = {**learned, "test_return_mean": 12.5}
    assert told == [
        (0, 1600, {f"train/{name}": value for name, value in learned.items()}),
        (1, 1600, {f"test/{name}": value for name, value in test.items()}),
        (0, "finished", None),
        (1, "finished", None),
    ]


def test_a_run_that_goes_on_is_known_again_and_another_one_is_not(tmp_path: Path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    before, after = (tracked_seed(tmp_path / "a", 3) for _ in range(2))
    other = tracked_seed(tmp_path / "b", 3)
    assert before.name == after.name != other.name
    assert before.key == after.key != other.key
    assert before.name.endswith(" seed 3") and before.key.endswith("-3")


def test_a_seed_has_the_settings_of_a_run_of_its_own(tmp_path: Path):
    settings = tracked_seed(tmp_path, 3).settings
    assert (settings["run"]["seed"], settings["run"]["seeds"]) == (3, 1)
    assert settings["env"]["name"] == "two-step"
