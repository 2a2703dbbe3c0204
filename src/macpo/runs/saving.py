"""What a run saves, in an order that leaves no gap, and from which state it can continue."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias

import jax

from macpo.errors import UsageError, require
from macpo.experiment import Experiment, difference, to_dict
from macpo.field_types import JsonObject, Settings
from macpo.runs import arrays, checkpoint
from macpo.runs.acting import Acting
from macpo.runs.arrays import Damaged, EarlierFormat, Stored
from macpo.runs.best import Best, best_like
from macpo.runs.directory import RunDirectory
from macpo.runs.files import disk_errors
from macpo.runs.record.jsonl import Extent, extent
from macpo.training.trainer import TrainState
from macpo.types import PyTree

Which: TypeAlias = Literal["last", "best"]
"""Parameters at the last checkpoint, or of the best evaluation (once the run has ended)."""


class RunInfo(NamedTuple):
    """What a checkpoint says about its run, beside the state."""

    experiment: JsonObject
    """As plain data, from which nothing is built."""
    rows: Extent
    """The part of metrics.jsonl that the state has seen."""


class LastState(NamedTuple):
    """From where a run continues."""

    state: TrainState | None
    """On the host; None: the run starts from the beginning."""
    metrics_bytes: int
    """Of metrics.jsonl, that belong to the state."""
    passed_over: list[str]
    """Newer checkpoints that could not be used, each with the reason."""
    best: Best | None = None
    """The best evaluation until then; None if the checkpoint is from a time that kept none."""
    has_replay: bool = True
    """If not, the state's replay and priorities are shapes: the checkpoint was saved without."""


def save(
    directory: RunDirectory,
    experiment: Experiment,
    state: TrainState,
    rows: Extent,
    best: Best | None = None,
    acting: Acting | None = None,
    *,
    replay: bool = True,
) -> None:
    """Write a checkpoint, with `replay` or without, and its parameters on their own.

    These come first, so that they are never older than the newest checkpoint.
    """
    state = jax.device_get(state if replay else state._replace(replay_buffer=(), priorities=()))
    save_model(directory, experiment, state, acting)
    info = RunInfo(to_dict(experiment), rows)
    content = _content(state, best)
    checkpoint.save(directory.checkpoints, int(state.iteration.max()), content, info._asdict())


def save_model(
    directory: RunDirectory,
    experiment: Experiment,
    state: TrainState,
    acting: Acting | None = None,
) -> None:
    """Write the parameters on their own; with how they act, where that is known."""
    info = _about(experiment, acting)
    arrays.write(directory.model, state.learner.params, info)


def save_best(
    directory: RunDirectory, experiment: Experiment, best: Best, acting: Acting | None = None
) -> None:
    """Write the parameters of the best evaluation on their own, and when each seed had it."""
    info = {**_about(experiment, acting), "env_steps": best.env_steps.tolist()}
    arrays.write(directory.best, best.params, info)


def _about(experiment: Experiment, acting: Acting | None) -> JsonObject:
    """What is kept along with parameters."""
    run = experiment.run
    return {
        "experiment": to_dict(experiment),
        "seeds": list(range(run.seed, run.seed + run.seeds)),
        "acting": acting and acting.explained(),
    }


def read_model(
    directory: RunDirectory, experiment: Experiment, like: PyTree, which: Which = "last"
) -> PyTree:
    """The parameters, with the structure of `like`.

    Raises UsageError if there are none, or if they are damaged or those of another experiment.
    """
    file = directory.model if which == "last" else directory.best
    again = f"`{directory.resume_command(experiment)}` makes it again"
    if not os.path.lexists(file):
        when = "has not reached a checkpoint" if which == "last" else "has not ended"
        raise UsageError(
            f"{directory.path} has no {file.name} yet: the run {when}. If it had, {again}."
        )
    try:
        stored = arrays.read(file)
        saved = _experiment(stored)
    except Damaged as error:
        raise UsageError(f"{error} {again} from the run's checkpoint.") from error
    _require_same(saved, experiment, directory.experiment)
    return stored.tree(like)


def last_state(
    directory: RunDirectory, experiment: Experiment, like: Callable[[], TrainState]
) -> LastState:
    """The newest state that is whole, with the rows before it; `like` gives its structure.

    Raises UsageError if its files have been changed or lost, or if it is another experiment than
    the one that was saved; only the env steps to play may differ.
    """
    files, passed_over = checkpoint.files(directory.checkpoints), list[UsageError]()
    for file in files:
        try:
            stored = arrays.read(file)
            info = RunInfo(_experiment(stored), _rows(stored))
            _check_rows(directory.metrics, info.rows, file)
        except (Damaged, EarlierFormat) as error:
            passed_over.append(error)
            continue
        _require_same(info.experiment, experiment, directory.experiment)
        reasons = [str(error) for error in passed_over]
        shapes = like()
        parts = {name.partition(".")[0] for name in stored.arrays}
        has_replay = "replay_buffer" in parts
        saved = shapes if has_replay else shapes._replace(replay_buffer=(), priorities=())
        content = stored.tree(_content(saved, best_like(shapes) if _BEST in parts else None))
        best = content.pop(_BEST, None)
        state = TrainState(**content)
        if not has_replay:
            state = state._replace(replay_buffer=shapes.replay_buffer, priorities=shapes.priorities)
        return LastState(state, info.rows.n_bytes, reasons, best, has_replay)
    for error in passed_over:
        if isinstance(error, EarlierFormat):
            raise error
    if passed_over:
        raise UsageError(
            f"{directory.path} cannot be continued. {' '.join(map(str, passed_over))} Put the "
            "files back from a copy, or train again with `macpo train`."
        )
    if checkpoint.is_dropped(directory.checkpoints):
        raise UsageError(
            f"the checkpoints of {directory.path} have been dropped, so that it cannot be extended "
            "or continued (a run that was pulled never has any); train again in another directory "
            "with `macpo train`."
        )
    if not checkpoint.none_yet(directory.checkpoints) and _size(directory.metrics):
        raise UsageError(
            f"{directory.checkpoints} holds no checkpoint, but {directory.metrics.name} has rows "
            f"of a run that had reached one, and starting again would lose them; put the "
            "checkpoints back, or train again in another directory with `macpo train`."
        )
    return LastState(None, 0, [])


def require_saved(directory: RunDirectory, experiment: Experiment) -> None:
    """UsageError unless the rows are those of the newest checkpoint, as the last parameters are.

    A run without checkpoints cannot tell.
    """
    for file in checkpoint.files(directory.checkpoints)[:1]:
        rows = _rows(arrays.read_info(file))
        _check_rows(directory.metrics, rows, file)
        require(
            _size(directory.metrics) == rows.n_bytes,
            f"{directory.metrics} has rows beyond the last checkpoint, of which "
            f"{directory.model.name} is: the run was broken off. "
            f"`{directory.resume_command(experiment)}` goes on from it; Ctrl-C stops it in order.",
        )


_BEST = "best"


def _content(state: TrainState, best: Best | None) -> dict[str, PyTree]:
    """The arrays of a checkpoint: each under its name in the state, those of the best in `best`."""
    return state._asdict() if best is None else {**state._asdict(), _BEST: best}


def _experiment(stored: Stored) -> JsonObject:
    """The experiment that was saved along, as plain data; Damaged if there is none."""
    try:
        saved = dict(stored.info["experiment"])
        return {part: dict(section) for part, section in saved.items()}
    except (KeyError, TypeError, ValueError) as error:
        raise Damaged(stored.file, "it does not say of which experiment it is") from error


def _rows(stored: Stored) -> Extent:
    """The rows that belong to a checkpoint; Damaged if it does not say which."""
    try:
        n_bytes, sha256 = stored.info["rows"]
        return Extent(max(int(n_bytes), 0), str(sha256))
    except (KeyError, TypeError, ValueError) as error:
        raise Damaged(stored.file, "it does not say which rows belong to it") from error


def _check_rows(file: Path, rows: Extent, of: Path) -> None:
    """Damaged unless the file begins with the rows that belong to a checkpoint."""
    found = extent(file, rows.n_bytes)
    if found.n_bytes < rows.n_bytes:
        why = f"it has lost rows ({found.n_bytes:,} of {rows.n_bytes:,} bytes)"
    elif found.sha256 != rows.sha256:
        why = f"rows in its first {rows.n_bytes:,} bytes have been changed"
    else:
        return
    raise Damaged(file, f"{why} that belong to {of.name}")


def _require_same(saved: Settings, experiment: Experiment, file: Path) -> None:
    """UsageError if the experiment in `file` is not the saved one, apart from how long it goes on
    and from where the episodes lie that its replay began with."""
    now = json.loads(json.dumps(to_dict(experiment)))
    # settings that are newer than what was saved had their present defaults
    before = {part: {**section, **saved.get(part, {})} for part, section in now.items()}
    ends = ("steps", "updates")
    if all(bool(before["run"][end]) == bool(now["run"][end]) for end in ends):
        before["run"].update({end: now["run"][end] for end in ends})
    if None not in (before["replay"]["from_file"], now["replay"]["from_file"]):
        before["replay"]["from_file"] = now["replay"]["from_file"]
    if changes := difference(before, now):
        raise UsageError(
            f"{file} differs from what was trained ({'; '.join(changes)}); restore it, or start "
            "another run with `macpo train`."
        )


def _size(file: Path) -> int:
    with disk_errors(file, "read"):
        return file.stat().st_size if file.exists() else 0
