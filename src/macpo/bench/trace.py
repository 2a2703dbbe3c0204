"""The share of a compiled function's time that its networks take, from a profiler's trace.

XLA records the line of Python that each instruction comes from, and its profiler how long each
instruction ran. An instruction counts as part of the networks if it is a matrix product or if
its line is in `macpo.nets` or in a kernel that computes networks; targets, weights, losses,
optimisers and the decoding of states are the rest. A fused instruction counts as its last
operation.
"""

import re
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import jax
from jax.stages import Compiled

KERNELS = ("batch_last", "chunked", "packing", "unroll")
NETWORKS = ("/macpo/nets/", *(f"/macpo/kernels/{name}.py" for name in KERNELS))
"""The layers, and the kernels that compute them in another order."""
PRODUCTS = ("dot", "dot_general")
NOT_WORK = ("while", "conditional", "call", "all-reduce", "all-gather", "reduce-scatter")
"""Instructions that contain others, or in which devices mostly wait for each other."""

_INSTRUCTION = re.compile(
    r"^\s*(?:ROOT )?%?(?P<name>\S+) = (?:\(.*?\)|\S+) (?P<kind>[\w-]+)\("
    r"(?:.*op_name=\"(?:.*/)?(?P<op>[^/\"]*)\")?(?:.*stack_frame_id=(?P<frame>\d+))?",
    re.MULTILINE,
)
_ROW = re.compile(r"^(\d+) (?:\"(.*)\"|\{(.*)\})$")


class Source(NamedTuple):
    """The origin of an instruction."""

    kind: str
    """XLA's name for it."""
    operation: str
    """JAX's name for it, if known."""
    file: str


def share_outside_networks(compiled: Compiled, run: Callable[[], object]) -> float:
    """The share of work outside networks while `run` calls the compiled function; NaN if the trace
    shows none of its instructions."""
    sources = _sources(compiled.as_text() or "")
    inside = outside = 0.0
    for name, seconds in _seconds_by_instruction(run).items():
        source = sources.get(name, Source("", "", ""))
        if source.kind in NOT_WORK:
            continue
        is_product = source.kind in PRODUCTS or source.operation in PRODUCTS
        if is_product or any(part in source.file for part in NETWORKS):
            inside += seconds
        else:
            outside += seconds
    return outside / (inside + outside) if inside + outside else float("nan")


def _seconds_by_instruction(run: Callable[[], object]) -> Counter[str]:
    options = jax.profiler.ProfileOptions()
    options.python_tracer_level = 0
    seconds: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        with jax.profiler.trace(folder, profiler_options=options):
            jax.block_until_ready(run())
        for file in Path(folder).rglob("*.xplane.pb"):
            for plane in jax.profiler.ProfileData.from_file(str(file)).planes:
                for event in (event for line in plane.lines for event in line.events):
                    name = dict(event.stats).get("hlo_op")
                    if name is not None:
                        seconds[str(name)] += event.duration_ns / 1e9
    return seconds


def _sources(text: str) -> dict[str, Source]:
    """The origin of every instruction in a program's text."""
    files, places, frames = (_table(text, t) for t in ("FileNames", "FileLocations", "StackFrames"))
    file_of = {
        number: files[_field(places[_field(frame, "file_location_id")], "file_name_id")]
        for number, frame in frames.items()
    }
    return {
        m["name"]: Source(m["kind"], m["op"] or "", file_of.get(m["frame"] or "", ""))
        for m in _INSTRUCTION.finditer(text)
    }


def _table(text: str, title: str) -> dict[str, str]:
    """The numbered rows of one of the tables in front of a program's text."""
    rows = text.partition(f"\n{title}\n")[2].partition("\n\n")[0].splitlines()
    matches = (_ROW.match(row) for row in rows)
    return {m[1]: m[2] or m[3] for m in matches if m}


def _field(row: str, field: str) -> str:
    match = re.search(rf"{field}=(\d+)", row)
    assert match is not None
    return match[1]
