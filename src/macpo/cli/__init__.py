"""The command line: `macpo COMMAND --help` explains each command and every flag.

Importing what trains takes seconds; here is only what is said without it. The module of a command
is imported when the command is called.
"""

import importlib
import shutil
import sys
import textwrap
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import macpo
from macpo.errors import UsageError, is_out_of_memory, nearest, shortened, shown
from macpo.machine import end_at_once
from macpo.terminal import lasting_output


class Command(NamedTuple):
    """What `macpo NAME` does."""

    run: str
    """The function of this package that does it: MODULE.NAME."""
    summary: str
    arguments: str | None = None
    """What --help shows after the name if the command reads its arguments without tyro."""
    more: str = ""
    """What it says then below the summary."""


LISTS = ("environments", "algorithms", "weightings", "presets", "battles")
"""What `macpo list` knows."""


def check_usage(part: str) -> str:
    """What `macpo check-PART` takes."""
    noun, own = ("environment", "factory") if part == "env" else (part, "Config")
    return (
        f"{noun.upper()} is a name of `macpo list {noun}s` or module:{own}; "
        f"`macpo check-{part} {noun.upper()} --help` shows the flags. Exit status 1: something is "
        "wrong."
    )


COMMANDS: Mapping[str, Command] = {
    "train": Command(
        "training.train", "Train, then evaluate, draw the learning curve and film an episode."
    ),
    "resume": Command(
        "training.resume", "Continue a run that was stopped or killed, or extend a finished one."
    ),
    "sweep": Command(
        "studies.sweep",
        "Train every combination of settings with several seeds; resume what was begun.",
    ),
    "evaluate": Command(
        "training.evaluate",
        "Play fresh episodes with a trained run; print their returns and other outcomes.",
    ),
    "render": Command("training.render", "Film a greedy episode of a trained run."),
    "runs": Command(
        "results.runs",
        "List the runs of a folder: what, how far, last return, finished or not; newest first.",
    ),
    "clean": Command("results.clean", "Drop the checkpoints of finished runs, which are large."),
    "report": Command(
        "results.report", "Compare runs: a page to look at, figures, tables and statistics."
    ),
    "reproduce": Command(
        "studies.reproduce",
        "Make a figure of the paper: train its study, draw it, judge its claims.",
    ),
    "compare": Command(
        "studies.compare",
        "Say whether two methods differ, by how much, and how many more seeds would decide it.",
    ),
    "export": Command(
        "results.export",
        "Write results for other programs, or a policy that acts without macpo and JAX.",
    ),
    "push": Command(
        "sharing.push",
        "Publish a trained run on the Hugging Face Hub, with a model card of its numbers.",
    ),
    "pull": Command(
        "sharing.pull", "Fetch a published run; `macpo evaluate` and others take it as any run."
    ),
    "export-replay": Command(
        "sharing.export_replay",
        "Write the episodes in a run's replay as a file to read elsewhere or to learn from.",
    ),
    "check-env": Command(
        "checks.check_env",
        "Play an environment with random actions and report every promise that it breaks.",
        " ENVIRONMENT [flags]",
        check_usage("env"),
    ),
    "check-weighting": Command(
        "checks.check_weighting",
        "Weigh random signals and report every promise that a weighting breaks.",
        " WEIGHTING [flags]",
        check_usage("weighting"),
    ),
    "check-algorithm": Command(
        "checks.check_algorithm",
        "Have an algorithm act and learn at random and report every promise that it breaks.",
        " ALGORITHM [flags]",
        check_usage("algorithm"),
    ),
    "bench": Command(
        "installation.bench",
        "Measure speed and memory on this machine, as ratios to the references of the repository.",
    ),
    "list": Command(
        "lists.show",
        "Show all environments, algorithms, weightings and presets; battles on request.",
        f" [{' | '.join(LISTS)}]",
    ),
    "doctor": Command(
        "installation.doctor",
        "Show what this installation can do, and how to get what is missing.",
        "",
    ),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command; exit status 0, 2 for bad input, 128 + n when signal n stopped a run."""
    if arguments is None:  # the process is this command's own
        end_at_once()
    with lasting_output():
        _run(list(sys.argv[1:] if arguments is None else arguments))


def _run(arguments: list[str]) -> None:
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_usage())
        return
    if arguments[0] == "--version":
        print(f"macpo {macpo.__version__}")
        return
    name, *rest = arguments
    command = COMMANDS.get(name)
    try:
        if command is None:
            hint = nearest(name, COMMANDS)
            raise UsageError(f"unknown command {shown(name)}; {hint} See `macpo --help`.")
        status = _explain(name, command) if _asks(command, rest) else _call(command, rest)
    except UsageError as error:
        print(f"macpo: {error}", file=sys.stderr)
        sys.exit(2)
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        words = f"memory ran out: {shortened(str(error))}"
        print(f"macpo: {words} Choose a smaller environment or batch.", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(status or 0)


def _asks(command: Command, arguments: Sequence[str]) -> bool:
    """Whether help is wanted that tyro does not give."""
    return command.arguments is not None and arguments[:1] in (["-h"], ["--help"])


def _explain(name: str, command: Command) -> None:
    words = [f"usage: macpo {name}{command.arguments}\n\n{command.summary}", command.more]
    print("\n".join(filter(None, words)))


def _call(command: Command, arguments: list[str]) -> int | None:
    module, _, function = command.run.partition(".")
    return getattr(importlib.import_module(f"{__name__}.{module}"), function)(arguments)


def _usage() -> str:
    names = max(map(len, COMMANDS)) + 2
    columns = shutil.get_terminal_size().columns
    lines = [
        textwrap.fill(
            f"  {name:<{names}}{command.summary}",
            max(columns, 2 * names),
            subsequent_indent=" " * (names + 2),
        )
        for name, command in COMMANDS.items()
    ]
    return "\n".join(
        [
            "macpo: cooperative multi-agent RL with optimised replay weights",
            "",
            "usage: macpo COMMAND [flags]",
            "",
            *lines,
            "",
            "`macpo COMMAND --help` explains a command and all its flags. Try:",
            "  macpo train --env predator-prey --env.punishment -2 --seeds 4",
        ]
    )
