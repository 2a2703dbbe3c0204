"""Are two methods different? Their final scores, how far apart they are, and a test's verdict.

Both are compared on each task that both were trained on. Their seeds are pairs if every seed of the
one that has fewer is there in the other one too. Over several tasks, each task's scores are scaled
so that its lowest is 0 and its highest 1, and a seed's score is the mean over tasks. (To exchange
the two methods leaves that scale as it is, so the tests hold.)
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Float

from macpo import statistics
from macpo.errors import UsageError, nearest, require, shown
from macpo.report.collection import Collection, collect
from macpo.report.labels import differing, in_words, same, tell_apart
from macpo.report.score import COMPARED, final_score, usual_metric
from macpo.report.seeds import TrainedSeed
from macpo.report.table import NOTHING
from macpo.statistics import Decision, Difference, Forecast, Interval

FORMAT = "macpo compare 1"
LEVEL = 0.95
MOST_PAIRS = 20
"""Pairs of seeds that are planned at most, where nothing else was."""
SAME_LENGTH = 1.1
"""Seeds whose env steps differ by a larger factor were not trained for the same time."""
OVERALL = "mean of scaled scores"
"""What is compared over all tasks."""
AXES = {**COMPARED, OVERALL: ("mean over tasks, each scaled from its lowest to its highest", 2)}
"""What the scores of a metric are, and how many digits are shown."""

Scores: TypeAlias = Mapping[int, float]
"""Final scores by seed, in ascending order."""


class Side(NamedTuple):
    """One of the two: runs of one method, and what it is called."""

    label: str
    runs: Collection


class Plan(NamedTuple):
    """What was fixed before the first look at a group-sequential test."""

    most_pairs: int
    metric: str


class Setting(NamedTuple):
    """A setting that is not the same in both."""

    name: str
    a: str
    b: str


@dataclass(frozen=True)
class Contest:
    """Both on one task, or over all of them."""

    title: str
    metric: str
    axis: str
    """What the scores are."""
    digits: int
    a: Scores
    b: Scores
    is_paired: bool
    iqm: tuple[float, float]
    difference: Difference
    """IQM of a minus that of b."""
    improvement: float
    """Probability that a seed of a scores higher than one of b."""
    improvement_interval: Interval
    p_value: float
    """For one look; NaN if a single seed of one of them is there."""
    test: str
    decision: Decision | None
    """Of the group-sequential test, where one was planned."""
    most_pairs: int
    """That were planned for it, or of which the forecast speaks."""
    forecast: Forecast | None
    """While it is undecided."""
    is_different: bool
    verdict: str
    """The same in a sentence."""


@dataclass(frozen=True)
class Comparison:
    """Everything that was compared; what is written as JSON."""

    format: str
    labels: tuple[str, str]
    settings: tuple[Setting, ...]
    """Those that are not the same, the environment's apart."""
    tasks: tuple[Contest, ...]
    overall: Contest | None
    """Over all tasks, if they are several and seeds were trained on all of them."""
    notes: tuple[str, ...]


def read_side(label: str, paths: Sequence[Path]) -> Side:
    """The runs in these paths; UsageError unless all of them are of one method."""
    runs = collect(paths)
    methods = [method.label for method in runs.methods]
    require(
        len(methods) == 1,
        f"{label} holds {len(methods)} methods ({shown(methods)}); compare the runs of one with "
        "those of another. `macpo report` shows all of them.",
    )
    return Side(label, runs)


def compare_paths(a: Path, b: Path, metric: str | None = None) -> Comparison:
    """Compare the runs in two directories, called by the directories' names."""
    require(a.resolve() != b.resolve(), f"{a} is given twice; name what to compare it with.")
    names = [path.resolve().name for path in (a, b)]
    labels = names if names[0] != names[1] else [str(a), str(b)]
    return compare(read_side(labels[0], [a]), read_side(labels[1], [b]), metric)


def compare(a: Side, b: Side, metric: str | None = None, plan: Plan | None = None) -> Comparison:
    """Compare two methods; with a `plan`, by its group-sequential test on every task.

    Raises UsageError if they have no task in common, or a common task lacks a common metric or
    scores; with a plan, if a seed has no score.
    """
    matches, notes = match(a, b, metric, plan)
    labels = a.label, b.label
    contests = [_contest(labels, found, plan, notes) for found in matches]
    return Comparison(
        FORMAT,
        labels,
        tuple(_settings(a.runs.methods[0].settings, b.runs.methods[0].settings)),
        tuple(contests),
        _overall(labels, matches, notes) if len(contests) > 1 else None,
        tuple(dict.fromkeys(notes)),
    )


class Match(NamedTuple):
    """The scores of both on one task."""

    title: str
    metric: str
    a: Scores
    b: Scores


def match(
    a: Side, b: Side, metric: str | None = None, plan: Plan | None = None
) -> tuple[list[Match], list[str]]:
    """(the scores of both on each common task, notes); UsageError as for `compare`."""
    of_tasks = [_by_task(side.runs) for side in (a, b)]
    common = [key for key in of_tasks[0] if key in of_tasks[1]]
    require(
        bool(common),
        f"{a.label} and {b.label} have no task in common: {_titles(a)} against {_titles(b)}; "
        "compare runs in the same environment with the same settings.",
    )
    settings = [task.settings for task in a.runs.tasks if same(task.settings) in common]
    notes = [*a.runs.notes, *b.runs.notes, *_other_tasks(a, b, common)]
    matches: list[Match] = []
    for title, key in zip(tell_apart(settings, ["env.name"]), common, strict=True):
        seeds = of_tasks[0][key], of_tasks[1][key]
        labels = a.label, b.label
        chosen = _metric(title, labels, seeds, plan.metric if plan else metric)
        left_out: list[str] = []
        scores = [
            _scores(label, title, of_side, chosen, left_out)
            for label, of_side in zip(labels, seeds, strict=True)
        ]
        # which seeds are left out may depend on their scores
        require(plan is None or not left_out, f"a test needs every seed. {' '.join(left_out)}")
        notes += [*left_out, *_lengths(title, labels, seeds)]
        matches.append(Match(title, chosen, *scores))
    return matches, notes


def decide(a: Side, b: Side, plan: Plan) -> Decision:
    """What a planned test says; UsageError as for `compare`."""
    ((_, _, x, y), *_), _ = match(a, b, plan=plan)
    return statistics.decide([x[seed] - y[seed] for seed in paired(x, y)], plan.most_pairs)


def paired(a: Scores, b: Scores) -> list[int]:
    """The seeds of the pairs, in ascending order; none if the two are not paired.

    >>> paired({0: 1.0, 1: 2.0}, {0: 1.5, 1: 0.5, 2: 3.0}), paired({0: 1.0}, {7: 1.0})
    ([0, 1], [])
    """
    both = sorted({*a} & {*b})
    return both if len(both) == min(len(a), len(b)) else []


# --- the seeds of a task --------------------------------------------------------------------------


_Seeds: TypeAlias = Sequence[TrainedSeed]


def _by_task(runs: Collection) -> dict[str, _Seeds]:
    return {same(task.settings): runs.seeds[i, 0] for i, task in enumerate(runs.tasks)}


def _titles(side: Side) -> str:
    return ", ".join(task.title for task in side.runs.tasks)


def _other_tasks(a: Side, b: Side, common: Sequence[str]) -> Iterator[str]:
    for side in (a, b):
        others = [task.title for task in side.runs.tasks if same(task.settings) not in common]
        if others:
            yield f"Only {side.label} was trained on {', '.join(others)}, which is left out."


def _metric(
    title: str, labels: tuple[str, str], seeds: tuple[_Seeds, _Seeds], chosen: str | None
) -> str:
    """The metric to compare; UsageError if not both have it."""
    known = [{name for seed in of_side for name in seed.evaluations} for of_side in seeds]
    for label, names in zip(labels, known, strict=True):
        require(bool(names), f"{label} has not been evaluated on {title} yet; wait for the first.")
    common = known[0] & known[1]
    metric = usual_metric(common) if chosen is None else chosen
    if metric not in common:
        raise UsageError(
            f"{labels[0]} and {labels[1]} do not both have evaluations with {shown(metric)} on "
            f"{title}; {nearest(metric, common)} Both have: {', '.join(sorted(common)) or 'none'}."
        )
    return metric


def _scores(label: str, title: str, seeds: _Seeds, metric: str, notes: list[str]) -> Scores:
    """Final scores; what is left out is noted. UsageError if nothing is left."""
    found: dict[int, float] = {}
    for seed in seeds:
        where = f"{label} on {title}: seed {seed.seed}"
        score = final_score(seed.evaluations[metric]) if metric in seed.evaluations else None
        if score is None:
            notes.append(f"{where} has no evaluation with {metric}; it is left out.")
        elif not np.isfinite(score):
            notes.append(f"{where} ends at {score}; it is left out, which flatters {label}.")
        elif seed.seed in found:
            notes.append(f"{where} is there more than once; {seed.directory} is left out.")
        else:
            found[seed.seed] = score
    require(bool(found), f"{label} has no seed with a final {metric} on {title}.")
    return dict(sorted(found.items()))


def _lengths(title: str, labels: tuple[str, str], seeds: tuple[_Seeds, _Seeds]) -> Iterator[str]:
    """A sentence if the two were not trained for the same time."""
    steps = [[seed.done for seed in of_side] for of_side in seeds]
    if max(map(max, steps)) > SAME_LENGTH * min(map(min, steps)):
        told = [
            f"{label} for {min(of_side):,}" + f" to {max(of_side):,}" * (len({*of_side}) > 1)
            for label, of_side in zip(labels, steps, strict=True)
        ]
        yield (
            f"{title}: the two were not trained for equally long: {' and '.join(told)} "
            f"{seeds[0][0].unit}; "
            "who trained longer has an advantage that is not the method's."
        )


def _settings(a: Mapping[str, object], b: Mapping[str, object]) -> Iterator[Setting]:
    for name in differing([a, b]):
        words = [in_words(of[name]) if name in of else NOTHING for of in (a, b)]
        yield Setting(name, *words)


# --- numbers --------------------------------------------------------------------------------------


_Array: TypeAlias = Float[np.ndarray, " n"]


def _contest(labels: tuple[str, str], found: Match, plan: Plan | None, notes: list[str]) -> Contest:
    """All numbers of one task; seeds without a partner are noted."""
    title, metric, a, b = found
    axis, digits = AXES.get(metric, (metric, 2))
    pairs = paired(a, b)
    alone = sorted({*a} ^ {*b})
    if pairs and alone:
        which = f"seed{'s' * (len(alone) > 1)} {', '.join(map(str, alone))}"
        notes.append(f"{title}: paired by seed; not counted without a partner: {which}.")
    elif not pairs:
        notes.append(f"{title}: the seeds are not the same, so they are not paired.")
    x = np.array([a[seed] for seed in pairs or a])
    y = np.array([b[seed] for seed in pairs or b])
    p_value, test = _test(x, y, is_paired=bool(pairs))
    n = min(len(x), len(y))
    differences = x[:n] - y[:n]  # runs need not share anything to be a pair
    most = plan.most_pairs if plan else MOST_PAIRS
    decision = statistics.decide(differences, most) if plan else None
    is_different = decision.verdict == "different" if decision else p_value <= 1 - LEVEL
    can_tell = not is_different and 2 <= n < most
    forecast = statistics.forecast(differences, most) if can_tell else None
    higher = " scores higher than ".join(labels if x.mean() > y.mean() else labels[::-1])
    return Contest(
        title,
        metric,
        axis,
        digits,
        a,
        b,
        bool(pairs),
        (statistics.iqm(x), statistics.iqm(y)),
        statistics.difference(x, y, paired=bool(pairs)),
        statistics.probability_of_improvement(x, y),
        statistics.improvement_interval(x, y),
        p_value,
        test,
        decision,
        most,
        forecast,
        is_different,
        _verdict_of_plan(higher, decision, most)
        if decision
        else _verdict_of_one_look(higher, p_value, test),
    )


def _test(x: _Array, y: _Array, *, is_paired: bool) -> tuple[float, str]:
    """(p-value of one look, the test's name)."""
    if is_paired:
        fewest = statistics.fewest_pairs(LEVEL)
        never = f"; fewer than {fewest} never show a difference" * (len(x) < fewest)
        name = f"sign-flip test of {_counted(len(x), 'pair')}{never}"
        return statistics.sign_flip_test(x - y), name
    name = f"permutation test of {len(x)} against {_counted(len(y), 'seed')}"
    return (statistics.permutation_test(x, y) if min(len(x), len(y)) > 1 else np.nan), name


def _verdict_of_plan(higher: str, decision: Decision, most: int) -> str:
    test = f"group-sequential sign-flip test, at most {most} pairs of seeds"
    n_pairs = _counted(decision.n_pairs, "pair")
    return {
        "different": f"{higher}: decided after {n_pairs} ({test}).",
        "undecided": f"Undecided after {n_pairs} ({test}).",
        "no difference seen": f"No difference seen in {n_pairs} ({test}), which does not say that "
        "there is none.",
    }[decision.verdict]


def _verdict_of_one_look(higher: str, p_value: float, test: str) -> str:
    if np.isnan(p_value):
        return "Undecided: a single seed says nothing about the others."
    verdict = higher if p_value <= 1 - LEVEL else "Undecided"
    return f"{verdict} (p = {p_value:.2g}, {test})."


def _overall(labels: tuple[str, str], matches: Sequence[Match], notes: list[str]) -> Contest | None:
    """Both over all tasks; None, and a note, if no seed was trained on all of them."""
    scaled = [_scaled(found) for found in matches]
    a, b = (_mean_over_tasks([pair[side] for pair in scaled]) for side in (0, 1))
    if not (a and b):
        notes.append("No seed was trained on all tasks, so nothing is said over all of them.")
        return None
    return _contest(labels, Match("all tasks", OVERALL, a, b), None, notes)


def _scaled(found: Match) -> tuple[Scores, Scores]:
    """From 0 for the lowest score of the task to 1 for the highest; 0 if all are the same."""
    values = [*found.a.values(), *found.b.values()]
    low, width = min(values), (max(values) - min(values)) or 1.0
    a, b = (
        {seed: (score - low) / width for seed, score in scores.items()}
        for scores in (found.a, found.b)
    )
    return a, b


def _mean_over_tasks(scores: Sequence[Scores]) -> Scores:
    """Of the seeds that every task has."""
    everywhere = set[int].intersection(*map(set, scores))
    return {seed: float(np.mean([of[seed] for of in scores])) for seed in sorted(everywhere)}


def _counted(n: int, what: str) -> str:
    return f"{n} {what}{'s' * (n != 1)}"
