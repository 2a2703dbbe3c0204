"""The commands that look at this installation: its speed, and what it can do."""

from macpo.cli import COMMANDS
from macpo.cli.flags import parse
from macpo.errors import UsageError, shortened
from macpo.terminal import stdout_console

_console = stdout_console()


def bench(arguments: list[str]) -> None:
    """`macpo bench`."""
    from macpo.bench import Bench, run_bench

    flags: Bench = parse(Bench, arguments, "macpo bench", COMMANDS["bench"].summary)
    run_bench(flags, _console)


def doctor(arguments: list[str]) -> None:
    """`macpo doctor`."""
    from macpo.doctor import print_report

    if arguments:
        raise UsageError(
            f"macpo doctor takes no arguments, but got {shortened(' '.join(arguments))}."
        )
    print_report(_console)
