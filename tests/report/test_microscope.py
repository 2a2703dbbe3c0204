"""What runs have recorded of replay: found, counted, drawn; and what is damaged, told."""

import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from macpo.envs.predator_prey import Config
from macpo.render import predator_prey
from macpo.report import microscope
from macpo.report.collection import collect
from macpo.report.microscope import LOG_ZERO, draw_pictures, find_recordings, numbers
from macpo.report.places import signature
from macpo.report.writing import write_report
from tests.support.synthetic_runs import write_replay, write_runs


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run with two recorded moments, beside one of another method without any."""
    write_runs(tmp_path / "runs", n_seeds=1, n_evaluations=2, trains_per_evaluation=1)
    write_replay(tmp_path / "runs" / "macpo-seed0")
    return tmp_path / "runs" / "macpo-seed0"


def found(run: Path) -> microscope.Found:
    return find_recordings(collect([run.parent]))


def test_a_recording_is_found_with_its_run(run: Path) -> None:
    (recording,), notes = found(run)
    assert notes == ()
    replay = numbers(recording)
    assert (replay.task, replay.method, replay.seed, replay.n_recorded) == (0, 0, 0, 2)
    assert [moment.env_steps for moment in replay.moments] == [1000, 2000]
    moment = replay.moments[0]
    assert moment.factors == ("bellman", "value", "joint")
    assert moment.steps["td_error_abs"][27] == 10
    assert moment.log_factors[:, 27].tolist() == pytest.approx([2.303, -10, 0])
    assert moment.steps["log_raw"][27] == pytest.approx(2.303 - 10, abs=1e-3)


def test_of_each_method_the_first_seed_that_recorded_is_shown(tmp_path: Path) -> None:
    write_runs(tmp_path, ["macpo"], n_seeds=3, n_evaluations=1, trains_per_evaluation=1)
    for seed in (1, 2):
        write_replay(tmp_path / f"macpo-seed{seed}")
    (recording,), _ = find_recordings(collect([tmp_path]))
    assert recording.trained.seed == 1


def test_moments_of_a_page_are_spread_over_the_run(run: Path) -> None:
    for file in (run / "replay").iterdir():
        file.unlink()
    (run / "replay").rmdir()
    write_replay(run, moments=61)
    (recording,), _ = found(run)
    shown = [moment.about.number for moment in recording.moments]
    assert (len(shown), shown[0], shown[-1]) == (16, 1, 61)
    assert set(np.diff(shown)) == {4}
    assert numbers(recording).n_recorded == 61


def test_a_damaged_moment_is_told_and_the_others_are_shown(run: Path) -> None:
    file = run / "replay" / "0001.safetensors"
    file.write_bytes(file.read_bytes()[:1000])
    (recording,), (note,) = found(run)
    assert [moment.about.number for moment in recording.moments] == [2]
    assert "0001.safetensors is damaged" in note
    report = write_report([run.parent], run.parents[1] / "report").report
    assert len(report.replays) == 1
    assert any("0001.safetensors is damaged" in note for note in report.notes)


def test_a_recording_of_which_nothing_can_be_read_costs_the_report_nothing_else(run: Path) -> None:
    for file in (run / "replay").glob("*.safetensors"):
        file.write_bytes(b"")
    report = write_report([run.parent], run.parents[1] / "report").report
    assert report.replays == ()
    assert len(report.methods) == 2


def test_a_zero_factor_has_a_log_that_json_can_hold(run: Path) -> None:
    (recording,), _ = found(run)
    (first, *_) = recording.moments
    first.steps.log_factors[0, 0] = first.steps.log_raw[0] = -np.inf
    moment = numbers(recording).moments[0]
    assert moment.log_factors[0, 0] == moment.steps["log_raw"][0] == LOG_ZERO


def test_every_number_of_the_page_is_in_data_json(run: Path) -> None:
    files = write_report([run.parent], run.parents[1] / "report").files
    (replay,) = json.loads(files.data.read_text())["replays"]
    moment = replay["moments"][1]
    assert moment["n_steps"] == 6400
    assert len(moment["steps"]["weight"]) == 40
    assert moment["listed"] == [0, 1, 2, 3, 27, 36, 37, 38, 39]


def test_a_watched_report_is_written_again_when_a_moment_has_come(run: Path) -> None:
    before = signature([run.parent])
    (run / "replay" / "0002.safetensors").rename(run / "replay" / "0003.safetensors")
    assert signature([run.parent]) != before


# --- pictures -------------------------------------------------------------------------------------


def test_every_listed_step_has_the_picture_of_its_state(run: Path) -> None:
    pictures, notes = draw_pictures(found(run).recordings)
    assert notes == ()
    assert len(pictures) == 2 * 9
    (catch,) = (p for p in pictures if (p.moment, p.place) == (0, 27))
    env, cells = Config().make(), np.arange(27, 43, dtype=np.uint8)
    state = predator_prey.stored_state(env, (cells[:8], cells[8:]), 7)
    drawn = predator_prey.frame(env, state, "step 7   reward +10", np.full(8, 5))
    with Image.open(io.BytesIO(catch.png)) as image:
        difference = np.abs(np.asarray(image.convert("RGB"), int) - np.asarray(drawn, int))
    assert difference.mean() < 2  # but for the rounding of colours


def test_pictures_that_have_no_room_are_left_out_of_whole_moments(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(microscope, "MAX_PICTURES", 70_000)
    pictures, (note,) = draw_pictures(found(run).recordings)
    assert {picture.moment for picture in pictures} == {1}  # the last moment comes first
    assert "1 of 2 moments of replay are shown without pictures" in note


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda env: env | {"name": "my_package:MyEnv"}, "my_package:MyEnv"),
        (lambda env: env | {"n_predators": 5}, "does not encode its states as it did"),
    ],
)
def test_an_environment_that_cannot_be_drawn_leaves_the_numbers(
    run: Path, change: Callable[..., object], why: str
) -> None:
    experiment = json.loads((run / "experiment.json").read_text())
    experiment["env"] = change(experiment["env"])
    (run / "experiment.json").write_text(json.dumps(experiment))
    report = write_report([run.parent], run.parents[1] / "report").report
    assert len(report.replays) == 1
    (note,) = (note for note in report.notes if "no pictures of its replay" in note)
    assert why in note


def test_a_page_without_films_has_no_pictures_either(run: Path) -> None:
    pages = [
        write_report([run.parent], run.parents[1] / f"report{n}", films=n).files.page.stat().st_size
        for n in (0, 1)
    ]
    assert pages[1] - pages[0] > 50_000
