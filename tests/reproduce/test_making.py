"""A figure from its study to verdicts, on records that are written by hand."""

import io
import json
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from macpo.cli import main
from macpo.errors import UsageError
from macpo.reproduce.figures import Plan, plan
from macpo.reproduce.making import make, table_2
from macpo.runs.directory import RunDirectory
from macpo.study.directory import StudyDirectory
from macpo.study.study import PlannedRun

TASK = "punishment=0"
RETURNS = {"MAC-PO": 30.0, "without joint action probability": 20.0, "without Bellman error": 30.0}


@pytest.fixture
def planned() -> Plan:
    return plan("fig4", "laptop", "predator-prey", (TASK,))


def write_records(planned: Plan, directory: StudyDirectory, seeds: tuple[int, ...]) -> None:
    """Every method's return, the same at each evaluation, and one more with every seed."""
    directory.make()
    directory.begin(planned.study, cores=1)
    for method, value in RETURNS.items():
        for seed in seeds:
            run = PlannedRun(f"{method} {TASK}", seed)
            files = directory.run(run)
            files.make()
            files.write_experiment(planned.study.experiment(run))
            rows = [
                {"kind": "test", "seed": seed, "env_steps": at, "test_return_mean": value + seed}
                for at in (100_000, 200_000, 300_000)
            ]
            files.metrics.write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_every_claim_has_a_verdict_from_the_seeds_that_are_there(planned: Plan, tmp_path: Path):
    write_records(planned, StudyDirectory(tmp_path), seeds=(0, 1, 2, 3, 4))
    console = Console(record=True, file=io.StringIO(), width=200)
    made = make(planned, tmp_path, train=False, console=console)
    assert f"study {planned.study.digest}" in console.export_text()
    assert [(x.claim.other, x.verdict, x.n_seeds) for x in made.results] == [
        ("without joint action probability", "supported", 5),
        ("without Bellman error", "contradicted", 5),  # it ends level
        ("without value enhancement", "undecided", 0),
    ]
    assert made.results[0].value == 10


def test_verdicts_are_written_for_readers_papers_and_spreadsheets(planned: Plan, tmp_path: Path):
    write_records(planned, StudyDirectory(tmp_path), seeds=(0, 1, 2))
    make(planned, tmp_path, train=False, console=Console(quiet=True))
    text = (tmp_path / "verdicts.md").read_text()
    claim = f"MAC-PO ends above without joint action probability on {TASK}"
    assert f"| {claim} | – | 10.0 | [10.0, 10.0] | 3 | supported |" in text
    assert planned.study.digest in text and "laptop budget" in text
    assert (tmp_path / "verdicts.tex").exists() and (tmp_path / "verdicts.csv").exists()
    assert (tmp_path / "report" / "index.html").exists()


def test_the_command_judges_what_is_there(
    planned: Plan, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    write_records(planned, StudyDirectory(tmp_path), seeds=(0, 1, 2))
    words = ["reproduce", "fig4", "--env", "predator-prey", "--tasks", TASK, "--judge-only"]
    with pytest.raises(SystemExit) as stop:
        main([*words, "--out", str(tmp_path)])
    assert stop.value.code == 0
    assert "supported" in capsys.readouterr().out


def seeds_of(label: str, n: int, value: float) -> dict[str, dict[str, dict[str, object]]]:
    """A method of a file of marl-eval, with two evaluations of each seed."""
    steps = {f"step_{k}": {"step_count": k, "test_return_mean": [value]} for k in (1, 2)}
    return {label: {f"seed_{i}": steps for i in range(n)}}


def judged_on(records: object, planned: Plan, tmp_path: Path) -> dict[str, tuple[str, int]]:
    file = tmp_path / "records.json"
    file.write_text(json.dumps({"predator-prey": {"default": records}}))
    console = Console(quiet=True)
    made = make(planned, tmp_path / "out", records=[file], console=console)
    assert made.sweep is None
    return {x.claim.other: (x.verdict, x.n_seeds) for x in made.results}


def test_records_of_other_programs_are_judged_by_the_methods_names(planned: Plan, tmp_path: Path):
    records = seeds_of("MAC-PO", 3, 30.0) | seeds_of("without Bellman error", 4, 10.0)
    assert judged_on(records, planned, tmp_path) == {
        "without joint action probability": ("undecided", 0),
        "without Bellman error": ("supported", 3),
        "without value enhancement": ("undecided", 0),
    }
    text = (tmp_path / "out" / "claims.md").read_text()
    cell = "20.0 [20.0, 20.0], 3 seeds: supported"
    assert f"| MAC-PO ends above without Bellman error | {cell} |" in text
    assert "without value enhancement" not in text  # nothing was measured
    assert f"From {tmp_path / 'records.json'}, whatever was trained there." in text


def test_runs_of_a_method_with_several_settings_are_refused(planned: Plan, tmp_path: Path):
    for name, rate in (("a", 1e-3), ("b", 1e-4)):
        experiment = planned.study.experiment(PlannedRun(f"MAC-PO {TASK}", 0))
        algorithm = replace(experiment.algorithm, lr=rate)
        files = RunDirectory(tmp_path / "runs" / name)
        files.make()
        files.write_experiment(replace(experiment, algorithm=algorithm))
        row = {"kind": "test", "seed": 0, "env_steps": 1000, "test_return_mean": 1.0}
        files.metrics.write_text(json.dumps(row) + "\n")
    with pytest.raises(UsageError, match="hold MAC-PO on punishment=0 with several settings"):
        make(planned, tmp_path / "out", records=[tmp_path / "runs"], console=Console(quiet=True))


def test_table_2_is_the_preset_paper():
    assert [row[1:] for row in table_2().rows] == [
        ("128", "128"),
        ("10000", "10000"),
        ("Every 200 episodes", "200"),
        ("0.001", "0.001"),
        ("0.6", "0.6"),
    ]


def test_what_there_is_not_is_refused_by_the_command(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as stop:
        main(["reproduce", "fig9"])
    assert stop.value.code == 2
    assert "unknown figure 'fig9'; did you mean 'fig" in capsys.readouterr().err
