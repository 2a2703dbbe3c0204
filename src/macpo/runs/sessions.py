"""sessions.json: when a run was trained, by which command, where, and how each session ended.

It is for people alone: nothing that a run computes or continues from depends on it.
"""

import dataclasses
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import jax

import macpo
from macpo.errors import UsageError
from macpo.field_types import build, settings
from macpo.machine import available_cores, processor_name
from macpo.runs.files import read_json, write_json
from macpo.runs.revision import current_revision

FINISHED = "finished"
"""The outcome of a session that has reached the planned env steps."""


@dataclass(frozen=True)
class Session:
    """One process that has trained a run. Times are in UTC, `2026-11-29 05:59`."""

    begun: str
    command_line: tuple[str, ...] = ()
    """Its words; none: it was called from Python."""
    commit: str = ""
    """Of the current folder, where there is one."""
    is_changed: bool | None = None
    """Whether there were changes that the commit has not; None: not known."""
    macpo: str = ""
    jax: str = ""
    python: str = ""
    platform: str = ""
    processor: str = ""
    cores: int = 0
    device: str = ""
    ended: str = ""
    """Empty: it is going on, or was broken off."""
    outcome: str = ""
    """`finished`, or what stopped it."""


def read_sessions(file: Path) -> list[Session]:
    """Those of a run, in order; a file that is missing or damaged is as good as none."""
    try:
        rows = read_json(file, "a run's sessions")
        return [build(Session, row, "session") for row in rows]
    except (UsageError, TypeError, AttributeError):
        return []


def begin_session(file: Path, command_line: Sequence[str]) -> None:
    """Take note of a session that begins now, in this process and the current folder."""
    revision, devices = current_revision(Path()), jax.devices()
    session = Session(
        begun=_now(),
        command_line=tuple(command_line),
        commit=revision.commit,
        is_changed=revision.is_changed,
        macpo=macpo.__version__,
        jax=jax.__version__,
        python=platform.python_version(),
        platform=platform.platform(),
        processor=processor_name(),
        cores=available_cores(),
        device=f"{len(devices)} × {devices[0].device_kind}",
    )
    _write(file, [*read_sessions(file), session])


def end_session(file: Path, outcome: str) -> None:
    """Take note of how the last session has ended."""
    sessions = read_sessions(file)
    if sessions:
        ended = dataclasses.replace(sessions[-1], ended=_now(), outcome=outcome)
        _write(file, [*sessions[:-1], ended])


def _write(file: Path, sessions: Sequence[Session]) -> None:
    write_json(file, [settings(session) for session in sessions])


def _now() -> str:
    return f"{datetime.now(UTC):%Y-%m-%d %H:%M}"
