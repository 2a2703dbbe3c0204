"""docs/file_formats.md names the files and fields that are really written."""

import dataclasses
import hashlib
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from safetensors import safe_open
from safetensors.numpy import load_file

import macpo
from macpo.algorithms import VDN
from macpo.bench.measure import Result
from macpo.cli import main
from macpo.envs import TwoStep
from macpo.experiment import to_dict
from macpo.report import compare, contents, microscope, seeds, writing
from macpo.report.arms import Arms, Plan
from macpo.report.compare import Comparison
from macpo.reproduce.making import CLAIMS, VERDICTS
from macpo.runs import checkpoint, replay_file
from macpo.runs.arrays import FORMAT
from macpo.runs.claim import LOCK
from macpo.runs.cleaning import clean
from macpo.runs.directory import RunDirectory
from macpo.runs.hub.kept import kept_files
from macpo.runs.record.moment import LISTED, MAX_STEPS, About
from macpo.runs.sessions import Session
from macpo.search.optuna import JOURNAL
from macpo.study.directory import Outcome, StudyDirectory
from macpo.study.study import PlannedRun
from tests.runs.record.test_replay import SHORT
from tests.support.counting import begin, counting
from tests.support.fake_engine import install
from tests.support.paths import ROOT
from tests.support.synthetic_runs import write_replay, write_runs

PAGE = (ROOT / "docs" / "file_formats.md").read_text()


def section(heading: str) -> str:
    """The text under a heading, to the next one of any level."""
    return PAGE.partition(f"# {heading}\n")[2].partition("\n#")[0]


def rows(heading: str, table: int = 0) -> list[list[str]]:
    """The cells of a table under a heading, without its head."""
    tables = re.findall(r"(?:^\|.*\n)+", section(heading), re.M)
    return [line.strip("|\n").split(" | ") for line in tables[table].splitlines()[2:]]


def quoted(text: str) -> list[str]:
    return re.findall(r"`(.+?)`", text)


def named(heading: str, table: int = 0) -> list[str]:
    """What stands in backticks in the first column."""
    return [name for first, *_ in rows(heading, table) for name in quoted(first)]


def without_numbers(file: Path) -> str:
    return re.sub(r"/\d+\.safetensors", "/NUMBER.safetensors", file.as_posix())


def written(folder: Path) -> set[str]:
    """Every file in a folder, as the page's tables name it."""
    return {without_numbers(f.relative_to(folder)) for f in folder.rglob("*") if f.is_file()}


def stored(file: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """(metadata, arrays by name) as another program reads them."""
    with safe_open(file, "numpy") as handle:
        about = handle.metadata()
    assert about.keys() == {"macpo"}
    return json.loads(about["macpo"]), load_file(file)


# --- a run ----------------------------------------------------------------------------------------


TWO_SEEDS = replace(
    SHORT, env=TwoStep(), algorithm=VDN(rnn_hidden_dim=8, central_mixing_embed_dim=8)
)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two seeds, as the command line makes it."""
    folder = tmp_path_factory.mktemp("formats")
    (folder / "settings.json").write_text(json.dumps(to_dict(TWO_SEEDS)))
    words = ["--config", str(folder / "settings.json"), "--record-weights", "3"]
    with pytest.raises(SystemExit) as stop:
        main(["train", *words, "--out", str(folder / "run")])
    assert stop.value.code == 0
    return folder / "run"


SOMETIMES = {"tensorboard/", "wandb/", "tracker_id"}
"""Of trackers, which only some runs have."""


@pytest.mark.slow
def test_a_run_writes_the_files_of_the_table_and_no_others(run: Path) -> None:
    notes = {"checkpoints/none-yet", "checkpoints/dropped"}
    assert written(run) == {*named("A run's directory")} - SOMETIMES - notes


def test_every_file_of_the_code_has_a_row() -> None:
    folders = {file.partition("/")[0] for file in named("A run's directory")}
    assert {file.name for file in RunDirectory("run").files()} | {LOCK} == folders
    assert f"checkpoints/{checkpoint.NONE_YET}" in named("A run's directory")


def test_the_notes_in_the_folder_of_checkpoints_come_and_go_as_told(tmp_path: Path) -> None:
    seen: list[set[str]] = []
    with counting(lambda _: seen.append(written(tmp_path / "run"))):
        begin(tmp_path / "run")
    assert "checkpoints/none-yet" in seen[0] and "checkpoints/none-yet" not in seen[-1]
    assert len([*(tmp_path / "run" / "checkpoints").iterdir()]) == checkpoint.KEEP == 2
    with counting():
        clean(tmp_path / "run", force=True)
    assert [f.name for f in (tmp_path / "run" / "checkpoints").iterdir()] == [checkpoint.DROPPED]


def test_the_sections_of_an_experiment_are_told() -> None:
    data = to_dict(macpo.Experiment())
    assert named("`experiment.json`")[:5] == [*data]
    assert {name for name, of in data.items() if "name" in of} == {"env", "algorithm", "weighting"}
    assert [*data["run"]][:3] == ["steps", "updates", "seeds"]


def test_what_a_pulled_run_lacks_is_told() -> None:
    about_it = section("A run's directory").partition("A run that was [pulled]")[2]
    lacks, _, readme = about_it.partition(" and its\n")
    files = {"timing.jsonl", "sessions.json", "checkpoints/", "replay/"}
    assert {*quoted(lacks)} == files
    assert quoted(readme)[0] == "README.md"
    told = {file.partition("/")[0] for file in named("A run's directory") if file not in SOMETIMES}
    kept = {kept.name for kept in kept_files()}
    assert told - kept == {file.removesuffix("/") for file in files} | {LOCK}


@pytest.mark.slow
def test_the_fields_of_lines_are_told(run: Path) -> None:
    common = ["kind", "seed", "env_steps", "episodes", "updates"]
    assert quoted(section("`metrics.jsonl`, `absolute.jsonl`"))[:5] == common
    kinds = set[str]()
    for name in ("metrics.jsonl", "absolute.jsonl"):
        for line in (run / name).read_text().splitlines():
            row = json.loads(line)
            assert [*row][:5] == common
            assert all(type(row[field]) is int for field in common[1:])
            kinds.add(row["kind"])
    assert kinds == {"train", "test", "absolute"}
    timing = [json.loads(line) for line in (run / "timing.jsonl").read_text().splitlines()]
    assert {tuple(row) for row in timing} == {tuple(named("`timing.jsonl`"))}
    assert {row["what"] for row in timing} == {"chunk", "checkpoint"}


def test_the_fields_of_a_session_are_told() -> None:
    told = named("`sessions.json`")
    assert {*told} == {field.name for field in dataclasses.fields(Session)}


@pytest.mark.slow
def test_every_array_carries_what_all_have_in_common(run: Path) -> None:
    heading = "Arrays: what all safetensors of macpo share"
    for file in run.rglob("*.safetensors"):
        about, _ = stored(file)
        assert [*about] == named(heading)
        data, own = file.read_bytes(), about["sha256"].encode()
        assert hashlib.sha256(data.replace(own, b"0" * 64, 1)).hexdigest() == about["sha256"]
        assert about["format"] == FORMAT
    assert f"the number of the layout: {FORMAT} " in section(heading)
    info = named(heading, 1)
    for name in ("model", "best"):
        about, arrays = stored(run / f"{name}.safetensors")
        assert [*about["info"]] == (info if name == "best" else info[:-1])
        assert {(x.dtype, len(x)) for x in arrays.values()} == {(np.dtype("f4"), 2)}


@pytest.mark.slow
def test_every_array_of_a_checkpoint_is_told_with_its_type_and_axes(run: Path) -> None:
    about, arrays = stored(max((run / "checkpoints").glob("*.safetensors")))
    assert [*about["info"]] == ["experiment", "rows"]
    n_bytes, sha256 = about["info"]["rows"]
    metrics = (run / "metrics.jsonl").read_bytes()
    assert (n_bytes, sha256) == (len(metrics), hashlib.sha256(metrics).hexdigest())
    beginnings = [name.rstrip("…") for name in named("`checkpoints/`")]
    assert [name for name in arrays if not name.startswith(tuple(beginnings))] == []
    unused = {each for each in beginnings if not any(n.startswith(each) for n in arrays)}
    assert unused == {"learner.weighting_state."}  # MAC-PO's weights have no running means
    capacity, limit = TWO_SEEDS.run.buffer_size, 2
    shapes = {name: (x.dtype.name, x.shape) for name, x in arrays.items()}
    episodes = "replay_buffer.episodes"
    assert shapes[f"{episodes}.actions"] == ("int8", (2, capacity, limit, 2))
    assert shapes[f"{episodes}.reward"] == ("float32", (2, capacity, limit))
    assert shapes[f"{episodes}.length"] == ("int32", (2, capacity))
    assert shapes[f"{episodes}.terminated"] == ("bool", (2, capacity))
    (encoded,) = (name for name in shapes if name.startswith(f"{episodes}.encoded_state"))
    assert shapes[encoded][1][:3] == (2, capacity, limit + 1)
    assert shapes["priorities.value"] == ("float32", (2, capacity))
    for name in ("seed", "env_steps", "iteration", "updates", "last_sync", "best.updates"):
        assert shapes[name] == ("int32", (2,))


@pytest.mark.slow
def test_every_array_of_a_recorded_moment_is_told(run: Path) -> None:
    about, arrays = stored(run / "replay" / "0001.safetensors")
    assert named("`replay/`") == [*about["info"]] == [f.name for f in dataclasses.fields(About)]
    told = {name.replace(".I", ".0") for name in named("`replay/`", 1)}
    assert {re.sub(r"states\.\d", "states.0", name) for name in arrays} == told
    whole = {name: x.dtype.name for name, x in arrays.items() if ".states." not in name}
    for first, kind, _ in rows("`replay/`", 1):
        for name in quoted(first):
            assert name == "listed.states.I" or whole[name] in kind
    plan = json.loads((run / "replay" / "plan.json").read_text())
    assert [*plan] == quoted(section("`replay/`"))[1:3]
    assert f"at most {MAX_STEPS} are kept" in section("`replay/`")
    assert f"at most {3 * LISTED} steps" in section("`replay/`")


# --- studies and reports --------------------------------------------------------------------------


def test_a_study_writes_the_files_of_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = install(monkeypatch)
    fake.score = lambda run: float(run.seed)
    study = macpo.Study("one", {"arm": macpo.Experiment()}, seeds=1)
    macpo.sweep(study, tmp_path / "study", jobs=1, console=Console(quiet=True))
    directory = StudyDirectory(tmp_path / "study")
    planned = [PlannedRun("ARM", 7), PlannedRun("ARM", 7, 2)]
    places = [
        f"{place}" for run in planned for place in (directory.run(run).path, directory.log(run))
    ]
    patterns = {
        place.removeprefix(f"{directory.path}/").replace("-7", "-K").replace("-8", "-L")
        for place in places
    }
    at_the_top = {name for name in written(directory.path) if "/" not in name}
    two = Arms(directory, "A", "B")
    of_tests = {f"{place.relative_to(directory.path)}" for place in (two.further.path, two.plan)}
    told = {name.removesuffix("/") for name in named("A study's directory")}
    assert told == patterns | at_the_top | of_tests | {"report", JOURNAL}
    assert [*json.loads(directory.plan.read_text())] == named("A study's directory", 1)
    (outcome,) = json.loads(directory.outcomes.read_text())
    assert [*outcome] == named("A study's directory", 2) == [*Outcome._fields]
    (fixed,) = re.findall(r"`decision\.json` has `(\w+)` \(of seeds\) and `(\w+)`", PAGE)
    assert fixed == Plan._fields


OBJECTS = {
    "report": contents.Report,
    "method": contents.MethodReport,
    "task": contents.TaskReport,
    "scores": contents.Scores,
    "seed": contents.Seed,
    "band": contents.Band,
    "estimate": contents.Estimate,
    "diagnostic": contents.Diagnostic,
    "lines": contents.Lines,
    "line": contents.Line,
    "overall": contents.Overall,
    "replay": microscope.RecordedReplay,
    "moment": microscope.RecordedMoment,
}


def test_every_number_of_a_report_has_its_place(tmp_path: Path) -> None:
    fields = {name: [f.name for f in dataclasses.fields(of)] for name, of in OBJECTS.items()}
    fields["curve"] = [*seeds.Curve._fields]
    told = {
        name: [each for each in quoted(cell) if each != contents.FORMAT]
        for name, cell in ((row[0].strip(), row[1]) for row in rows("A report's directory"))
    }
    assert told == fields


def test_a_reports_data_is_as_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "draw_figures", lambda *_: [])  # tests/report has them
    write_runs(tmp_path / "runs", n_seeds=1, n_evaluations=4)
    write_replay(tmp_path / "runs" / "macpo-seed0")
    files, _ = writing.write_report([tmp_path / "runs"], tmp_path / "report", films=0)
    data = json.loads(files.data.read_text())
    told = quoted(rows("A report's directory")[0][1])
    assert [*data] == [name for name in told if name != contents.FORMAT] != told
    assert data["format"] == contents.FORMAT
    (replay,) = data["replays"]
    steps = replay["moments"][0]["steps"]
    assert "td_error_abs" in steps and {type(column) for column in steps.values()} == {list}


def test_exported_results_are_as_told(tmp_path: Path) -> None:
    write_runs(tmp_path / "runs", n_seeds=1, n_evaluations=4)
    with pytest.raises(SystemExit) as stop:
        main(["export", str(tmp_path / "runs"), "--marl-eval", str(tmp_path / "all.json")])
    assert stop.value.code == 0
    tree = json.loads((tmp_path / "all.json").read_text())
    run = tree["predator-prey"]["punishment=-2"]["qmix · macpo"]["seed_0"]
    assert [*run] == ["step_0", "step_1", "step_2", "step_3", "absolute_metrics"]
    assert type(run["step_0"]["step_count"]) is int
    returns = [run[f"step_{i}"]["test_return_mean"] for i in range(4)]
    last = np.mean([value for (value,) in returns[1:]])
    assert run["absolute_metrics"]["test_return_mean"] == [pytest.approx(last)]


def test_the_files_that_a_command_is_asked_for_are_told() -> None:
    export, episodes, comparison, bench, reproduce = rows("Files that a command is asked for")
    assert [f"RUN/policy_{library}.py" for library in ("numpy", "torch")] == quoted(export[1])[::2]
    assert quoted(episodes[0]) == ["macpo export-replay RUN FILE"]
    assert quoted(episodes[1]) == ["FILE.npz", "macpo.write_replay"]
    assert quoted(comparison[1]) == [field.name for field in dataclasses.fields(Comparison)]
    results = [field.name for field in dataclasses.fields(Result)]
    assert quoted(bench[1]) == ["machine", "results", *results]
    assert quoted(reproduce[1])[:2] == [f"{name}.md" for name in (CLAIMS, VERDICTS)]
    versions = {row[0].strip(): row[1] for row in rows("Files of other versions")}
    assert f"`{replay_file.ABOUT}`: {replay_file.VERSION}" in versions["`.npz` of episodes"]
    formats = quoted(versions["`data.json`, a comparison's"])
    assert formats == ["format", contents.FORMAT, compare.FORMAT]


# --- other versions -------------------------------------------------------------------------------


def test_a_setting_that_a_file_lacks_has_its_default_and_an_unknown_one_is_refused() -> None:
    data = to_dict(macpo.Experiment())
    del data["run"]["test_nepisode"], data["replay"]
    assert macpo.experiment.from_dict(data) == macpo.Experiment()
    data["run"]["test_episodes"] = 3
    with pytest.raises(macpo.UsageError, match=r"unknown setting run\.test_episodes"):
        macpo.experiment.from_dict(data)


def test_every_link_leads_to_a_file() -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", PAGE)
    assert links
    assert [link for link in links if not (ROOT / "docs" / link).exists()] == []
