"""Does the direction in time of DOP's critic updates matter? Evaluations as CSV, and a table.

python results/dop_direction.py runs/dop_direction results
"""

import sys
from pathlib import Path

import numpy as np
from summarise import read, with_tests, write_evaluations

GAMES = ("matrix-game", "two-step", "punishment0")
DIRECTIONS = ("backward", "forward")


def table_row(game: str, direction: str, run: Path) -> str:
    """Means over the last three evaluations, all evaluations, the last 20 rows of training."""
    tests, trains = read(run, "test"), read(run, "train")
    seeds = sorted({row["seed"] for row in tests})
    by_seed = [[row["test_return_mean"] for row in tests if row["seed"] == s] for s in seeds]
    last = [float(np.mean(returns[-3:])) for returns in by_seed]
    played = [[row["return_mean"] for row in trains if row["seed"] == s][-20:] for s in seeds]
    cells = [
        game,
        direction,
        f"{tests[-1]['env_steps']:,}",
        ", ".join(f"{x:.1f}" for x in last),
        f"{np.mean(last):.1f} ± {np.std(last, ddof=1):.1f}",
        f"{np.mean([x for returns in by_seed for x in returns]):.1f}",
        ", ".join(f"{np.mean(x):.1f}" for x in played),
    ]
    return f"| {' | '.join(cells)} |"


def main(runs: Path, out: Path) -> None:
    found = with_tests({f"{g}_{d}": runs / f"{g}_{d}" for g in GAMES for d in DIRECTIONS})
    write_evaluations(out / "dop_direction.csv", found, ("test_return_mean", "test_return_std"))
    print(
        "| game | critic's updates | env steps | last 3 evaluations, each seed | mean ± s.d. over "
        "seeds | mean of all evaluations | training return at the end, each seed |\n"
        f"|{'---|' * 7}"
    )
    for name, run in found.items():
        print(table_row(*name.split("_"), run))
    for game in GAMES:
        both = [found[name] for d in DIRECTIONS if (name := f"{game}_{d}") in found]
        if len(both) == len(DIRECTIONS):
            one, other = ((run / "metrics.jsonl").read_bytes() for run in both)
            print(f"{game}: rows {'equal to the last bit' if one == other else 'differ'}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
