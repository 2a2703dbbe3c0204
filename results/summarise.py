"""Turn finished runs into what is committed: evaluations as CSV, tables, curves, weights over time.

python results/summarise.py runs/results results
"""

import csv
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from macpo.report.curves import draw_comparison

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


def read(run: Path, kind: str) -> list[dict[str, Any]]:
    rows = (json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines())
    return [row for row in rows if row["kind"] == kind]


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


def table_row(label: str, run: Path) -> str:
    tests, trains = read(run, "test"), read(run, "train")
    seeds = sorted({row["seed"] for row in tests})
    by_seed = [[r["test_return_mean"] for r in tests if r["seed"] == s] for s in seeds]
    final = [float(np.mean(returns[-3:])) for returns in by_seed]
    late = [row for s in seeds for row in [r for r in trains if r["seed"] == s][-20:]]
    means = [np.mean([r[n] for r in late if n in r] or [np.nan]) for n in DIAGNOSTICS]
    updates = [max(r["updates"] for r in tests if r["seed"] == s) for s in seeds]
    cells = [
        label,
        str(len(seeds)),
        f"{tests[-1]['env_steps']:,}",
        ", ".join(f"{n:,}" for n in updates),
        ", ".join(f"{x:.1f}" for x in final),
        f"{np.mean(final):.1f} ± {np.std(final, ddof=1):.1f}" if len(seeds) > 1 else "–",
        f"{max(max(returns) for returns in by_seed):.1f}",
        *(f"{m:.3g}" for m in means[:1]),
        *(f"{m:.2f}" for m in means[1:2]),
        *(f"{m:.4f}" for m in means[2:3]),
        *(f"{m:.2f}" for m in means[3:]),
    ]
    return f"| {' | '.join(cells)} |"


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
    """Write what belongs together, print its table; the weights of its runs over time."""
    found = with_tests({m: runs / f"punishment{punishment}_{m}" for m in GROUPS[suffix]})
    if not found:
        return []
    name = f"punishment{punishment}{suffix}"
    write_evaluations(out / f"{name}.csv", found, ("test_return_mean", "test_return_std"))
    print(
        f"\n## {name}\n\n"
        "| method | seeds | env steps | updates, each seed | last 3 evaluations, each seed | "
        "mean ± s.d. over seeds | best evaluation | raw weight | ESS share | f | "
        f"abs. TD error | training return |\n|{'---|' * 12}"
    )
    for method, run in found.items():
        print(table_row(LABELS[method], run))
    title = f"Predator-Prey, punishment {punishment}"
    draw(out / f"{name}.png", found, title, "test_return_mean")
    if suffix in ("_algorithms", "_table"):
        return []
    rows = (weights_over_time(method, punishment, run) for method, run in found.items())
    return [row for rows_of_run in rows for row in rows_of_run]


def battle(name: str, runs: Path, out: Path) -> None:
    """Write what was won on a map, print its table."""
    found = with_tests({method: gathered(runs / f"{name}_{method}") for method in BATTLES})
    if not found:
        return
    metrics = ("test_battle_won_mean", "test_return_mean", "test_ep_length_mean")
    write_evaluations(out / f"battles_{name}.csv", found, metrics)
    print(
        f"\n## battles_{name}\n\n| method | seeds | env steps | updates, each seed | battles won, "
        "last 3 evaluations, each seed | mean ± s.d. over seeds | best evaluation | return | "
        f"length |\n|{'---|' * 9}"
    )
    for method, run in found.items():
        tests = read(run, "test")
        seeds = [[r for r in tests if r["seed"] == s] for s in sorted({r["seed"] for r in tests})]
        won = [float(np.mean([r["test_battle_won_mean"] for r in rows[-3:]])) for rows in seeds]
        late = [row for rows in seeds for row in rows[-3:]]
        cells = [
            LABELS[method],
            str(len(seeds)),
            f"{tests[-1]['env_steps']:,}",
            ", ".join(f"{rows[-1]['updates']:,}" for rows in seeds),
            ", ".join(f"{x:.2f}" for x in won),
            f"{np.mean(won):.2f} ± {np.std(won, ddof=1):.2f}" if len(seeds) > 1 else "–",
            f"{max(row['test_battle_won_mean'] for row in tests):.2f}",
            *(f"{np.mean([row[n] for row in late]):.1f}" for n in metrics[1:]),
        ]
        print(f"| {' | '.join(cells)} |")
    draw(out / f"battles_{name}.png", found, f"{name} (smac-jax)", "test_battle_won_mean")


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
    main(Path(sys.argv[1]), Path(sys.argv[2]))
