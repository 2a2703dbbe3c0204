"""What the runs of a study need on this machine: memory, and how many at a time pay.

Both are found out in other processes, since JAX would keep an accelerator's memory in this one. As
a program it reads one experiment after another from stdin, a line of JSON each, and answers in
lines of JSON.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import IO, NamedTuple

from rich.console import Console

from macpo.bounds import MAX_INT
from macpo.errors import UsageError, describe_exception
from macpo.experiment import Experiment, from_dict, to_dict
from macpo.field_types import Json, JsonObject
from macpo.machine import cores_of_slot, on_accelerator, prepare_jax
from macpo.runs.memory import planned_bytes
from macpo.runs.offline import filled
from macpo.study.carry_out import use_cores
from macpo.training.player import open_player
from macpo.training.trainer import make_trainer, progress

SECONDS = 10.0
"""How long training is timed."""
MAX_WARMUP = 60.0
"""Seconds of training that may pass before the first update; after that it is timed without."""


class Needs(NamedTuple):
    """What a run needs."""

    n_bytes: int
    is_on_cpu: bool


class Pace(NamedTuple):
    """How fast a study goes with this many runs at a time."""

    parallel: int
    cores: int
    """Of each run."""
    env_steps_per_s: float
    """Of all runs together, while learning; offline, updates."""


def read_needs(experiments: Sequence[Experiment], *, trust: bool = False) -> list[Needs]:
    """What a run of each experiment needs; UsageError for one that cannot be trained here."""
    with _child("needs", trust=trust) as (write, read):
        for experiment in experiments:
            write(to_dict(experiment))
        return [Needs(*read()) for _ in experiments]


def measure(experiment: Experiment, parallel: int, cores: int, *, trust: bool = False) -> Pace:
    """Train the same experiment in `parallel` processes with `cores` each, and time them at once.

    It takes as long as compiling does, and `SECONDS`.
    """
    with ExitStack() as stack:
        children = [
            stack.enter_context(
                _child("pace", str(cores), *map(str, cores_of_slot(i, cores)), trust=trust)
            )
            for i in range(parallel)
        ]
        for write, _ in children:
            write(to_dict(experiment))
        for _, read in children:
            read()  # it learns
        for write, _ in children:
            write(SECONDS)
        return Pace(parallel, cores, sum(float(read()) for _, read in children))


def candidates(n_cores: int, max_parallel: int) -> list[tuple[int, int]]:
    """(runs at a time, cores of each) between one run on all cores and a run on each core.

    >>> candidates(8, max_parallel=5)
    [(1, 8), (2, 4), (4, 2), (5, 1)]
    """
    powers = [2**i for i in range(n_cores.bit_length()) if 2**i < n_cores]
    return [
        (min(n_cores // cores, max_parallel), cores)
        for cores in (n_cores, *reversed(powers))
        if n_cores // cores <= max_parallel or n_cores // (2 * cores) < max_parallel
    ]


# --- the other processes ------------------------------------------------------------------------


@contextmanager
def _child(
    *words: str, trust: bool
) -> Generator[tuple[Callable[[Json], None], Callable[[], Json]]]:
    """(write JSON to it, read JSON from it) of a process of this module; it ends with the context.

    What it answers with an error is raised as UsageError.
    """
    command = [sys.executable, "-P", "-m", "macpo.study.needs", *["--trust"] * trust, *words]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdin is not None and process.stdout is not None
        to, back = process.stdin, process.stdout

        def write(data: Json) -> None:
            to.write(json.dumps(data) + "\n")
            to.flush()

        try:
            yield write, lambda: _answer(back)
        finally:
            process.kill()


def _answer(back: IO[str]) -> Json:
    line = back.readline()
    if not line:
        raise UsageError("a process that tried out the study's runs has died; see above.")
    answer: JsonObject = json.loads(line)
    if "error" in answer:
        raise UsageError(answer["error"])
    return answer["value"]


def _main(words: list[str]) -> None:
    trust = words[0] == "--trust"
    task, *numbers = words[trust:]
    if trust:
        sys.path.append("")
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)
    sys.stdout = sys.stderr  # what an environment prints is no answer
    if task == "pace":
        cores, *on = map(int, numbers)
        use_cores(cores, on)
    prepare_jax()
    for line in sys.stdin:
        data = json.loads(line)
        try:
            experiment = from_dict(data, trust=trust)
            for value in _needs(experiment) if task == "needs" else _pace(experiment):
                answers.write(json.dumps({"value": value}) + "\n")
        except Exception as error:
            known = isinstance(error, UsageError)
            words_of = str(error) if known else describe_exception(error)
            answers.write(json.dumps({"error": words_of}) + "\n")
            return


def _needs(experiment: Experiment) -> Iterator[Needs]:
    trainer = make_trainer(experiment, to_play=True)
    n_bytes = sum(planned_bytes(trainer))
    trainer.check()
    yield Needs(n_bytes, not on_accelerator())


def _pace(experiment: Experiment) -> Iterator[float]:
    """1 once training learns; after a line with a number of seconds, the env steps (offline: the
    updates) a second of all seeds while learning for so long."""
    trainer = make_trainer(experiment, to_play=True)
    with open_player(experiment, trainer) as player:
        state = filled(trainer, experiment, trainer.init(), Console(quiet=True))
        warm = time.monotonic() + MAX_WARMUP

        def done() -> int:
            return int(progress(experiment.run, state).sum())

        player.compile()
        while int(state.updates[0]) == 0 and time.monotonic() < warm:
            state, _ = player.chunk(state, MAX_INT)
        yield 1.0
        seconds = float(sys.stdin.readline())
        before, start = done(), time.monotonic()
        while time.monotonic() - start < seconds:
            state, _ = player.chunk(state, MAX_INT)
            done()  # waits for it
        yield (done() - before) / (time.monotonic() - start)


if __name__ == "__main__":
    _main(sys.argv[1:])
