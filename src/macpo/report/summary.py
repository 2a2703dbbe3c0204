"""Every number that a report shows, from the records of its trained seeds."""

import datetime
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from jaxtyping import Float

import macpo
from macpo import statistics
from macpo.errors import UsageError, nearest, require, shown
from macpo.report.collection import DIAGNOSTICS, Collection, TrainedSeed
from macpo.report.contents import (
    FORMAT,
    Band,
    Diagnostic,
    Estimate,
    Line,
    Lines,
    MethodReport,
    Overall,
    Report,
    Scores,
    Seed,
    TaskReport,
)
from macpo.report.labels import differing
from macpo.report.score import COMPARED, final_score, usual_metric
from macpo.report.seeds import IMPORTED, Curve
from macpo.report.table import LAST_EVALUATIONS, NOTHING
from macpo.runs.best import SCORES
from macpo.runs.directory import RunDirectory
from macpo.statistics.estimates import iqm_over_last
from macpo.terminal import command

FEW_SEEDS = 5
"""Fewer are shown one by one, without a band that would hide them."""
CENTRE = 0.03
"""Share of values at each end that a picture of curves leaves out where they would flatten it."""
THRESHOLDS = 101
"""Points of a performance profile."""
BINS = 100
"""Points of a curve of training, over which its rows are averaged."""
LEVEL = 0.95
"""Of all intervals."""


def summarise(collection: Collection, metric: str | None = None) -> Report:
    """The report on these runs; `metric` replaces the usual one.

    Raises UsageError for a metric that none of them has.
    """
    known = {name for seeds in collection.seeds.values() for s in seeds for name in s.evaluations}
    require(
        metric is None or metric in known,
        f"no run has an evaluation with {shown(metric)}; {nearest(str(metric), known)} "
        f"Known: {', '.join(sorted(known)) or 'none yet'}.",
    )
    settings = [method.settings for method in collection.methods]
    tasks = tuple(_task(collection, i, metric) for i in range(len(collection.tasks)))
    lacking = [task.title for task in tasks if metric and not task.is_evaluated]
    return Report(
        FORMAT,
        macpo.__version__,
        datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        tuple(MethodReport(method.label, method.settings) for method in collection.methods),
        tuple(differing(settings)),
        tasks,
        tuple(_overall(tasks)),
        (*collection.notes, *(f"{title}: no evaluation has {metric}." for title in lacking)),
    )


def band(curves: Sequence[Curve]) -> Band:
    """The interquartile mean of some seeds over env steps, as far as all of them have come."""
    finite = [Curve(x, np.where(np.isfinite(y), y, np.nan)) for x, y in curves]
    try:
        over_seeds = statistics.iqm_curve(finite, level=LEVEL)
    except UsageError:  # nobody is evaluated yet, or the youngest only before all others
        return Band(np.empty(0), np.empty(0), None, None)
    if len(curves) < FEW_SEEDS:
        return Band(over_seeds.env_steps, over_seeds.iqm, None, None)
    return Band(*over_seeds)


# --- a task ---------------------------------------------------------------------------------------


def _task(collection: Collection, index: int, chosen: str | None) -> TaskReport:
    task = collection.tasks[index]
    seeds = {method: of for (i, method), of in collection.seeds.items() if i == index}
    everyone = [seed for of_method in seeds.values() for seed in of_method]
    there = {name for seed in everyone for name in seed.evaluations}
    metric = chosen or usual_metric(there)
    axis, digits = COMPARED.get(metric, (metric, 2))
    finals = {
        method: np.array([final_score(curve) for curve in _evaluated(of_method, metric)])
        for method, of_method in seeds.items()
    }
    thresholds = _thresholds(np.concatenate(list(finals.values())))
    scores = tuple(
        _scores(method, of_method, metric, finals, thresholds)
        for method, of_method in seeds.items()
    )
    constant = {name: value for name in DIAGNOSTICS for value in _only_value(everyone, name)}
    diagnostics = tuple(
        _diagnostic(name, seeds)
        for name in DIAGNOSTICS
        if name not in constant and any(name in seed.training for seed in everyone)
    )
    return TaskReport(
        task.title,
        task.settings,
        metric,
        axis,
        digits,
        *_range(scores),
        thresholds,
        scores,
        diagnostics,
        constant,
    )


def _range(scores: Sequence[Scores]) -> tuple[tuple[float, float] | None, int]:
    """The values that a picture must show, and how many it then leaves out.

    Few values far from all others, as early in training, would flatten every curve.
    """
    curves = [seed.curve.values for of_method in scores for seed in of_method.seeds]
    ends = np.concatenate([values[-LAST_EVALUATIONS:] for values in curves])
    values = np.concatenate(curves)
    values, ends = values[np.isfinite(values)], ends[np.isfinite(ends)]
    if not len(values):
        return None, 0
    low, high = np.quantile(values, [CENTRE, 1 - CENTRE])
    low, high = min(low, *ends), max(high, *ends)
    margin = 0.05 * (high - low)
    low, high = float(low - margin), float(high + margin)
    outside = int(((values < low) | (values > high)).sum())
    return ((low, high), outside) if np.ptp(values) > 2 * (high - low) > 0 else (None, 0)


def _scores(
    method: int,
    seeds: Sequence[TrainedSeed],
    metric: str,
    finals: Mapping[int, Float[np.ndarray, " n"]],
    thresholds: Float[np.ndarray, " K"],
) -> Scores:
    curves, evaluated = [_curve(seed, metric) for seed in seeds], _evaluated(seeds, metric)
    in_numbers = tuple(
        Seed(
            seed.seed,
            str(seed.directory),
            seed.env_steps,
            seed.updates,
            seed.wall_s,
            seed.made_by,
            _repeat(seed),
            final_score(curve),
            _area(curve),
            seed.absolute.get(metric, np.nan),
            curve,
        )
        for seed, curve in zip(seeds, curves, strict=True)
    )
    own, first = finals[method], next(iter(finals.values()))
    areas = np.array([_area(curve) for curve in evaluated])
    absolutes = np.array([seed.absolute for seed in in_numbers])
    return Scores(
        method,
        in_numbers,
        band(evaluated),
        _estimate(own) if _known(own) else Estimate(np.nan),
        _estimate(areas) if _known(areas) else Estimate(np.nan),
        _estimate(absolutes) if _known(absolutes) else Estimate(np.nan),
        tuple(_better(own, other).value for other in finals.values()),
        _better(own, first, with_interval=own is not first),
        _profile(own, thresholds),
    )


def _curve(seed: TrainedSeed, metric: str) -> Curve:
    empty = Curve(np.empty(0, int), np.empty(0))
    return seed.evaluations.get(metric, empty)


def _evaluated(seeds: Sequence[TrainedSeed], metric: str) -> list[Curve]:
    """The curves of the seeds that have been evaluated."""
    return [seed.evaluations[metric] for seed in seeds if metric in seed.evaluations]


def _area(curve: Curve) -> float:
    return statistics.area_under_curve(*curve) if len(curve.values) else np.nan


def _repeat(seed: TrainedSeed) -> str:
    if IMPORTED in seed.experiment:
        return NOTHING
    return command("macpo", "train", "--config", RunDirectory(seed.directory).experiment)


# --- all tasks ------------------------------------------------------------------------------------


def _overall(tasks: Sequence[TaskReport]) -> Iterator[Overall]:
    finals: dict[int, list[Float[np.ndarray, " n"]]] = {}
    for task in tasks:
        for scores in task.scores:
            of_task = np.array([s.final for s in scores.seeds if len(s.curve.values)])
            if _known(of_task):
                finals.setdefault(scores.method, []).append(of_task)
    everywhere = {m: _padded(each) for m, each in finals.items() if len(each) == len(tasks)}
    if len(tasks) < 2 or len(everywhere) < 2:
        return
    first = next(iter(everywhere.values()))
    are_shares = {task.metric for task in tasks} == {SCORES[0]}
    for method, scores in everywhere.items():
        yield Overall(
            method,
            _estimate(scores) if are_shares else Estimate(np.nan),
            _improvement(scores, first, with_interval=scores is not first),
        )


def _padded(columns: Sequence[Float[np.ndarray, " n"]]) -> Float[np.ndarray, "runs tasks"]:
    """Scores of tasks side by side; NaN where a task has fewer runs."""
    padded = np.full((max(map(len, columns)), len(columns)), np.nan)
    for j, column in enumerate(columns):
        padded[: len(column), j] = column
    return padded


# --- statistics of scores that need not be finite -------------------------------------------------


def _known(scores: Float[np.ndarray, " n"]) -> bool:
    return len(scores) > 0 and bool(np.isfinite(scores).all())


def _estimate(scores: Float[np.ndarray, "n *tasks"]) -> Estimate:
    return Estimate(statistics.iqm(scores), *statistics.interval(scores, level=LEVEL))


def _better(
    ours: Float[np.ndarray, " n"], theirs: Float[np.ndarray, " m"], *, with_interval: bool = False
) -> Estimate:
    known = _known(ours) and _known(theirs)
    return _improvement(ours, theirs, with_interval=with_interval) if known else Estimate(np.nan)


def _improvement(
    ours: Float[np.ndarray, "n *tasks"],
    theirs: Float[np.ndarray, "m *tasks"],
    *,
    with_interval: bool,
) -> Estimate:
    ends = statistics.improvement_interval(ours, theirs, level=LEVEL) if with_interval else ()
    return Estimate(statistics.probability_of_improvement(ours, theirs), *ends)


def _profile(
    scores: Float[np.ndarray, " n"], thresholds: Float[np.ndarray, " K"]
) -> Float[np.ndarray, " K"]:
    if not _known(scores):
        return np.full(len(thresholds), np.nan)
    return statistics.performance_profile(scores, thresholds)


def _thresholds(scores: Float[np.ndarray, " n"]) -> Float[np.ndarray, " K"]:
    """From the lowest to the highest score; around it if there is only one."""
    finite = scores[np.isfinite(scores)]
    if not len(finite):
        return np.empty(0)
    margin = float(np.ptp(finite) == 0)
    return np.linspace(finite.min() - margin, finite.max() + margin, THRESHOLDS)


# --- training -------------------------------------------------------------------------------------


def _only_value(seeds: Sequence[TrainedSeed], metric: str) -> list[float]:
    """The one value that a metric had in all seeds all the time, if that is so."""
    values = [seed.training[metric].values for seed in seeds if metric in seed.training]
    distinct = np.unique(np.concatenate(values)) if values else np.empty(0)
    return distinct.tolist() if len(distinct) == 1 else []


def _diagnostic(metric: str, seeds: Mapping[int, Sequence[TrainedSeed]]) -> Diagnostic:
    with_it = {
        method: [seed for seed in of_method if metric in seed.training]
        for method, of_method in seeds.items()
    }
    return Diagnostic(
        metric, tuple(_lines(metric, method, some) for method, some in with_it.items() if some)
    )


def _lines(metric: str, method: int, seeds: Sequence[TrainedSeed]) -> Lines:
    """Averages within equal spans of env steps: a long run takes no more room than a short one."""
    curves = [seed.training[metric] for seed in seeds]
    last = max(int(curve.env_steps[-1]) for curve in curves)
    n_bins = min(BINS, max(len(curve.values) for curve in curves))
    width = last / n_bins
    middles = (np.arange(n_bins) + 0.5) * width
    binned = [_binned(curve, width, n_bins) for curve in curves]
    if len(curves) < FEW_SEEDS:
        lines = (Line(seed.seed, values) for seed, values in zip(seeds, binned, strict=True))
        return Lines(method, middles, tuple(lines), None)
    values = np.array(binned)
    middle, low, high = np.full((3, n_bins), np.nan)
    finite = np.isfinite(values).all(axis=0)
    middle[finite] = iqm_over_last(values[:, finite].T)
    low[finite], high[finite] = values[:, finite].min(0), values[:, finite].max(0)
    return Lines(method, middles, (), Band(middles, middle, low, high))


def _binned(curve: Curve, width: float, n_bins: int) -> Float[np.ndarray, " T"]:
    """The mean of each span; NaN where it has no value."""
    index = np.minimum(((curve.env_steps - 1) / width).astype(int), n_bins - 1)
    counts = np.bincount(index, minlength=n_bins)
    sums = np.bincount(index, weights=curve.values, minlength=n_bins)
    return np.divide(sums, counts, out=np.full(n_bins, np.nan), where=counts > 0)
