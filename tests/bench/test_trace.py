"""How much of a compiled function's time its networks take."""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import pytest

from macpo.bench import trace
from macpo.bench.trace import share_outside_networks
from macpo.nets.action_selection import gather_actions


def outside_networks(fn: Callable[[jax.Array], jax.Array]) -> float:
    x = jnp.ones((256, 256))
    compiled = jax.jit(fn).lower(x).compile()
    return share_outside_networks(compiled, lambda: compiled(x))


def test_matrix_products_and_what_comes_from_the_networks_lines_are_inside_them():
    actions = jnp.arange(256) % 7
    assert outside_networks(lambda x: gather_actions(x @ (x @ x), actions)) < 0.1


def test_what_comes_from_other_lines_is_outside_them():
    assert outside_networks(lambda x: jnp.sort(x @ x, axis=0)) > 0.5


# --- a program and a profile written by hand ------------------------------------------------------

PROGRAM = """HloModule update

FileNames
1 "/lib/macpo/nets/agent.py"
2 "/lib/macpo/learners/losses.py"

FileLocations
1 {file_name_id=1 function_name_id=1 line=3}
2 {file_name_id=2 function_name_id=1 line=9}

StackFrames
1 {file_location_id=1 parent_frame_id=1}
2 {file_location_id=2 parent_frame_id=1}


ENTRY %main (x: f32[4]) -> f32[4] {
  %x = f32[4]{0} parameter(0)
  %gate = f32[4]{0} tanh(%x), metadata={op_name="jit(update)/tanh" stack_frame_id=1}
  %square = f32[4]{0} multiply(%x, %x), metadata={op_name="jit(update)/mul" stack_frame_id=2}
  %product = f32[4]{0} dot(%x, %x), metadata={op_name="jit(update)/dot_general" stack_frame_id=2}
  %fused = f32[4]{0} fusion(%x), metadata={op_name="jit(update)/dot_general" stack_frame_id=2}
  ROOT %loop = (f32[4]{0}, s32[]) while(%x), metadata={op_name="jit(update)/while"}
}
"""


class Compiled:
    @staticmethod
    def as_text() -> str:
        return PROGRAM


def share(monkeypatch: pytest.MonkeyPatch, **seconds: float) -> float:
    """Of a run in which these instructions took so long."""
    monkeypatch.setattr(trace, "_seconds_by_instruction", lambda run: seconds)
    return share_outside_networks(Compiled, lambda: None)


@pytest.mark.parametrize("inside", ["gate", "product", "fused"])
def test_lines_of_networks_and_products_anywhere_are_inside(
    inside: str, monkeypatch: pytest.MonkeyPatch
):
    assert share(monkeypatch, **{inside: 3.0, "square": 1.0}) == 1 / 4


def test_an_instruction_that_contains_others_does_not_count(monkeypatch: pytest.MonkeyPatch):
    assert share(monkeypatch, gate=3.0, square=1.0, loop=100.0) == 1 / 4


def test_what_the_program_does_not_name_is_outside(monkeypatch: pytest.MonkeyPatch):
    assert share(monkeypatch, gate=3.0, copy=1.0) == 1 / 4


def test_a_trace_without_work_has_no_share(monkeypatch: pytest.MonkeyPatch):
    assert math.isnan(share(monkeypatch, loop=1.0))
    assert math.isnan(share(monkeypatch))
