"""The numbers of the pages on results are what `macpo report` makes of the committed records."""

import csv
import functools
import re
from pathlib import Path

import numpy as np
import pytest

import macpo
from macpo.cli import main
from macpo.experiment import digest
from macpo.report.collection import collect
from macpo.report.score import final_score
from macpo.report.summary import summarise
from macpo.report.tables import markdown
from macpo.report.writing import write_report
from macpo.reproduce.figures import plan
from macpo.reproduce.making import claim_table, verdicts
from macpo.runs.record.moment import moment_files, read_moment
from macpo.study.file import read
from tests.support.fake_engine import install
from tests.support.paths import ROOT

RESULTS = ROOT / "results"
STUDIES = sorted((RESULTS / "studies").glob("*.toml"))
NAMES = sorted(file.stem for file in (RESULTS / "records").glob("*.json"))
PAGES = [RESULTS / name for name in ("README.md", "battles.md", "regret.md", "schedules.md")]


def tables(text: str) -> list[str]:
    return re.findall(r"(?:^\|.*\n?)+", text, re.M)


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


@functools.cache
def finals(name: str) -> dict[tuple[str, str, int], float]:
    """The final score of each seed of the records, by task, method and seed."""
    found = collect([RESULTS / "records" / f"{name}.json"])
    metric = "test_battle_won_mean" if name == "battles" else "test_return_mean"
    return {
        (found.tasks[task].title, found.methods[method].label, seed.seed): final_score(
            seed.evaluations[metric]
        )
        for (task, method), seeds in found.seeds.items()
        for seed in seeds
    }


@pytest.mark.parametrize("name", NAMES)
def test_every_seed_of_the_records_is_in_the_committed_table(name: str):
    (table,) = tables((RESULTS / name / "tables" / "seeds.md").read_text())
    rows = [cells(line)[:4] for line in table.splitlines()[2:]]
    told = {(task, method, int(seed)): score for task, method, seed, score in rows}
    assert told == {where: f"{score:.4f}" for where, score in finals(name).items()}


JUDGED = sorted(file.parent for file in RESULTS.rglob("claims.csv"))


@pytest.mark.parametrize("folder", JUDGED, ids=lambda folder: f"{folder.parent.name}-{folder.name}")
def test_the_table_of_claims_says_what_that_of_verdicts_says(folder: Path):
    claims, judged = (
        csv.DictReader((folder / name).read_text().splitlines())
        for name in ("claims.csv", "verdicts.csv")
    )
    by_task: dict[str, str] = {}
    for claim in claims:
        by_task |= {f"{claim['claim']} on {task}": cell for task, cell in claim.items()}
    for row in judged:
        interval = "" if row["ours, low"] == "–" else f" [{row['ours, low']}, {row['ours, high']}]"
        seeds = f"{row['seeds']} seed{'s' * (row['seeds'] != '1')}"
        told = f"{row['ours']}{interval}, {seeds}: {row['verdict']}"
        assert by_task.get(row["claim"], "–") == ("–" if row["seeds"] == "0" else told)


@pytest.mark.slow
def test_the_command_of_the_page_writes_the_committed_tables_again(tmp_path: Path):
    write_report([RESULTS / "records" / "battles.json"], tmp_path / "battles")
    committed = [*(RESULTS / "battles" / "tables").glob("scores-*")]
    assert len(committed) == 9  # three maps, three formats
    for file in committed:
        assert (tmp_path / "battles" / "tables" / file.name).read_text() == file.read_text()


@pytest.mark.parametrize("name", NAMES)
def test_the_pages_show_the_committed_tables(name: str):
    shown = {table.strip() for page in PAGES for table in tables(page.read_text())}
    committed = [*(RESULTS / name / "tables").glob("scores-*.md")]
    assert committed
    repeated = {"predator-prey-punishment0"} if name == "algorithms" else set[str]()
    for file in committed:
        (table,) = tables(file.read_text())
        assert table.strip() in shown or file.stem.removeprefix("scores-") in repeated, file


@pytest.mark.parametrize("name", NAMES)
def test_every_method_of_the_records_has_an_arm_in_its_study(name: str):
    planned = read(RESULTS / "studies" / f"{name}.toml")
    study = macpo.Study(name, {arm.name: macpo.Experiment() for arm in planned.arms})
    arms = " ".join(study.arms)
    for _, method, _ in finals(name):
        assert re.sub(r"[^\w .=+-]", "", method, flags=re.ASCII).strip() in arms


@pytest.mark.parametrize("file", STUDIES, ids=lambda file: file.stem)
def test_every_study_can_be_carried_out_and_no_two_of_its_arms_train_the_same(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    fake, planned = install(monkeypatch), read(file)
    with pytest.raises(SystemExit) as stop:
        main(["sweep", str(file), "--out", str(tmp_path / "study")])
    assert stop.value.code == 0
    assert isinstance(planned.seeds, int)
    assert len(fake.done) == len(planned.arms) * planned.seeds
    assert len({*map(digest, fake.study.arms.values())}) == len(planned.arms)


# --- the paper's claims ---------------------------------------------------------------------------

CLAIMS = {
    "fig1": ("weightings", plan("fig1", env="predator-prey", tasks=("punishment=-2",))),
    "fig2": ("algorithms", plan("fig2", tasks=("punishment=0", "punishment=-2"))),
    "fig3": ("battles", plan("fig3")),
    "fig4": ("ablations", plan("fig4", env="predator-prey", tasks=("punishment=-2",))),
}
"""By figure: the records and the plan with which the command was given."""


def claims(figure: str) -> str:
    (table,) = tables((RESULTS / "claims" / figure / "claims.md").read_text())
    return table.strip()


@pytest.mark.parametrize("figure", CLAIMS)
def test_the_claims_are_judged_on_the_records(figure: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(ROOT)
    name, planned = CLAIMS[figure]
    records = [Path("results") / "records" / f"{name}.json"]
    judged = verdicts(planned, summarise(collect(records)))
    written = markdown(claim_table(planned, judged, records))
    assert written == (RESULTS / "claims" / figure / "claims.md").read_text()


def judged(figure: str) -> list[list[str]]:
    """Claim, task, difference, interval, seeds and verdict of each committed cell."""
    (_, *tasks), _, *rows = map(cells, claims(figure).splitlines())
    found: list[list[str]] = []
    for claim, *told in rows:
        for task, cell in zip(tasks, told, strict=True):
            if cell != "–":
                parts = re.fullmatch(r"(\S+)(?: (\[.*\]))?, (\d+) seeds?: (\w+)", cell)
                assert parts is not None, cell
                found.append([claim, task, *(part or "–" for part in parts.groups())])
    return found


@pytest.mark.parametrize("figure", CLAIMS)
def test_the_results_show_the_claims_as_they_were_judged(figure: str):
    head = ["claim", "task", "difference", "95 % interval", "seeds", "verdict"]
    shown = [
        [*map(cells, table.splitlines())] for table in tables((RESULTS / "README.md").read_text())
    ]
    assert [head, ["---"] * len(head), *judged(figure)] in shown


def test_the_front_page_shows_the_claims_as_they_were_judged():
    text = (ROOT / "README.md").read_text()
    (table,) = (table for table in tables(text) if table.startswith("| claim |"))
    head, _, *rows = map(cells, table.splitlines())
    assert head == ["claim", "at 0", "verdict", "at −2", "verdict"]
    told = [
        [claim, task, *values]
        for claim, *at_0, difference, verdict in rows
        for task, values in (
            ("punishment=0", at_0),
            ("punishment=-2", [difference, verdict]),
        )
    ]
    assert told == [
        [claim, task, difference, verdict]
        for claim, task, difference, _, _, verdict in judged("fig2")
    ]


def test_the_front_page_has_the_return_of_each_method_at_each_punishment():
    (table,) = (table for table in tables((ROOT / "README.md").read_text()) if "| QPLEX |" in table)
    names, _, *rows = map(cells, table.splitlines())
    assert len(rows) == 4
    for punishment, *returns in rows:
        final = scores("algorithms", f"predator-prey-punishment{punishment.replace('−', '-')}")
        assert returns == [final[name].split()[0] for name in names[1:]]


def test_the_readme_tells_the_returns_of_the_tables():
    text = " ".join((ROOT / "README.md").read_text().split())
    at_0, at_2 = (scores("algorithms", f"predator-prey-punishment{p}") for p in ("0", "-2"))
    assert f"At punishment 0 MAC-PO ends at {at_0['MAC-PO']}." in text
    assert f"At −2 it stays at {at_2['MAC-PO']}, where CW-QMIX reaches {at_2['CW-QMIX']}." in text


def scores(name: str, task: str) -> dict[str, str]:
    """`IQM [low, high]` of each method in a committed table."""
    (table,) = tables((RESULTS / name / "tables" / f"scores-{task}.md").read_text())
    rows = map(cells, table.splitlines()[2:])
    return {row[0]: f"{row[2]} {row[3]}" for row in rows}


def early(method: str) -> float:
    """The mean greedy return between 100k and 200k env steps at punishment 0, both ends counted."""
    found = collect([RESULTS / "records" / "algorithms.json"])
    index = [each.label for each in found.methods].index(method)
    task = [each.title for each in found.tasks].index("predator-prey, punishment=0")
    curves = [seed.evaluations["test_return_mean"] for seed in found.seeds[task, index]]
    within = [c.values[(c.env_steps >= 100_000) & (c.env_steps <= 200_000)] for c in curves]
    return float(np.mean(np.concatenate(within)))


def test_the_catches_under_the_microscope_are_those_that_were_recorded():
    rows: list[str] = []
    for file in moment_files(RESULTS / "microscope" / "replay"):
        moment = read_moment(file)
        about, steps = moment.about, moment.steps
        catch = steps.reward == 10  # the catch alone, and nobody punished
        errors = np.abs(steps.q - steps.target)[catch]
        value = np.exp(steps.log_factors[catch][:, about.factors.index("value")])
        numbers = [float(np.median(x)) for x in (errors, value, steps.weight[catch]) if catch.any()]
        if numbers:
            error, gap, weight = numbers
            row = (f"{about.env_steps // 1000}k", catch.sum(), f"{error:.1f}", f"{gap:.2g}")
            rows.append(f"| {' | '.join(map(str, (*row, f'{weight:.2g}')))} |")
    text = (RESULTS / "README.md").read_text()
    assert "\n".join(f"  {row}" for row in rows) in text


def test_the_text_tells_the_early_means_of_the_table():
    told = {method: f"{early(method):.1f}" for method in ("MAC-PO", "OW-QMIX", "QMIX")}
    text = " ".join((RESULTS / "README.md").read_text().split())
    assert (
        f"between 100k and 200k env steps is {told['QMIX']} for QMIX, {told['OW-QMIX']} for "
        f"OW-QMIX, {told['MAC-PO']}" in text
    )


def test_scripted_battles_are_those_of_the_file():
    with (RESULTS / "calibration.csv").open(newline="") as handle:
        measured = {(row["map"], row["script"]): row for row in csv.DictReader(handle)}
    scripts = ("at_random", "all_stop", "nearest", "kite")
    page = tables((ROOT / "docs" / "starcraft.md").read_text())
    told = [table for table in page if table.startswith("| won of 600, return |")]
    assert len(told) == 2
    for line in (line for table in told for line in table.splitlines()[2:]):
        place, *shown = cells(line)
        for cell, script in zip(shown, scripts, strict=True):
            row = measured[place, script]
            won, mean, half = (float(row[name]) for name in ("won", "return", "return ±"))
            assert cell == f"{600 * won:.0f}, {mean:.2f} ± {half:.2f}"
