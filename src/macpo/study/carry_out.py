"""One run of a study in this process: `python -m macpo.study.carry_out STUDY ARM SEED N CORES`.

Every engine carries out runs through this module, so that a run writes the same bytes wherever it
is carried out. The exit status is that of `macpo train`.
"""

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import jax
from rich.console import Console

from macpo.errors import UsageError, is_out_of_memory, require, shortened
from macpo.machine import end_at_once, signal_at_end_of_parent
from macpo.runs.loop import RunResult
from macpo.runs.train import resume, train
from macpo.study.directory import StudyDirectory
from macpo.study.study import PlannedRun
from macpo.terminal import make_console


def carry_out(
    directory: StudyDirectory,
    run: PlannedRun,
    *,
    console: Console,
    trust: bool = False,
    command_line: Sequence[str] = (),
) -> RunResult:
    """Train what is left of one run of a study; `command_line` as for `macpo.train`.

    Raises UsageError as `macpo.train` and `macpo.resume` do, and if the run's directory holds a run
    of something else.
    """
    study = directory.read(trust=trust)
    files, experiment = directory.run(run), study.experiment(run)
    if not os.path.lexists(files.experiment):
        return train(experiment, files.path, console=console, command_line=command_line)
    require(
        files.read_experiment(trust=trust) == experiment,
        f"{files.path} holds a run of other settings than its study's arm {run.arm}; move it away.",
    )
    return resume(files.path, console=console, trust=trust, command_line=command_line)


def use_cores(cores: int, which: Sequence[int] = ()) -> None:
    """Have JAX see this many cores as devices, and stay on those given, where the system can.

    A run's numbers depend on the number of its devices in the last bits.
    """
    if which and sys.platform == "linux":
        os.sched_setaffinity(0, which)
    jax.config.update("jax_num_cpu_devices", cores)


def main() -> int:
    """Carry out the run that the command line names; the exit status."""
    arguments = _parser().parse_args()
    signal_at_end_of_parent(signal.SIGTERM)  # the run is then saved and ends
    use_cores(arguments.cores, arguments.on)
    if arguments.trust:
        sys.path.append("")  # what is trusted may be in the current folder, as for `macpo train`
    run = PlannedRun(arguments.arm, arguments.seed, arguments.n_seeds)
    console = make_console()
    try:
        directory = StudyDirectory(arguments.study)
        result = carry_out(
            directory,
            run,
            console=console,
            trust=arguments.trust,
            command_line=["python", "-m", "macpo.study.carry_out", *sys.argv[1:]],
        )
    except UsageError as error:
        print(f"macpo: {error}", file=sys.stderr)
        return 2
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        print(f"macpo: memory ran out: {shortened(str(error))}", file=sys.stderr)
        return 2
    return 0 if result.finished else 128 + (result.signal or 0)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m macpo.study.carry_out")
    parser.add_argument("study", type=Path)
    parser.add_argument("arm")
    parser.add_argument("seed", type=int)
    parser.add_argument("n_seeds", type=int, help="so many seeds, from the first on")
    parser.add_argument("cores", type=int, help="devices of a run on a CPU")
    parser.add_argument("--on", type=int, nargs="*", default=(), help="the cores themselves")
    parser.add_argument("--trust", action="store_true")
    return parser


if __name__ == "__main__":
    end_at_once()
    sys.exit(main())
