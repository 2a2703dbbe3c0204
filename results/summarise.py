"""Turn finished runs into what is committed: evaluations as CSV, tables, curves, weights over time.

python results/summarise.py runs/results results  # everything
python results/summarise.py results               # the tables, from the evaluations as CSV
"""

import csv
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from macpo.report.curves import draw_comparison
from macpo.report.records import read_metrics

LABELS = {
    "qmix": "QMIX",
    "owqmix": "OW-QMIX",
    "macpo": "MAC-PO (`macpo`)",
    "macpo-official": "MAC-PO (`macpo-official`)",
    "macpo-approx": "MAC-PO Approximation",
    "per": "PER",
    "discor": "DisCor",
    "remern": "ReMERN",
    "pser": "PSER",
    "macpo-no-value": "MAC-PO without value enhancement",
    "macpo-no-bellman": "MAC-PO without the Bellman error",
    "macpo-no-joint": "MAC-PO without the collective term",
    "macpo-raw": "MAC-PO, raw weights",
    "macpo-unmasked": "MAC-PO, unavailable actions in π",
    "macpo-temperature10": "MAC-PO, value temperature 10",
    "qmix-central": "QMIX, targets of Q*",
    "cwqmix": "CW-QMIX",
    "cwqmix-short": "CW-QMIX",
    "per-rank": "PER by rank",
    "per-pal": "PER as a loss (PAL)",
    "remert": "ReMERT",
    "discor-net": "DisCor, learned error",
    "remern-net": "ReMERN, learned error",
    "relo": "ReLo",
    "reaper": "ReaPER",
    "laber": "LaBER",
    "differ": "DIFFER",
    "qplex": "QPLEX",
    "vdac": "VDAC-mix",
    "dop": "DOP",
    "fop": "FOP",
    "iql": "IQL",
    "vdn": "VDN",
    "qtran": "QTRAN",
}
TABLE = ("iql", "vdn", "qmix", "cwqmix", "owqmix", "qplex", "qtran", "dop", "fop")
LABELS |= {f"{a}_uniform": f"{LABELS[a]}, as it is" for a in TABLE}
LABELS |= {f"{a}_macpo": f"{LABELS[a]}, MAC-PO's weights" for a in TABLE}
GROUPS = {
    "": [
        *("qmix", "owqmix", "macpo", "macpo-official", "macpo-approx"),
        *("per", "discor", "remern", "pser"),
    ],
    "_ablations": [
        *("macpo", "macpo-no-value", "macpo-no-bellman", "macpo-no-joint", "macpo-raw"),
        *("macpo-unmasked", "macpo-temperature10", "qmix-central"),
    ],
    "_others": [
        *("per-rank", "per-pal", "remert", "discor-net", "remern-net"),
        *("relo", "reaper", "laber", "differ", "cwqmix-short"),
    ],
    "_algorithms": ["qmix", "owqmix", "macpo", "cwqmix", "qplex", "vdac", "dop", "fop"],
    "_table": [
        name
        for a in TABLE  # where three seeds were run anyway, those are shown
        for name in (a if a in ("cwqmix", "qplex", "dop", "fop") else f"{a}_uniform", f"{a}_macpo")
    ],
}
"""What is drawn together, by the end of the files' names."""
ALL = [suffix for suffix in GROUPS if suffix != "_table"]
PUNISHMENTS = {"0": [*GROUPS], "-0.5": ["_algorithms"], "-1.5": ["_algorithms"], "-2": ALL}
MAPS = ("3s_vs_5z", "5m_vs_6m", "MMM2")
BATTLES = ("qmix", "macpo", "qmix-central")
WEIGHTING = {
    "qmix": "uniform",
    "qmix-central": "uniform",
    "cwqmix-short": "cwqmix",
} | dict.fromkeys(("macpo-official", "macpo-raw", "macpo-unmasked", "macpo-temperature10"), "macpo")
SETTINGS = {
    "macpo-official": "macpo-official",
    "macpo-raw": "normalise none",
    "macpo-unmasked": "include-unavailable",
    "macpo-temperature10": "value-temperature 10",
    "qmix-central": "target-source central",
}
DIAGNOSTICS = ("weight_raw_mean", "weight_ess_fraction", "f_mean", "td_error_abs", "return_mean")
SPANS = ((0, 25_000), (25_000, 75_000), (75_000, 150_000), (150_000, 300_000))
OVER_TIME = {
    "weight_raw_mean": "mean raw weight",
    "weight_ess_fraction": "ESS share",
    "weight_max": "largest weight",
    "weight_share_small": "share below 0.001",
    "f_mean": "f mean",
    "f_std": "f s.d.",
    "td_error_abs": "mean abs. TD error",
    "q_star_gap": "mean gap to Q*",
}


FIGURE_2 = ("qmix", "owqmix", "cwqmix", "macpo", "qplex", "vdac", "fop", "dop")
"""The systems of the paper's figure, in the order of the tables."""
EARLY = (100_000, 200_000)
"""Env steps between which learners of the same end are told apart; both ends count."""


# --- from runs ------------------------------------------------------------------------------------


def read(run: Path, kind: str) -> list[dict[str, Any]]:
    return [row for row in read_metrics(run) if row["kind"] == kind]


def with_tests(paths: dict[str, Path]) -> dict[str, Path]:
    """Those runs that have been evaluated."""
    return {
        method: run
        for method, run in paths.items()
        if (run / "metrics.jsonl").exists() and read(run, "test")
    }


def gathered(run: Path) -> Path:
    """The run, with its further seeds (NAME-seed1, …) where those were trained on their own."""
    others = sorted(run.parent.glob(f"{run.name}-seed*/metrics.jsonl"))
    if not others:
        return run
    together = run.parent / "gathered" / run.name
    together.mkdir(parents=True, exist_ok=True)
    lines = (file.read_text() for file in (run / "metrics.jsonl", *others))
    (together / "metrics.jsonl").write_text("".join(lines))
    return together


def write_evaluations(file: Path, runs: dict[str, Path], metrics: tuple[str, ...]) -> None:
    """Every evaluation of every seed as CSV."""
    names = ("seed", "env_steps", "updates", *metrics)
    with file.open("w", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(["method", *names])
        for method, run in runs.items():
            for row in read(run, "test"):
                writer.writerow([method, *(f"{row[n]:g}" for n in names)])


def draw(file: Path, runs: dict[str, Path], title: str, metric: str) -> None:
    """All runs in one picture."""
    labels = [LABELS[method].replace("`", "") for method in runs]
    draw_comparison([*runs.values()], labels, file, title, metric)


def weights_row(label: str, run: Path) -> str:
    """Means over the last 20 iterations of every seed."""
    trains = read(run, "train")
    seeds = sorted({row["seed"] for row in trains})
    late = [row for s in seeds for row in [r for r in trains if r["seed"] == s][-20:]]
    means = [np.mean([r[n] for r in late if n in r] or [np.nan]) for n in DIAGNOSTICS]
    forms = (".3g", ".2f", ".4f", ".2f", ".2f")
    return markdown_row([label, *(f"{m:{form}}" for m, form in zip(means, forms, strict=True))])


def weights_over_time(method: str, punishment: str, run: Path) -> list[dict[str, str]]:
    """What a run's weights were like, in spans of env steps; means over seeds and updates."""
    learned = [row for row in read(run, "train") if row["updates"] > 0]
    end = max(row["env_steps"] for row in learned)
    rows: list[dict[str, str]] = []
    for start, stop in SPANS:
        inside = [row for row in learned if start < row["env_steps"] <= stop]
        if not inside:
            continue
        row = {
            "weighting": WEIGHTING.get(method, method),
            "run": f"punishment{punishment}_{method}",
            "punishment": punishment,
            "setting": SETTINGS.get(method, "default"),
            "env steps": f"{start // 1000}k–{min(stop, end) // 1000}k",
            "updates": str(max(r["updates"] for r in inside)),
        }
        for name, title in OVER_TIME.items():
            values = [r[name] for r in inside if isinstance(r.get(name), float)]
            row[title] = f"{np.mean(values):.4g}" if values else ""
        rows.append(row)
    return rows


def group(punishment: str, suffix: str, runs: Path, out: Path) -> list[dict[str, str]]:
    """Write what belongs together, print its weights; the weights of its runs over time."""
    found = with_tests({m: runs / f"punishment{punishment}_{m}" for m in GROUPS[suffix]})
    if not found:
        return []
    name = f"punishment{punishment}{suffix}"
    write_evaluations(out / f"{name}.csv", found, ("test_return_mean", "test_return_std"))
    head = ("method", "raw weight", "ESS share", "f", "abs. TD error", "training return")
    print(f"\n## {name}: weights\n\n{markdown_row(head)}\n|{'---|' * len(head)}")
    for method, run in found.items():
        print(weights_row(LABELS[method], run))
    title = f"Predator-Prey, punishment {punishment}"
    draw(out / f"{name}.png", found, title, "test_return_mean")
    if suffix in ("_algorithms", "_table"):
        return []
    rows = (weights_over_time(method, punishment, run) for method, run in found.items())
    return [row for rows_of_run in rows for row in rows_of_run]


def battle(name: str, runs: Path, out: Path) -> None:
    """Write what was won on a map, print returns and lengths."""
    found = with_tests({method: gathered(runs / f"{name}_{method}") for method in BATTLES})
    if not found:
        return
    metrics = ("test_battle_won_mean", "test_return_mean", "test_ep_length_mean")
    write_evaluations(out / f"battles_{name}.csv", found, metrics)
    print(f"\n## battles_{name}: last 3\n\n| method | return | length |\n|{'---|' * 3}")
    for method, run in found.items():
        tests = read(run, "test")
        seeds = [[r for r in tests if r["seed"] == s] for s in sorted({r["seed"] for r in tests})]
        late = [row for rows in seeds for row in rows[-3:]]
        means = (f"{np.mean([row[n] for row in late]):.1f}" for n in metrics[1:])
        print(markdown_row([LABELS[method], *means]))
    draw(out / f"battles_{name}.png", found, f"{name} (smac-jax)", "test_battle_won_mean")


# --- tables of evaluations, from their CSV --------------------------------------------------------


class Evaluation(NamedTuple):
    """One evaluation of one seed."""

    seed: int
    env_steps: float
    updates: int
    value: float
    """Greedy return, or the share of battles won."""


class Summary(NamedTuple):
    """What a method's evaluations come to."""

    updates: list[int]
    """Of each seed, at its last evaluation."""
    last: list[float]
    """Of each seed, the mean of its last three evaluations."""
    best: float
    early: float
    """The mean of all evaluations within `EARLY`; NaN if there are none."""


class Table(NamedTuple):
    """A table of one of the READMEs, or the left part of it."""

    title: str
    head: tuple[str, ...]
    rows: list[tuple[str, ...]]


def read_evaluations(
    file: Path, metric: str = "test_return_mean"
) -> Mapping[str, list[Evaluation]]:
    """Every evaluation, by method."""
    found: dict[str, list[Evaluation]] = {}
    with file.open(newline="") as handle:
        for row in csv.DictReader(handle):
            evaluation = Evaluation(
                int(row["seed"]), float(row["env_steps"]), int(row["updates"]), float(row[metric])
            )
            found.setdefault(row["method"], []).append(evaluation)
    return found


def summarise(evaluations: Sequence[Evaluation]) -> Summary:
    seeds = sorted({e.seed for e in evaluations})
    by_seed = [[e for e in evaluations if e.seed == seed] for seed in seeds]
    first, last = EARLY
    early = [e.value for e in evaluations if first <= e.env_steps <= last]
    return Summary(
        [of_seed[-1].updates for of_seed in by_seed],
        [float(np.mean([e.value for e in of_seed[-3:]])) for of_seed in by_seed],
        max(e.value for e in evaluations),
        float(np.mean(early)) if early else np.nan,
    )


def mean_and_deviation(last: Sequence[float]) -> str:
    return f"{np.mean(last):.1f} ± {np.std(last, ddof=1):.1f}" if len(last) > 1 else "–"


def listed(values: Sequence[float], form: str) -> str:
    return ", ".join(f"{value:{form}}" for value in values)


def markdown_row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def tables(out: Path) -> list[Table]:
    """The tables of README.md and battles.md, as far as they are made of evaluations."""
    runs = {
        name: {m: summarise(e) for m, e in read_evaluations(file).items()} if file.exists() else {}
        for punishment, suffixes in PUNISHMENTS.items()
        for suffix in suffixes
        for name in [f"punishment{punishment}{suffix}"]
        for file in [out / f"{name}.csv"]
    }
    battles = {
        name: read_evaluations(file, "test_battle_won_mean")
        for name in MAPS
        for file in [out / f"battles_{name}.csv"]
        if file.exists()
    }
    return [
        _table_at_0(runs["punishment0"]),
        _table_with_best("Punishment −2", runs["punishment-2"], GROUPS[""]),
        _table_with_best("Ablations", runs["punishment-2_ablations"], GROUPS["_ablations"][1:]),
        _table_of_others(runs["punishment0_others"]),
        _table_of_algorithms(
            "punishment 0", {**runs["punishment0"], **runs["punishment0_algorithms"]}
        ),
        _table_of_algorithms("punishment −2", runs["punishment-2_algorithms"]),
        _table_between(runs["punishment-0.5_algorithms"], runs["punishment-1.5_algorithms"]),
        _table_of_weights(runs["punishment0_table"]),
        _table_of_battles(battles),
    ]


def _table_at_0(runs: Mapping[str, Summary]) -> Table:
    low, high = (f"{end // 1000}k" for end in EARLY)
    rows = [
        (
            LABELS[method],
            f"{run.updates[-1]:,}",
            listed(run.last, ".1f"),
            mean_and_deviation(run.last),
            f"{run.early:.1f}",
        )
        for method, run in runs.items()
    ]
    head = (
        *("method", "updates", "last 3, each seed", "mean ± s.d. over seeds"),
        f"mean of evaluations, {low}–{high}",
    )
    return Table("Punishment 0", head, rows)


def _table_with_best(title: str, runs: Mapping[str, Summary], methods: Sequence[str]) -> Table:
    rows = [
        (
            LABELS[method],
            listed(run.updates, ","),
            listed(run.last, ".1f"),
            mean_and_deviation(run.last),
            f"{run.best:.1f}",
        )
        for method in methods
        if method in runs
        for run in [runs[method]]
    ]
    head = (
        *("method", "updates, each seed", "last 3 evaluations, each seed"),
        *("mean ± s.d. over seeds", "best"),
    )
    return Table(title, head, rows)


def _table_of_others(runs: Mapping[str, Summary]) -> Table:
    rows = [
        (LABELS[method], listed(run.updates, ","), listed(run.last, ".1f"), f"{run.best:.1f}")
        for method, run in runs.items()
        if method != "cwqmix-short"  # stopped early; the text tells its best evaluation
    ]
    return Table("The other weightings", ("method", "updates", "last 3", "best"), rows)


def _table_of_algorithms(punishment: str, runs: Mapping[str, Summary]) -> Table:
    rows = [
        (
            "MAC-PO (QMIX)" if method == "macpo" else LABELS[method],
            listed(run.last, ".1f"),
            mean_and_deviation(run.last),
            f"{run.best:.1f}",
        )
        for method in FIGURE_2
        if method in runs
        for run in [runs[method]]
    ]
    return Table("Algorithms", (punishment, "last 3, each seed", "mean ± s.d.", "best"), rows)


def _table_between(*punishments: Mapping[str, Summary]) -> Table:
    rows = [
        (
            LABELS[method],
            *(
                cell
                for runs in punishments
                for run in [runs[method]]
                for cell in (
                    listed(run.last, ".1f"),
                    f"{run.best:.1f}",
                    listed(run.updates, ","),
                )
            ),
        )
        for method in FIGURE_2
        if all(method in runs for runs in punishments)
    ]
    head = ("", "−0.5", "best", "updates", "−1.5", "best", "updates")
    return Table("Punishments −0.5 and −1.5", head, rows)


def _table_of_weights(runs: Mapping[str, Summary]) -> Table:
    """Of seed 0; an algorithm with three seeds is not run again as it is."""

    def of_seed_0(name: str) -> str:
        return f"{runs[name].last[0]:.1f}" if name in runs else "–"

    as_it_is = (a if a in runs else f"{a}_uniform" for a in TABLE)
    rows = [
        ("as it is", *map(of_seed_0, as_it_is)),
        ("MAC-PO's weights", *(of_seed_0(f"{a}_macpo") for a in TABLE)),
    ]
    head = ("", *(LABELS[a] for a in TABLE))
    return Table("Algorithms × {uniform, MAC-PO}", head, rows if runs else [])


def _table_of_battles(maps: Mapping[str, Mapping[str, list[Evaluation]]]) -> Table:
    rows = [
        (
            name if method == "qmix" else "",
            LABELS[method].removesuffix(" (`macpo`)"),
            _seeds(methods[method]),
            listed(run.updates, ","),
            listed(run.last, ".2f"),
            f"{run.best:.2f}",
        )
        for name, methods in maps.items()
        for method in BATTLES
        if method in methods
        for run in [summarise(methods[method])]
    ]
    head = (
        *("map", "method", "seeds", "updates, each seed"),
        *("battles won, last 3, each seed", "best evaluation"),
    )
    return Table("Battles", head, rows)


def _seeds(evaluations: Sequence[Evaluation]) -> str:
    """How many; with their million env steps where these are not the usual 2M each."""
    last = {e.seed: round(e.env_steps / 1e6) for e in evaluations}
    usual = set(last.values()) == {2}
    return f"{len(last)}" if usual else f"{len(last)}: {', '.join(f'{n}M' for n in last.values())}"


def print_tables(out: Path) -> None:
    for table in filter(lambda table: table.rows, tables(out)):
        print(f"\n## {table.title}\n\n{markdown_row(table.head)}\n|{'---|' * len(table.head)}")
        for row in table.rows:
            print(markdown_row(row))


def main(runs: Path, out: Path) -> None:
    for name in MAPS:
        battle(name, runs, out)
    over_time = {
        (row["run"], row["env steps"]): row  # a run may be in two groups
        for punishment, suffixes in PUNISHMENTS.items()
        for suffix in suffixes
        for row in group(punishment, suffix, runs, out)
    }
    if not over_time:
        return
    with (out / "weightings.csv").open("w", newline="") as handle:
        writer = csv.DictWriter(handle, list(next(iter(over_time.values()))))
        writer.writeheader()
        writer.writerows(over_time.values())


if __name__ == "__main__":
    *runs_folder, results_folder = map(Path, sys.argv[1:])
    for folder in runs_folder:
        main(folder, results_folder)
    print_tables(results_folder)
