"""An episode as an animated GIF, for any environment.

An environment `my-env` is drawn by `frame(env, state, caption, actions)` in `macpo.render.my_env`;
one without such a module by text.
"""

import importlib
import io
import pkgutil
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from jaxtyping import Float, Int
from PIL import Image, ImageDraw

import macpo.render
from macpo.envs.base import Environment
from macpo.errors import require
from macpo.files import write_atomically
from macpo.render.ink import INK, MARGIN, PAPER, draw_caption, font

FIGURE_SPACE = "\u2007"  # as wide as a digit, so that captions do not tremble
COLORS, MAIN_COLORS = 31, 16  # one less than a power of two: GIF also needs a transparent one
LAST_FRAME_SECONDS = 2.0
TEXT_SIZE, TEXT_LINES = (600, 360), 16


class Drawer(Protocol):
    """Draws one state; `actions` are what is about to be done in it, None where it ends."""

    def __call__(
        self, env: Any, state: Any, caption: str, actions: Int[Any, " N"] | None = None
    ) -> Image.Image:
        """Draw it; all pictures of an environment have the same size."""
        ...


def animate(
    env: Environment,
    states: Sequence[Any],
    actions: Int[Any, "T N"],
    rewards: Float[Any, " T"],
    file: Path,
    fps: int = 8,
) -> None:
    """Write an episode of T env steps (T+1 states) as a GIF; the last frame stays longer.

    Raises UsageError for another ending than .gif, and if the disk refuses.
    """
    require(
        file.suffix.lower() == ".gif",
        f"cannot animate to {file}: the ending must be .gif, so try {file.with_suffix('.gif')}.",
    )
    require(1 <= fps <= 50, f"fps must be between 1 and 50 frames a second, not {fps}.")
    require(
        len(states) - 1 == len(actions) == len(rewards),
        f"an episode of T steps has T+1 states, T actions and T rewards, not {len(states)}, "
        f"{len(actions)} and {len(rewards)}.",
    )
    draw, texts, taken = drawer(env.spec.name), captions(rewards), [*np.asarray(actions), None]

    def pictures() -> Iterator[Image.Image]:
        for state, caption, acts in zip(states, texts, taken, strict=True):
            yield draw(env, state, caption, acts)

    # drawn twice, once for the colours: cheaper than to hold an episode of pictures in memory
    palette = common_palette(pictures())
    first, *others = (p.quantize(palette=palette, dither=Image.Dither.NONE) for p in pictures())
    pause = round(100 / fps) * 10  # GIF counts hundredths of a second
    buffer = io.BytesIO()
    first.save(
        buffer,
        "GIF",
        save_all=True,
        append_images=others,
        duration=[pause] * len(others) + [round(1000 * LAST_FRAME_SECONDS)],
        palette=bytes(palette.getpalette() or []),
        optimize=True,  # pixels that stay as they were are left out
        loop=0,
    )
    write_atomically(file, buffer.getvalue())


def drawer(name: str) -> Drawer:
    """The function that draws the environment called `name`."""
    module = name.replace("-", "_")
    if module in {m.name for m in pkgutil.iter_modules(macpo.render.__path__)}:
        draw = getattr(importlib.import_module(f"macpo.render.{module}"), "frame", None)
        if draw is not None:
            return draw
    return text_frame


def has_picture(name: str) -> bool:
    """Whether somebody draws the environment called `name`."""
    return drawer(name) is not text_frame


def captions(rewards: Float[Any, " T"]) -> list[str]:
    """A line for each of T+1 frames; frame t counts the reward of the step taken in it."""
    rewards = np.asarray(rewards, np.float64)
    digits = len(str(len(rewards)))
    lines = [
        f"step {str(t).rjust(digits, FIGURE_SPACE)}   return {total:.4g}   reward {reward:+.4g}"
        for t, (reward, total) in enumerate(zip(rewards, rewards.cumsum(), strict=True))
    ]
    lines.append(f"end after {len(rewards)} steps   return {rewards.sum():.4g}")
    return [line.replace("-", "−") for line in lines]


def text_frame(
    env: Environment, state: Any, caption: str, actions: Int[Any, " N"] | None = None
) -> Image.Image:
    """What each agent sees and may do, in numbers: for environments that nobody draws."""
    image = Image.new("RGB", TEXT_SIZE, PAPER)
    draw = ImageDraw.Draw(image)
    draw_caption(draw, caption)
    text = "\n".join(_summary(env, state, actions))
    draw.multiline_text((MARGIN, 48), text, fill=INK, font=font(13, mono=True), spacing=5)
    return image


def common_palette(pictures: Iterable[Image.Image]) -> Image.Image:
    """At most `COLORS` colours for all pictures: the main ones exactly, the others nearly.

    Blends at the edges of shapes are many but small; taken together with all else they would spoil
    the colours of the large areas.
    """
    counts: Counter[Any] = Counter()
    for picture in pictures:
        colors = picture.convert("RGB").getcolors(picture.width * picture.height) or []
        counts.update({color: n for n, color in colors})
    ranked = [color for color, _ in counts.most_common()]
    main, others = ranked[:MAIN_COLORS], ranked[MAIN_COLORS:]
    if len(ranked) > COLORS:
        row = Image.new("RGB", (len(others), 1))
        row.putdata(others)
        reduced = row.quantize(COLORS - MAIN_COLORS).convert("RGB").getcolors() or []
        others = [color for _, color in reduced]
    palette = Image.new("P", (1, 1))
    palette.putpalette([channel for color in dict.fromkeys(main + others) for channel in color])
    return palette


def _summary(env: Environment, state: Any, actions: Int[Any, " N"] | None) -> list[str]:
    seen, spec = env.observe(state), env.spec
    obs, avail = np.asarray(seen.obs), np.asarray(seen.avail_actions)
    lines = [f"{spec.name}: no picture, so numbers", "", f"state    {_numbers(seen.state)}"]
    for agent in range(spec.n_agents):
        action = "–" if actions is None else str(int(np.asarray(actions)[agent]))
        lines.append(
            f"agent {agent:<2} {_numbers(obs[agent])}   "
            f"{int(avail[agent].sum())} of {spec.n_actions} actions, takes {action}"
        )
    if len(lines) > TEXT_LINES:
        lines[TEXT_LINES - 1 :] = [f"and {len(lines) - TEXT_LINES + 1} more agents"]
    return lines


def _numbers(x: Any) -> str:
    x = np.asarray(x, np.float64)
    if x.size == 0:
        return "nothing"
    return f"{np.count_nonzero(x):>3} of {x.size:<3} not 0, {x.min():6.2f} to {x.max():6.2f}"
