"""Which runs are found, what of them is read, and how they are sorted."""

import json
import math
import re
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Literal

import numpy as np
import pytest

from macpo.errors import UsageError
from macpo.report.collection import Collection, collect
from macpo.report.places import read_study
from tests.support.synthetic_runs import write_runs


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """macpo and uniform with two seeds each, a directory for each."""
    write_runs(tmp_path / "runs", n_seeds=2, n_evaluations=4)
    return tmp_path / "runs"


def labels(collection: Collection) -> list[str]:
    return [method.label for method in collection.methods]


def numbers(collection: Collection) -> dict[tuple[int, int], list[int]]:
    """The seeds of each (task, method)."""
    return {place: [s.seed for s in seeds] for place, seeds in collection.seeds.items()}


def edit(run: Path, section: str, **values: object) -> None:
    file = run / "experiment.json"
    experiment = json.loads(file.read_text())
    experiment[section].update(values)
    file.write_text(json.dumps(experiment))


def learn_offline(run: Path, sha256: str) -> None:
    """Make it look as if the run had learned offline, 100 updates between two evaluations."""
    edit(run, "run", steps=0, updates=400)
    edit(run, "replay", from_file=f"/data/{run.name}.npz", from_sha256=sha256)
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    tests = [row for row in rows if row["kind"] == "test"]
    lines = (
        json.dumps(row | {"env_steps": 0, "episodes": 0, "updates": 100 * (i + 1)}) + "\n"
        for i, row in enumerate(tests)
    )
    (run / "metrics.jsonl").write_text("".join(lines))


def make_study(folder: Path, seeds: object = (0, 1)) -> Path:
    """uniform before macpo, which the alphabet would turn round."""
    plan = {"name": "mine", "arms": {"plain": {}, "best": {}}, "seeds": seeds}
    for arm, weighting in {"best": "macpo", "plain": "uniform"}.items():
        write_runs(folder / "written", [weighting], n_seeds=2, n_evaluations=2)
        (folder / "runs" / arm).mkdir(parents=True)
        for seed in (0, 1):
            written = folder / "written" / f"{weighting}-seed{seed}"
            written.rename(folder / "runs" / arm / f"seed-{seed}")
    (folder / "study.json").write_text(json.dumps(plan))
    return folder


def test_runs_that_learn_offline_are_a_task_of_their_own_for_each_file_and_over_updates(
    runs: Path,
) -> None:
    for name, sha256 in {"macpo-seed0": "a", "uniform-seed0": "a", "uniform-seed1": "b"}.items():
        learn_offline(runs / name, 64 * sha256)
    found = collect([runs])
    assert [(task.unit, task.settings.get("offline")) for task in found.tasks] == [
        ("updates", 12 * "a"),
        ("env steps", None),
        ("updates", 12 * "b"),
    ]
    assert len(found.methods) == 2  # the same ones as online
    (seed,) = found.seeds[0, 0]
    assert (seed.done, seed.unit) == (400, "updates")
    assert seed.evaluations["test_return_mean"].env_steps.tolist() == [100, 200, 300, 400]


def test_episodes_that_a_run_begins_with_are_of_its_method_wherever_their_file_lies(
    runs: Path,
) -> None:
    for name, sha256 in {"macpo-seed0": "a", "macpo-seed1": "a"}.items():
        edit(runs / name, "replay", from_file=f"/data/{name}.npz", from_sha256=64 * sha256)
    found = collect([runs])
    assert [method.settings.get("replay.from") for method in found.methods] == [12 * "a", None]


def test_the_absolute_metric_of_each_seed_is_read_where_there_is_one(runs: Path) -> None:
    absolute = {"kind": "absolute", "seed": 1, "env_steps": 20_000, "test_return_mean": 7.5}
    (runs / "macpo-seed1" / "absolute.jsonl").write_text(json.dumps(absolute) + "\n")
    seeds = collect([runs]).seeds[0, 0]
    assert [seed.absolute.get("test_return_mean") for seed in seeds] == [None, 7.5]


def test_runs_are_found_at_any_depth_and_joined_by_method(runs: Path) -> None:
    collection = collect([runs.parent])
    assert labels(collection) == ["qmix · macpo", "qmix · uniform"]
    assert numbers(collection) == {(0, 0): [0, 1], (0, 1): [0, 1]}
    assert [task.title for task in collection.tasks] == ["predator-prey"]
    assert collection.notes == ()


def test_several_seeds_in_one_directory_are_several(tmp_path: Path) -> None:
    write_runs(tmp_path, ["macpo"], n_seeds=2, n_evaluations=2)
    first, second = sorted(tmp_path.iterdir())
    with (first / "metrics.jsonl").open("a") as file:
        file.write((second / "metrics.jsonl").read_text())
    assert numbers(collect([first])) == {(0, 0): [0, 1]}


def test_a_curve_has_the_evaluations_as_recorded(runs: Path) -> None:
    seed = collect([runs]).seeds[0, 0][0]
    lines = map(json.loads, (seed.directory / "metrics.jsonl").read_text().splitlines())
    tests = [row for row in lines if row["kind"] == "test"]
    curve = seed.evaluations["test_return_mean"]
    np.testing.assert_array_equal(curve.env_steps, [10_000, 20_000, 30_000, 40_000])
    np.testing.assert_array_equal(curve.values, [row["test_return_mean"] for row in tests])
    assert (seed.env_steps, seed.updates) == (40_000, 11)


def test_other_settings_of_the_environment_are_another_task(runs: Path, tmp_path: Path) -> None:
    write_runs(tmp_path / "more", ["macpo"], n_seeds=1, n_evaluations=4, punishment=0.0)
    collection = collect([runs, tmp_path / "more"])
    titles = [task.title for task in collection.tasks]
    assert titles == ["predator-prey, punishment=-2", "predator-prey, punishment=0"]
    assert numbers(collection) == {(0, 0): [0, 1], (0, 1): [0, 1], (1, 0): [0]}


def test_how_much_is_trained_makes_no_other_method(runs: Path) -> None:
    edit(runs / "macpo-seed1", "run", steps=1_000_000, checkpoint_interval=7, test_interval=9)
    assert labels(collect([runs])) == ["qmix · macpo", "qmix · uniform"]


def test_a_setting_of_the_method_makes_another_which_is_named_after_it(runs: Path) -> None:
    edit(runs / "macpo-seed1", "algorithm", lr=0.5)
    assert labels(collect([runs])) == [
        *("qmix · macpo, lr=0.001", "qmix · macpo, lr=0.5", "qmix · uniform")
    ]


def test_a_setting_that_an_older_file_lacks_has_its_default(runs: Path) -> None:
    file = runs / "macpo-seed0" / "experiment.json"
    experiment = json.loads(file.read_text())
    del experiment["run"]["nonfinite_rewards"], experiment["algorithm"]["lr"]
    file.write_text(json.dumps(experiment))
    assert labels(collect([runs])) == ["qmix · macpo", "qmix · uniform"]


def test_plug_ins_that_are_not_installed_are_reported_all_the_same(runs: Path) -> None:
    for run in runs.iterdir():
        edit(run, "env", name="mine:Config", size=3)
    collection = collect([runs])
    assert collection.tasks[0].title == "mine:Config" and not collection.notes


def test_a_path_given_twice_counts_once(runs: Path) -> None:
    assert numbers(collect([runs, runs / "macpo-seed0", runs])) == numbers(collect([runs]))


def test_hours_are_added_up_over_sessions(runs: Path) -> None:
    rows = [{"wall_s": 5.0}, {"wall_s": 9.0}, {"wall_s": 2.0}, {"wall_s": 3.0}]
    timing = "".join(json.dumps(row) + "\n" for row in rows) + '{"wall_'
    (runs / "macpo-seed0" / "timing.jsonl").write_text(timing)
    first, second = collect([runs]).seeds[0, 0]
    assert first.wall_s == 12.0 and math.isnan(second.wall_s)


def test_the_readme_tells_the_versions(runs: Path) -> None:
    text = "# x\n\nA run of macpo 0.1.0 with JAX 0.10.2 on cpu.\n"
    (runs / "macpo-seed0" / "README.md").write_text(text)
    first, second = collect([runs]).seeds[0, 0]
    assert (first.made_by, second.made_by) == ("macpo 0.1.0 with JAX 0.10.2 on cpu", "")


# --- studies --------------------------------------------------------------------------------------


def test_a_studys_methods_have_the_names_and_the_order_of_its_arms(tmp_path: Path) -> None:
    collection = collect([make_study(tmp_path / "study")])
    assert labels(collection) == ["plain", "best"]
    assert collection.notes == ()


def test_arms_that_differ_in_the_environment_alone_are_one_method(tmp_path: Path) -> None:
    study = make_study(tmp_path / "study")
    for seed in ("seed-0", "seed-1"):
        edit(study / "runs" / "plain" / seed, "weighting", name="macpo")
        edit(study / "runs" / "plain" / seed, "env", punishment=0.0)
        other = json.loads((study / "runs" / "best" / seed / "experiment.json").read_text())
        edit(study / "runs" / "plain" / seed, "weighting", **other["weighting"])
    assert labels(collect([study])) == ["qmix · macpo"]


def test_seeds_that_a_study_plans_and_lacks_are_told(tmp_path: Path) -> None:
    study = make_study(tmp_path / "study", seeds=[0, 1, 2])
    assert collect([study]).notes == (
        "Study mine: plain has no readable records of seed 2 yet.",
        "Study mine: best has no readable records of seed 2 yet.",
    )


@pytest.mark.parametrize("text", ["{", "[]", '{"arms": 3}', '{"arms": {}, "seeds": "many"}'])
def test_a_study_whose_file_is_damaged_is_reported_by_its_runs(tmp_path: Path, text: str) -> None:
    study = make_study(tmp_path / "study")
    (study / "study.json").write_text(text)
    with pytest.raises(UsageError, match=r"study\.json"):
        read_study(study)
    (note,) = collect([study]).notes
    assert "study.json" in note and note.endswith("Its runs are shown all the same.")


# --- what cannot be read --------------------------------------------------------------------------


def damage_line(run: Path) -> None:
    (run / "metrics.jsonl").write_text('{"kind": "train", "se\n')


def no_rows(run: Path) -> None:
    (run / "metrics.jsonl").write_text("")


def no_metrics(run: Path) -> None:
    (run / "metrics.jsonl").unlink()


def no_experiment(run: Path) -> None:
    (run / "experiment.json").unlink()


def other_file(run: Path) -> None:
    (run / "experiment.json").write_text('{"epochs": 3}')


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (damage_line, "line 1 of .*is not JSON"),
        (no_rows, "has no metrics yet"),
        (no_metrics, "cannot read .*metrics.jsonl"),
        (no_experiment, "cannot read an experiment"),
        (other_file, "holds no experiment"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_run_that_cannot_be_read_is_told_and_the_rest_reported(
    runs: Path, damage: object, told: str
) -> None:
    assert callable(damage)
    damage(runs / "macpo-seed0")
    collection = collect([runs])
    assert numbers(collection) == {(0, 0): [1], (0, 1): [0, 1]}
    (note,) = collection.notes
    assert note.startswith("Left out: ") and "macpo-seed0" in note
    assert re.search(told, note)


@pytest.mark.parametrize("row", ["damage", '{"kind": "test", "seed": 0}'])
def test_a_row_that_cannot_be_read_is_told_and_the_others_are_shown(runs: Path, row: str) -> None:
    whole = collect([runs])
    file = runs / "macpo-seed0" / "metrics.jsonl"
    lines = file.read_text().splitlines()
    file.write_text("\n".join([*lines[:2], row, *lines[2:], ""]))
    collection = collect([runs])
    (note,) = collection.notes
    assert note.startswith(f"line 3 of {file} is not ")
    assert note.endswith(" The run is shown without it.")
    np.testing.assert_equal(collection.to_frame(), whole.to_frame())


@pytest.mark.parametrize("part", ["run", "replay", "comment"])
@pytest.mark.parametrize("value", [None, 3, "x", {"seeds": "many"}])
def test_a_section_of_another_kind_ends_no_report(runs: Path, part: str, value: object) -> None:
    file = runs / "macpo-seed0" / "experiment.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {part: value}))
    assert sum(map(len, collect([runs]).seeds.values())) == 4


def test_a_half_written_last_line_is_no_damage(runs: Path) -> None:
    with (runs / "macpo-seed0" / "metrics.jsonl").open("a") as file:
        file.write('{"kind": "tes')
    assert collect([runs]).notes == ()


def test_paths_without_runs_are_told(runs: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    notes = collect([runs, tmp_path / "empty", tmp_path / "absent"]).notes
    assert notes == (
        f"{tmp_path / 'empty'} holds no run.",
        f"There is no directory {tmp_path / 'absent'}.",
    )


def test_nothing_readable_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nothing to report on: There is no directory"):
        collect([tmp_path / "absent"])


# --- what a reader should know --------------------------------------------------------------------


def test_a_seed_that_is_there_twice_is_told_and_shown_twice(runs: Path, tmp_path: Path) -> None:
    write_runs(tmp_path / "again", ["macpo"], n_seeds=1, n_evaluations=4)
    collection = collect([runs, tmp_path / "again"])
    assert numbers(collection)[0, 0] == [0, 0, 1]
    (note,) = collection.notes
    assert "seed 0 is there more than once" in note and str(tmp_path / "again") in note


def test_seeds_of_very_different_lengths_are_told(runs: Path, tmp_path: Path) -> None:
    write_runs(tmp_path / "long", ["per"], n_seeds=1, n_evaluations=8)
    (note,) = collect([runs, tmp_path / "long"]).notes
    assert "40,000 to 80,000 env steps" in note


def test_a_seed_without_evaluations_is_told(runs: Path) -> None:
    file = runs / "macpo-seed0" / "metrics.jsonl"
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(line for line in lines if '"train"' in line))
    (note,) = collect([runs]).notes
    assert "seed 0 has not been evaluated yet" in note


# --- as a table -----------------------------------------------------------------------------------


def test_every_evaluation_is_a_row_of_the_frame(runs: Path) -> None:
    collection = collect([runs])
    frame = collection.to_frame()
    assert [*frame] == ["task", "method", "seed", "env_steps", "metric", "value"]
    assert {len(column) for column in frame.values()} == {2 * 2 * 4 * 3}  # metrics of a test row
    of_one = (frame["method"] == "qmix · uniform") & (frame["seed"] == 1)
    of_one &= frame["metric"] == "test_return_mean"
    curve = collection.seeds[0, 1][1].evaluations["test_return_mean"]
    np.testing.assert_array_equal(frame["env_steps"][of_one], curve.env_steps)
    np.testing.assert_array_equal(frame["value"][of_one], curve.values)


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_the_frame_of_a_library_has_the_same_columns(
    runs: Path, library: Literal["pandas", "polars"], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, library, SimpleNamespace(DataFrame=dict))
    assert [*collect([runs]).to_frame(library)] == [*collect([runs]).to_frame()]
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(UsageError, match=f"{library} is not installed"):
        collect([runs]).to_frame(library)


@pytest.mark.parametrize("content", ["garbage\n", '{"foo": 1}\n', '{"kind": "absolute", "see'])
def test_a_damaged_absolute_metric_is_told_and_the_rest_is_read(runs: Path, content: str) -> None:
    file = runs / "macpo-seed1" / "absolute.jsonl"
    file.write_text(content)
    found = collect([runs])
    assert sum(map(len, found.seeds.values())) == 4
    (note,) = (note for note in found.notes if str(file) in note)
    assert note.endswith("Without it, the run's absolute metric is not shown.")
