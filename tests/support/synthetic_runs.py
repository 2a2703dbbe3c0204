"""Run directories that look like those of `macpo train`, without training."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from macpo.envs.predator_prey import CATCH, STAY, Config
from macpo.experiment import Experiment, Run, to_dict
from macpo.runs.record.moment import About, Listed, Moment, Steps, moment_file, write_moment

WEIGHTINGS = ("macpo", "uniform", "discor", "per", "owqmix", "remern", "pser", "reaper", "relo")


def write_runs(
    folder: Path,
    weightings: Sequence[str] = WEIGHTINGS[:2],
    n_seeds: int = 5,
    n_evaluations: int = 20,
    trains_per_evaluation: int = 3,
    punishment: float = -2.0,
) -> None:
    """A run for each weighting and seed; what a weighting reaches rises with its place."""
    for i, weighting in enumerate(weightings):
        for seed in range(n_seeds):
            run = Run(seed=seed, steps=10_000 * n_evaluations)
            experiment = Experiment(env=Config(punishment=punishment), weighting=weighting, run=run)
            directory = folder / f"{weighting}-seed{seed}"
            directory.mkdir(parents=True)
            (directory / "experiment.json").write_text(json.dumps(to_dict(experiment)))
            rows = _rows(seed, 40 / (1 + i), n_evaluations, trains_per_evaluation)
            lines = "".join(json.dumps(row) + "\n" for row in rows)
            (directory / "metrics.jsonl").write_text(lines)


def write_replay(run: Path, moments: int = 2, n_steps: int = 40) -> None:
    """A recording as of MAC-PO's weights: in every moment m, step 7 of episode 2 is a joint catch
    with |δ| = 10 and a weight of 10·e⁻¹⁰, and all other errors are below one."""
    (run / "replay").mkdir()
    for m in range(1, moments + 1):
        place = np.arange(n_steps, dtype=np.int32)
        error = np.where(place == 27, 10.0, 0.9 - 0.02 * place / m).astype(np.float32)
        gap = np.where(place == 27, 10.0, 0.1 * m).astype(np.float32)
        logs = np.stack([np.log(error), -gap, np.zeros_like(error)], -1)
        raw = np.exp(logs.sum(-1))
        zeros, ones = np.zeros_like(error), np.ones_like(error)
        steps = Steps(
            *(place // 10, place % 10, 0 * place),
            *(zeros, error, gap, np.where(place == 27, 10, 0).astype(np.float32)),
            *(logs.sum(-1), ones, raw / raw.mean(), logs),
        )
        listed = np.array([0, 1, 2, 3, 27, 36, 37, 38, 39], np.int32)
        cells = np.arange(16, dtype=np.uint8) + listed[:, None].astype(np.uint8)
        states = tuple(np.stack([x, x], 1) for x in (cells[:, :8], cells[:, 8:]))
        actions = np.where(listed[:, None] == 27, CATCH, STAY) * np.ones((1, 8), np.int8)
        about = About(
            *(m, 0, 1000 * m, 10 * m, "macpo", "|δ| · exp(−|Q_tot − Q*|) · f(π).", ""),
            *(4, 6400, ("bellman", "value", "joint")),
        )
        moment = Moment(about, steps, Listed(listed, actions.astype(np.int8), states))
        write_moment(moment_file(run / "replay", m), moment)


def _rows(
    seed: int, end: float, n_evaluations: int, trains_per_evaluation: int
) -> list[dict[str, str | int | float]]:
    rng = np.random.default_rng(seed)
    rows: list[dict[str, str | int | float]] = []
    for i in range(n_evaluations * trains_per_evaluation):
        progress = (i + 1) / (n_evaluations * trains_per_evaluation)
        env_steps = int(10_000 * n_evaluations * progress)
        common = {"seed": seed, "env_steps": env_steps, "episodes": 8 * i, "updates": i}
        value = end * progress**2 + float(rng.normal())
        names = ("loss", "loss_td", "loss_central", "grad_norm", "valid_steps", "f_mean", "f_std")
        names += ("td_error_abs", "q_taken_mean", "target_mean", "q_star_gap", "pi_taken_mean")
        names += ("weight_raw_mean", "weight_mean", "weight_max", "weight_ess_fraction")
        noise = dict(zip(names, rng.uniform(size=len(names)).tolist(), strict=True))
        more = {"epsilon": 1 - progress, "return_mean": value, "ep_length_mean": 200.0, **noise}
        rows.append({"kind": "train", **common, **more})
        if i % trains_per_evaluation == trains_per_evaluation - 1:
            tested = {"test_return_mean": value, "test_return_std": 1.0, "test_ep_length_mean": 9.0}
            rows.append({"kind": "test", **common, **tested})
    return rows
