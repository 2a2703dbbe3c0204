"""The commands that hand runs and their episodes to others."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

import macpo
from macpo.bounds import NonNegativeInt
from macpo.cli import COMMANDS
from macpo.cli.experiments import trusted
from macpo.cli.flags import Trust, parse
from macpo.terminal import command, say, stdout_console

_console = stdout_console()


@dataclass(frozen=True)
class _Push:
    run: Annotated[Path, tyro.conf.Positional]
    """Run directory, finished or stopped. Uploaded are experiment.json, metrics.jsonl,
    absolute.jsonl, model.safetensors, best.safetensors, learning_curve.png and episode.gif, as far
    as they are there, and a model card as README.md. Never uploaded are checkpoints, replay, the
    run's own README with your notes, and sessions.json, which holds your commands."""
    repo: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="OWNER/NAME")]
    """The repository; made if there is none, else it gets another commit."""
    private: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Make it private; one that is there and public is refused."""
    message: str | None = None
    """Of the commit; default: `macpo push OWNER/NAME`."""
    dry_run: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Only show what would be uploaded."""
    trust: Trust = False


def push(arguments: list[str]) -> None:
    """`macpo push`."""
    from macpo.runs.hub.push import publish, to_push

    flags: _Push = parse(_Push, arguments, "macpo push", COMMANDS["push"].summary)
    uploads, notes = to_push(flags.run, flags.repo, trust=trusted(flags.trust))
    for upload in uploads:
        say(_console, f"{len(upload.content):>13,} bytes  {upload.name}")
    for note in notes:
        say(_console, note, "yellow")
    if flags.dry_run:
        say(_console, f"to {flags.repo}; nothing has been uploaded")
        return
    address = publish(uploads, flags.repo, private=flags.private, message=flags.message)
    say(_console, f"pushed: {address}")


@dataclass(frozen=True)
class _Pull:
    repo: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="OWNER/NAME")]
    """A repository that `macpo push` has made."""
    revision: str | None = None
    """A branch, tag or commit; default: the newest commit."""
    out: Path | None = None
    """The run's directory, new or empty; default: runs/NAME."""


def pull(arguments: list[str]) -> None:
    """`macpo pull`."""
    flags: _Pull = parse(_Pull, arguments, "macpo pull", COMMANDS["pull"].summary)
    with _console.status(f"fetching {flags.repo}"):
        directory = macpo.pull(flags.repo, flags.out, revision=flags.revision)
    say(_console, f"pulled: {directory}; try `{command('macpo', 'evaluate', directory)}`")


@dataclass(frozen=True)
class _ExportReplay:
    run: Annotated[Path, tyro.conf.Positional]
    """Run directory."""
    file: Annotated[Path, tyro.conf.Positional]
    """File to write, ending in .npz; an earlier one is replaced, anything else never."""
    seed: NonNegativeInt | None = None
    """The trained seed whose replay it is; default: the run's first."""
    trust: Trust = False


def export_replay(arguments: list[str]) -> None:
    """`macpo export-replay`."""
    flags: _ExportReplay = parse(
        _ExportReplay, arguments, "macpo export-replay", COMMANDS["export-replay"].summary
    )
    about = macpo.export_replay(flags.run, flags.file, flags.seed, trust=trusted(flags.trust))
    megabytes = flags.file.stat().st_size / 1e6
    say(
        _console,
        f"{flags.file}: {about.episodes:,} episodes, {about.steps:,} env steps, "
        f"{megabytes:,.1f} MB",
    )
