"""A top view of Predator-Prey: discs hunt diamonds; a bar joins a catching disc and its prey."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int
from PIL import Image, ImageDraw

from macpo.envs.predator_prey import CATCH, MOVES, PredatorPreyEnv, State
from macpo.render import board
from macpo.render.ink import draw_caption
from macpo.types import AnyArray

SHOWS_AGENT = True
"""Whether the actions of an agent can be shown."""
DOES = ("moves right", "moves down", "moves left", "moves up", "stays", "catches")


def frame(
    env: PredatorPreyEnv,
    state: State,
    caption: str,
    actions: Int[np.ndarray, " N"] | None = None,
    agent: int | None = None,
) -> Image.Image:
    """One state; with `actions`, also what each predator does next.

    An `agent` is marked, and what it does is said in words.
    """
    agents, prey = _cells(state.agent_cell), _cells(state.prey_cell)
    acts = [None] * len(agents) if actions is None else [int(a) for a in np.asarray(actions)]
    height, width = env.config.height, env.config.width
    size = board.cell_size(height, width)
    image = board.empty_board(height, width).copy()
    draw = ImageDraw.Draw(image)
    draw_caption(draw, caption)
    if agent is not None and agents[agent] != env.gone:
        board.draw_chosen(draw, cell_box(env, agents[agent]))
    for cell, act in zip(agents, acts, strict=True):
        if act == CATCH and cell != env.gone:
            for other in prey:
                if other != env.gone and _distance(cell, other, width) == 1:
                    board.draw_grip(draw, cell_box(env, cell), cell_box(env, other))
    for i, cell in enumerate(prey):
        if cell != env.gone:
            sprite = board.diamond(size, str(i))
            image.paste(sprite, cell_box(env, cell), sprite)
    for i, (cell, act) in enumerate(zip(agents, acts, strict=True)):
        if cell != env.gone:
            way = MOVES[act] if act is not None and act < len(MOVES) else None
            sprite = board.disc(size, str(i), way, ring=act == CATCH)
            image.paste(sprite, cell_box(env, cell), sprite)
    left = sum(cell != env.gone for cell in agents)
    board.draw_legend(
        image,
        [
            (board.disc(board.SIGN, ""), f"{left} predator{'s' * (left != 1)}"),
            (board.diamond(board.SIGN, ""), f"{sum(cell != env.gone for cell in prey)} prey"),
            (board.disc(board.SIGN, "", ring=True), "catching"),
        ],
    )
    if agent is None:
        return image
    return board.with_words(image, f"agent {agent} {_does(env, agents[agent], acts[agent])}")


def stored_state(
    env: PredatorPreyEnv, encoded: tuple[Int[Array, " N"], Int[Array, " M"]], t: int
) -> State:
    """The state of an encoded one: it has everybody's cells."""
    agent_cell, prey_cell = encoded
    return State(agent_cell, prey_cell, jnp.asarray(t, jnp.int32))


def cell_box(env: PredatorPreyEnv, cell: int) -> board.Box:
    """The box of a cell in pixels."""
    height, width = env.config.height, env.config.width
    return board.cell_box(height, width, *divmod(cell, width))


def _does(env: PredatorPreyEnv, cell: int, act: int | None) -> str:
    """What an agent does, in words."""
    if cell == env.gone:
        return "is gone"
    return "is there at the end" if act is None else DOES[act]


def _cells(cell: AnyArray) -> list[int]:
    return [int(c) for c in np.asarray(cell)]


def _distance(a: int, b: int, width: int) -> int:
    (row, column), (other_row, other_column) = divmod(a, width), divmod(b, width)
    return abs(row - other_row) + abs(column - other_column)
