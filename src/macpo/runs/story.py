"""What a run's README says: the run's status, and how it was trained.

All of it is read from the run's own files, so that it can be told again at any time.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple

import numpy as np

from macpo.errors import UsageError
from macpo.experiment import Experiment, Run
from macpo.runs.best import SCORES, is_written
from macpo.runs.checkpoint import is_dropped
from macpo.runs.directory import RunDirectory
from macpo.runs.record import reached
from macpo.runs.record.pace import clock
from macpo.runs.record.reading import Row, read_rows, read_sound_rows
from macpo.runs.record.timing import total_seconds
from macpo.runs.sessions import FINISHED, Session, read_sessions
from macpo.terminal import command

_NOTHING = "–"


class Result(NamedTuple):
    """What one seed has come to."""

    done: int
    """Env steps, or the updates of a run that learns offline."""
    last: Row | None
    """Its last evaluation."""
    best: Row | None
    """The best one (`macpo.runs.best`); the latest of equal ones."""
    absolute: Row | None


def tell(files: RunDirectory, experiment: Experiment) -> str:
    """The part of the README that grows with the run, as Markdown."""
    sessions, results = read_sessions(files.sessions), read_results(files)
    parts = [
        "## What has come of it",
        _state(files, experiment, sessions, results),
        *results_table(results, experiment.run.unit),
        "## How it came about",
        *_history(files, sessions),
    ]
    return "\n\n".join(parts)


def is_finished(files: RunDirectory) -> bool:
    """Whether the run's own files say that it has reached its end."""
    sessions = read_sessions(files.sessions)
    return is_written(files.absolute) or (bool(sessions) and sessions[-1].outcome == FINISHED)


def read_results(files: RunDirectory) -> dict[int, Result]:
    """Of each seed that has rows; lines that cannot be read are passed over."""
    rows, absolute = list[Row](), dict[int, Row]()
    with suppress(UsageError):
        rows, _ = read_sound_rows(files.metrics)
    with suppress(UsageError):
        if is_written(files.absolute):
            absolute = {row["seed"]: row for row in read_rows(files.absolute)}
    by_seed: dict[int, list[Row]] = {}
    for row in rows:
        by_seed.setdefault(row["seed"], []).append(row)
    return {seed: _result(of_seed, absolute.get(seed)) for seed, of_seed in sorted(by_seed.items())}


def _result(rows: Sequence[Row], absolute: Row | None) -> Result:
    tests = [row for row in rows if row["kind"] == "test"]
    # reversed: of equal ones, `max` gives the first
    best = max(reversed(tests), key=_score, default=None)
    return Result(reached(rows[-1]), tests[-1] if tests else None, best, absolute)


def _score(row: Row) -> tuple[float, ...]:
    return tuple(np.nan_to_num([row.get(name, 0.0) for name in SCORES], nan=-np.inf))


def _state(
    files: RunDirectory,
    experiment: Experiment,
    sessions: Sequence[Session],
    results: Mapping[int, Result],
) -> str:
    """In a sentence or two: where the run is, and which command goes on."""
    run, resume = experiment.run, files.resume_command(experiment)
    where = how_far(files, run, results)
    last = sessions[-1] if sessions else Session("")
    if is_finished(files):
        when = f" on {last.ended} UTC" if last.ended else ""
        goes_on = (
            "Its checkpoints have been dropped, so that it cannot be extended."
            if is_dropped(files.checkpoints)
            else f"`{resume} {run.end_flag} N` extends it to N."
        )
        return f"Finished{when}: {where}. {goes_on}"
    if is_dropped(files.checkpoints):
        return f"Not finished, at {where}; its checkpoints have been dropped, so that it ends here."
    if last.ended:
        return f"Not finished: {last.outcome} on {last.ended} UTC, at {where}. `{resume}` goes on."
    return (
        f"Not finished when this was written, at {where}: it is going on, or was broken off. "
        f"`{resume}` goes on from the last checkpoint."
    )


def how_far(files: RunDirectory, run: Run, results: Mapping[int, Result]) -> str:
    """`every seed has played 1,000 env steps`, or `400 of 1,000 env steps` of an unfinished run."""
    done = min((result.done for result in results.values()), default=0)
    if is_finished(files):
        return f"every seed has {run.so_far(done)}"
    return f"{done:,} of {run.end:,} {run.unit}"


def results_table(results: Mapping[int, Result], unit: str) -> list[str]:
    """A line of Markdown for each seed, and what the columns are; nothing without seeds."""
    if not results:
        return []
    head = ("seed", unit, "last evaluation", "best evaluation", "absolute metric")
    lines = [f"| {' | '.join(head)} |", f"{'|---' * len(head)}|"]
    for seed, result in results.items():
        best = _at(result.best) if result.best else _NOTHING
        cells = (_shown(result.last), best, _shown(result.absolute))
        lines.append(f"| {seed} | {result.done:,} | {' | '.join(cells)} |")
    note = (
        "Mean returns of greedy episodes, and shares of battles won where there are battles. "
        "Absolute metric: what the parameters of the best evaluation earn in ten times as many "
        "episodes."
    )
    return ["\n".join(lines), note]


def _at(evaluation: Row) -> str:
    return f"{_shown(evaluation)} at {reached(evaluation):,}"


def _shown(evaluation: Row | None) -> str:
    """`37.25`, or `37.25, 62.5% won`."""
    if evaluation is None:
        return _NOTHING
    won, scored = (evaluation.get(name) for name in SCORES)
    told = [
        *([] if scored is None else [f"{scored:.2f}"]),
        *([] if won is None else [f"{won:.1%} won"]),
    ]
    return ", ".join(told) or _NOTHING


def _history(files: RunDirectory, sessions: Sequence[Session]) -> list[str]:
    if not sessions:
        return ["The run keeps no record of when and where it was trained."]
    seconds = total_seconds(files.timing)
    took = "" if np.isnan(seconds) else f", in which it was trained for {clock(seconds)}"
    n = len(sessions)
    begun = f"Begun on {sessions[0].begun} UTC; {n} session{'s' * (n > 1)}{took}."
    return [begun, "\n".join(f"{i}. {_told(session)}" for i, session in enumerate(sessions, 1))]


def _told(session: Session) -> str:
    day = session.begun[: len("2026-11-29 ")]
    ended = f"to {session.ended.removeprefix(day)}, {session.outcome}"
    end = ended if session.ended else "with no end recorded"
    by = f"`{command(*session.command_line)}`" if session.command_line else "called from Python"
    changed = {True: " with uncommitted changes", False: "", None: " (changes unknown)"}
    commit = f"; git commit {session.commit}{changed[session.is_changed]}" * bool(session.commit)
    return (
        f"{session.begun} {end}: {by}{commit}\n"
        f"   macpo {session.macpo}, JAX {session.jax}, Python {session.python}; "
        f"{session.device}, {session.cores} cores of {session.processor or 'a processor'}, "
        f"{session.platform}"
    )
