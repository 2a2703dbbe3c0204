"""What `macpo bench` measures: every stage's speed and memory, against plain references.

Contenders take turns for several rounds, and the median round counts. Absolute figures vary with
the machine and its load, ratios less so. The references are plain code of this repository: the
NumPy environment of the tests, and a PyTorch learner (`benchmarks/`). Where they or torch are
missing, their rows say so and the rest is still measured.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import tyro
from rich.console import Console
from rich.table import Table
from rich.text import Text

from macpo.bench.algorithms import algorithms
from macpo.bench.answers import report, sweep
from macpo.bench.battle import battles
from macpo.bench.battle_rollout import battle_rollouts
from macpo.bench.environment import environment, rollout
from macpo.bench.host import host
from macpo.bench.iteration import sampling, seeds
from macpo.bench.learning import learning
from macpo.bench.measure import Flags, Result, machine
from macpo.bench.update import update
from macpo.bench.weighting import weighting
from macpo.bench.whole import compile_time, end_to_end, memory
from macpo.field_types import JsonObject
from macpo.machine import prepare_jax
from macpo.runs.files import write_json
from macpo.terminal import say

Section: TypeAlias = Literal[
    "env",
    "battles",
    "rollout",
    "battle-rollout",
    "host",
    "update",
    "seeds",
    "sampling",
    "algorithms",
    "weighting",
    "memory",
    "compile",
    "end-to-end",
    "report",
    "sweep",
    "learning",
]
SECTIONS: Mapping[Section, Callable[[Flags], list[Result]]] = {
    "env": environment,
    "battles": battles,
    "rollout": rollout,
    "battle-rollout": battle_rollouts,
    "host": host,
    "update": update,
    "seeds": seeds,
    "sampling": sampling,
    "algorithms": algorithms,
    "weighting": weighting,
    "memory": memory,
    "compile": compile_time,
    "end-to-end": end_to_end,
    "report": report,
    "sweep": sweep,
    "learning": learning,
}


@dataclass(frozen=True)
class Bench(Flags):
    """Flags of `macpo bench`."""

    sections: Annotated[tuple[Section, ...], tyro.conf.Positional] = tuple(SECTIONS)
    """What to measure; everything by default."""


def run_bench(flags: Bench, console: Console) -> list[Result]:
    """Measure, print a table, write JSON."""
    prepare_jax()
    before, results = machine(), list[Result]()
    for section in flags.sections:
        with console.status(f"measuring: {section}"):
            results += SECTIONS[section](flags)
    show(results, before, flags.json, console)
    return results


def show(
    results: Sequence[Result], before: JsonObject, file: Path | None, console: Console
) -> None:
    """Print a table, and write JSON, with the machine as it was before, if a file is named."""
    table = Table("what", "value", "ratio", "against", "note")
    for r in results:
        ratio = "" if r.ratio is None else f"{r.ratio:,.3g}×"
        cells = (r.name, f"{r.value:,.4g} {r.unit}", ratio, r.reference, r.note)
        table.add_row(*map(Text, cells))
    console.print(table)
    if file is not None:
        write_json(file, {"machine": before, "results": [_row(r) for r in results]})
        say(console, f"written to {file}")


def _row(result: Result) -> JsonObject:
    """A result as JSON has it, which knows neither infinity nor NaN."""
    return asdict(result) | ({} if math.isfinite(result.value) else {"value": None})
