"""Turn finished runs into what is committed: evaluations as CSV, a table, curves.

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
}
DIAGNOSTICS = ("weight_raw_mean", "weight_ess_fraction", "f_mean", "td_error_abs", "return_mean")


def read(run: Path, kind: str) -> list[dict[str, Any]]:
    rows = (json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines())
    return [row for row in rows if row["kind"] == kind]


def table_row(label: str, run: Path) -> str:
    tests, trains = read(run, "test"), read(run, "train")
    seeds = sorted({row["seed"] for row in tests})
    by_seed = [[r["test_return_mean"] for r in tests if r["seed"] == s] for s in seeds]
    final = [float(np.mean(returns[-3:])) for returns in by_seed]
    late = [row for s in seeds for row in [r for r in trains if r["seed"] == s][-20:]]
    means = [np.mean([r[n] for r in late if n in r] or [np.nan]) for n in DIAGNOSTICS]
    cells = [
        label,
        str(len(seeds)),
        f"{tests[-1]['env_steps']:,}",
        f"{tests[-1]['updates']:,}",
        ", ".join(f"{x:.1f}" for x in final),
        f"{np.mean(final):.1f} ± {np.std(final, ddof=1):.1f}" if len(seeds) > 1 else "–",
        f"{max(max(returns) for returns in by_seed):.1f}",
        *(f"{m:.3g}" for m in means[:1]),
        *(f"{m:.2f}" for m in means[1:2]),
        *(f"{m:.4f}" for m in means[2:3]),
        *(f"{m:.2f}" for m in means[3:]),
    ]
    return f"| {' | '.join(cells)} |"


def main(runs: Path, out: Path) -> None:
    for punishment in ("0", "-2"):
        paths = {method: runs / f"punishment{punishment}_{method}" for method in LABELS}
        found = {
            method: run
            for method, run in paths.items()
            if (run / "metrics.jsonl").exists() and read(run, "test")
        }
        if not found:
            continue
        with (out / f"punishment{punishment}.csv").open("w", newline="") as handle:
            writer = csv.writer(handle)
            names = ("seed", "env_steps", "updates", "test_return_mean", "test_return_std")
            writer.writerow(["method", *names])
            for method, run in found.items():
                for row in read(run, "test"):
                    writer.writerow([method, *(f"{row[n]:g}" for n in names)])
        print(
            f"\n## punishment {punishment}\n\n"
            "| method | seeds | env steps | updates | last 3 evaluations, each seed | mean ± s.d. "
            "over seeds | best evaluation | raw weight | ESS share | f | abs. TD error | "
            f"training return |\n|{'---|' * 12}"
        )
        for method, run in found.items():
            print(table_row(LABELS[method], run))
        draw_comparison(
            [*found.values()],
            [LABELS[method].replace("`", "") for method in found],
            out / f"punishment{punishment}.png",
            f"Predator-Prey, punishment {punishment}",
        )


main(Path(sys.argv[1]), Path(sys.argv[2]))
