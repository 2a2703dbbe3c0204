"""A top view of Level-Based Foraging: discs of agents, diamonds of food, each with its level."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int
from PIL import Image, ImageDraw

from macpo.envs.foraging import LOAD, MOVES, NONE, ForagingEnv, State
from macpo.render import board
from macpo.render.ink import draw_caption

SHOWS_AGENT = True
"""Whether the actions of an agent can be shown."""
DOES = ("stays", "moves up", "moves down", "moves left", "moves right", "loads")


def frame(
    env: ForagingEnv,
    state: State,
    caption: str,
    actions: Int[np.ndarray, " N"] | None = None,
    agent: int | None = None,
) -> Image.Image:
    """One state; with `actions`, also what each agent does next.

    A bar joins an agent that loads to the food beside it. An `agent` is marked, and what it does is
    said in words.
    """
    height, width = env.config.height, env.config.width
    agents = [board.cell_box(height, width, int(r), int(c)) for r, c in np.asarray(state.agent)]
    food = [board.cell_box(height, width, int(r), int(c)) for r, c in np.asarray(state.food)]
    levels, left = np.asarray(state.agent_level), np.asarray(state.food_level)
    acts = [None] * len(agents) if actions is None else [int(a) for a in np.asarray(actions)]
    away = np.abs(np.asarray(state.agent, int)[:, None] - np.asarray(state.food, int)).sum(-1)
    size = board.cell_size(height, width)
    image = board.empty_board(height, width).copy()
    draw = ImageDraw.Draw(image)
    draw_caption(draw, caption)
    if agent is not None:
        board.draw_chosen(draw, agents[agent])
    for i, j in np.argwhere((away == 1) & (left > 0)):
        if acts[i] == LOAD:
            board.draw_grip(draw, agents[i], food[j])
    for box, level in zip(food, left, strict=True):
        if level > 0:
            sprite = board.diamond(size, str(level))
            image.paste(sprite, box, sprite)
    for box, level, act in zip(agents, levels, acts, strict=True):
        way = None if act in (None, NONE, LOAD) else MOVES[act]
        sprite = board.disc(size, str(level), way, ring=act == LOAD)
        image.paste(sprite, box, sprite)
    n = int((left > 0).sum())
    board.draw_legend(
        image,
        [
            (board.disc(board.SIGN, ""), "agent's level"),
            (board.diamond(board.SIGN, ""), f"food's, {n} left"),
            (board.disc(board.SIGN, "", ring=True), "loading"),
        ],
    )
    if agent is None:
        return image
    act = acts[agent]
    does = "is there at the end" if act is None else DOES[act]
    return board.with_words(image, f"agent {agent} {does}")


def stored_state(env: ForagingEnv, encoded: tuple[Array, ...], t: int) -> State:
    """The state of an encoded one: it has everybody's cells and levels."""
    agent, agent_level, food, food_level = encoded
    none = jnp.zeros((), jnp.int32)
    return State(agent, agent_level, food, food_level, none, jnp.asarray(t, jnp.int32))
