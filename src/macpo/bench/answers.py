"""What a study costs beyond its runs, and the page about a hundred of them."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from macpo.bench.measure import Flags, Result
from macpo.experiment import Experiment, Run, to_dict
from macpo.machine import available_cores
from macpo.runs.directory import RunDirectory
from macpo.runs.files import parse_json, write_json

WEIGHTINGS = ("macpo", "macpo-approx", "per", "discor", "uniform")
PUNISHMENTS = (0.0, -0.5, -1.5, -2.0)
SEEDS = range(5)
EVALUATIONS = 300
"""Of each run; as many rows of training come with them."""


def report(flags: Flags) -> list[Result]:
    """The page, figures and tables of 100 runs with 300 evaluations each, from process start."""
    with tempfile.TemporaryDirectory() as folder:
        runs, out = Path(folder) / "runs", Path(folder) / "report"
        files = write_runs(runs)
        start = time.perf_counter()
        n_rows = sum(1 for file in files for line in file.read_bytes().splitlines() if _row(line))
        reading = time.perf_counter() - start
        seconds = _seconds_of(["report", os.fspath(runs), "--out", os.fspath(out)])
        size = (out / "index.html").stat().st_size
    return [
        Result(
            f"report on {len(files)} runs with {EVALUATIONS} evaluations each",
            seconds,
            "s",
            seconds / reading,
            f"reading their {n_rows:,} rows as JSON",
        ),
        Result("its page", size / 1e6, "MB", note="without films"),
    ]


def _row(line: bytes) -> bool:
    return bool(parse_json(line))


def write_runs(folder: Path) -> list[Path]:
    """Run directories with everything but checkpoints; the files of their metrics."""
    rng, files = np.random.default_rng(0), list[Path]()
    for weighting in WEIGHTINGS:
        for punishment in PUNISHMENTS:
            for seed in SEEDS:
                run = RunDirectory(folder / f"{weighting} {punishment} {seed}")
                run.path.mkdir(parents=True)
                experiment = Experiment(weighting=weighting, run=Run(seed=seed))
                data = to_dict(experiment)
                data["env"]["punishment"] = punishment
                write_json(run.experiment, data)
                run.metrics.write_text("".join(_rows(rng, seed)))
                files.append(run.metrics)
    return files


def _rows(rng: np.random.Generator, seed: int) -> list[str]:
    returns = 40 / (1 + np.exp(-np.linspace(-5, 5, EVALUATIONS) + rng.normal()))
    rows: list[str] = []
    for i, value in enumerate(returns + rng.normal(size=EVALUATIONS)):
        at = {"seed": seed, "env_steps": 1000 * i, "episodes": 8 * i, "updates": i}
        drawn = dict(zip(_TRAINING, rng.random(len(_TRAINING)).tolist(), strict=True))
        outcome = {"test_return_mean": value, "test_return_std": 1.5, "test_ep_length_mean": 99.0}
        rows += [json.dumps({"kind": "train", **at, **drawn}) + "\n"]
        rows += [json.dumps({"kind": "test", **at, **outcome}) + "\n"]
    return rows


_TRAINING = (
    *("loss", "td_error_abs", "weight_ess_fraction", "weight_raw_mean", "weight_max", "f_mean"),
    *("f_std", "q_star_gap", "q_taken_mean", "pi_taken_mean", "return_mean", "epsilon"),
)


def sweep(flags: Flags) -> list[Result]:
    """Two runs as a study, one after the other, against the same runs by hand."""
    words = ["--preset", "pymarl2", "--algorithm", "qmix", "--weighting", "uniform"]
    words += ["--steps", str(flags.steps)]
    with tempfile.TemporaryDirectory() as folder:
        _seconds_of(["train", *words, "--out", f"{folder}/compiled"])  # all later ones are warm
        by_hand = sum(
            _seconds_of(["train", *words, "--seed", str(seed), "--out", f"{folder}/{seed}"])
            for seed in range(2)
        )
        one_at_a_time = ["--jobs", "1", "--cores", str(available_cores())]
        out = f"{folder}/study"
        swept = _seconds_of(["sweep", *words, "--seeds", "2", *one_at_a_time, "--out", out])
    name = f"sweep of two runs of {flags.steps:,} env steps"
    return [Result(name, swept, "s", swept / by_hand, "`macpo train` of each")]


def _seconds_of(words: Sequence[str]) -> float:
    """Of one command of `macpo`."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", "macpo", *words], capture_output=True, check=True)
    return time.perf_counter() - start
