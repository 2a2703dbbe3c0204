"""An episode as a film, for any environment.

An environment `my-env` is drawn by the module `macpo.render.my_env`: by its `frame(env, state,
caption, actions)`, one picture per state, or by its `film(env, states, actions, captions, options)`
at `FPS` pictures a second. A module says what its pictures can show besides: `WIDTHS`, the range of
their widths in pixels, and `SHOWS_AGENT`, whether they take an `agent` to mark. Environments that
are not JAX may draw themselves (`macpo.runs.film.Seen`). Others are shown as text.
"""

import importlib
import io
import pkgutil
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol, TypeAlias

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import ArrayLike
from PIL import Image, ImageDraw

import macpo.render
from macpo.envs.base import Environment
from macpo.envs.host_stub import HostEnvStub
from macpo.errors import UsageError, require, shortened
from macpo.render import gif
from macpo.render.ink import INK, MARGIN, PAPER, Picture, draw_caption, font
from macpo.render.options import SLOWER, USUAL, FilmOptions
from macpo.runs.files import write_atomically
from macpo.runs.film import Seen
from macpo.types import PyTree, Spec

FIGURE_SPACE = "\u2007"  # as wide as a digit, so that captions do not shift
FPS = 8  # of films with one picture per state
TEXT_SIZE, TEXT_LINES = (600, 360), 16
CAPTION = 48  # pixels above a picture
MIN_SEEN, MAX_SEEN = 400, 720  # pixels of the longer side of what an environment draws itself

Encode: TypeAlias = Callable[[Sequence[Picture], int], bytes]
"""(pictures, pictures a second) → the contents of the file."""


class Drawer(Protocol):
    """Draws one state; `actions` are those taken in it, None in the final state."""

    # `env` is of the class that it draws
    def __call__(
        self, env: Any, state: PyTree, caption: str, actions: Int[np.ndarray, " N"] | None = None
    ) -> Image.Image:
        """Draw it; all pictures of an environment have the same size."""
        ...


def animate(
    env: Environment,
    states: Sequence[PyTree],
    actions: Int[np.ndarray, "T N"],
    rewards: Float[np.ndarray, " T"],
    file: Path,
    fps: int | None = None,
    options: FilmOptions = USUAL,
) -> None:
    """Write an episode of T env steps (T+1 states) as a film; its last picture stays longer.

    The ending of `file`, .gif or .mp4, chooses the format; `fps` is in pictures a second and by
    default depends on the environment. UsageError for another ending, for options that the
    environment's pictures do not take, or if writing fails.
    """
    encode = encoder(file)
    require(
        len(states) - 1 == len(actions) == len(rewards),
        f"an episode of T steps has T+1 states, T actions and T rewards, not {len(states)}, "
        f"{len(actions)} and {len(rewards)}.",
    )
    pictures, usual_fps = pictures_of(env, states, np.asarray(actions), captions(rewards), options)
    fps = usual_fps if fps is None else fps
    require(1 <= fps <= 50, f"fps must be between 1 and 50 pictures a second, not {fps}.")
    write_atomically(file, encode(pictures, fps))


def encoder(file: Path) -> Encode:
    """The encoder for the file's ending; UsageError for another one or a missing package."""
    if file.suffix.lower() == ".mp4":
        try:
            return importlib.import_module("macpo.render.mp4").encode
        except ImportError as error:
            raise UsageError(
                f"{shortened(str(file))} needs the package av: pip install 'macpo[video]', or "
                "choose a name that ends in .gif."
            ) from error
    require(
        file.suffix.lower() == ".gif",
        f"cannot write a film to {shortened(str(file))}: the ending must be .gif or .mp4, so try "
        f"{shortened(str(file.parent / (file.stem or 'film')))}.gif.",
    )
    return gif.encode


def pictures_of(
    env: Environment,
    states: Sequence[PyTree],
    actions: Int[np.ndarray, "T N"],
    captions: Sequence[str],
    options: FilmOptions = USUAL,
) -> tuple[list[Picture], int]:
    """The pictures of an episode, and how many to show per second."""
    check_options(env.spec, options)
    fps = FPS // SLOWER if options.slow else FPS
    if isinstance(states[0], Seen):
        pngs = [seen.png for seen in states]
        size = _canvas(pngs)
        return [partial(seen_frame, *each, size) for each in zip(pngs, captions, strict=True)], fps
    module = _module(env.spec.name)
    if module is not None and hasattr(module, "film"):
        return module.film(env, states, actions, captions, options), module.FPS
    draw: Any = drawer(env.spec.name)  # some take an agent as well
    if options.agent is not None:
        draw = partial(draw, agent=options.agent)
    frames = zip(states, captions, [*actions, None], strict=True)
    return [partial(draw, env, *frame) for frame in frames], fps


def check_options(spec: Spec, options: FilmOptions) -> None:
    """UsageError for what the pictures of an environment do not take."""
    module = _module(spec.name)
    if options.agent is not None:
        require(
            getattr(module, "SHOWS_AGENT", False),
            f"films of {spec.name} do not show the actions of a chosen agent; leave out the agent.",
        )
        require(
            options.agent < spec.n_agents,
            f"{spec.name} has agents 0 to {spec.n_agents - 1}, so none to show with the number "
            f"{options.agent}.",
        )
    if options.width is not None:
        widths: range = getattr(module, "WIDTHS", range(0))
        require(
            bool(widths), f"films of {spec.name} have a width of their own; leave out the width."
        )
        require(
            options.width in widths,
            f"films of {spec.name} are {widths[0]} to {widths[-1]} pixels wide, not "
            f"{options.width}.",
        )


def stored_picture(
    env: Environment,
    encoded: tuple[PyTree, PyTree],
    t: int,
    actions: Int[np.ndarray, " N"],
    caption: str,
) -> Image.Image:
    """The picture of step t of an episode in replay, from the encoded states before and after it.

    A module that draws an environment says by `stored_state(env, encoded, t)` what a state has
    been, as far as that is encoded. What other environments have encoded is shown as text.
    """
    module = _module(env.spec.name)
    if module is None or not hasattr(module, "stored_state"):
        return text_frame(HostEnvStub(env.spec), env.decode(encoded[0]), caption, actions)
    states = [module.stored_state(env, x, t + i) for i, x in enumerate(encoded)]
    widths: range = getattr(module, "WIDTHS", range(0))
    small = FilmOptions(width=widths[0] if widths else None)
    return pictures_of(env, states, actions[None], [caption, caption], small)[0][0]()


def drawer(name: str) -> Drawer:
    """The function that draws states of the environment called `name`."""
    return getattr(_module(name), "frame", text_frame)


def _module(name: str) -> ModuleType | None:
    module = name.replace("-", "_")
    if module not in {m.name for m in pkgutil.iter_modules(macpo.render.__path__)}:
        return None
    return importlib.import_module(f"macpo.render.{module}")


def has_picture(name: str, state: PyTree = None) -> bool:
    """Whether a module draws the environment called `name`: its states, or an episode at once; or
    whether such a state of it has been drawn."""
    module = _module(name)
    return isinstance(state, Seen) or hasattr(module, "frame") or hasattr(module, "film")


def seen_frame(png: bytes, caption: str, size: tuple[int, int]) -> Image.Image:
    """What an environment has drawn itself, below the caption; `size` is that of the room for it.

    Small pictures are enlarged by a whole number, large ones reduced.
    """
    with Image.open(io.BytesIO(png)) as opened:
        picture = opened.convert("RGB")
    picture = picture.resize(_fitted(picture.size), Image.Resampling.BOX)
    image = Image.new("RGB", (size[0] + 2 * MARGIN, size[1] + CAPTION + MARGIN), PAPER)
    draw_caption(ImageDraw.Draw(image), caption)
    image.paste(picture, (MARGIN, CAPTION))
    return image


def _canvas(pngs: Sequence[bytes]) -> tuple[int, int]:
    """The room that the largest of an episode's pictures takes, and a caption above it."""
    sizes = list[tuple[int, int]]()
    for png in pngs:
        with Image.open(io.BytesIO(png)) as picture:
            sizes.append(_fitted(picture.size))
    widths, heights = zip(*sizes, strict=True)
    return max(MIN_SEEN, *widths), max(heights)


def _fitted(size: tuple[int, int]) -> tuple[int, int]:
    """The size at which a picture is shown."""
    longer = max(size)
    if longer > MAX_SEEN:
        return max(size[0] * MAX_SEEN // longer, 1), max(size[1] * MAX_SEEN // longer, 1)
    times = max(MIN_SEEN // longer, 1)
    return size[0] * times, size[1] * times


def captions(rewards: Float[np.ndarray, " T"]) -> list[str]:
    """A line for each of T+1 frames; frame t includes the reward of the step taken in it."""
    rewards = np.asarray(rewards, np.float64)
    digits = len(str(len(rewards)))
    lines = [
        f"step {str(t).rjust(digits, FIGURE_SPACE)}   return {total:.4g}   reward {reward:+.4g}"
        for t, (reward, total) in enumerate(zip(rewards, rewards.cumsum(), strict=True))
    ]
    lines.append(f"end after {len(rewards)} steps   return {rewards.sum():.4g}")
    return [line.replace("-", "−") for line in lines]


def text_frame(
    env: Environment, state: PyTree, caption: str, actions: Int[np.ndarray, " N"] | None = None
) -> Image.Image:
    """Each agent's observation and available actions as text, for environments without pictures."""
    image = Image.new("RGB", TEXT_SIZE, PAPER)
    draw = ImageDraw.Draw(image)
    draw_caption(draw, caption)
    text = "\n".join(_summary(env, state, actions))
    draw.multiline_text((MARGIN, 48), text, fill=INK, font=font(13, mono=True), spacing=5)
    return image


def _summary(env: Environment, state: PyTree, actions: Int[np.ndarray, " N"] | None) -> list[str]:
    observation, spec = env.observe(state), env.spec
    obs, avail = np.asarray(observation.obs), np.asarray(observation.avail_actions)
    lines = [f"{spec.name}: no picture, so numbers", "", f"state    {_numbers(observation.state)}"]
    for agent in range(spec.n_agents):
        action = "–" if actions is None else str(int(np.asarray(actions)[agent]))
        lines.append(
            f"agent {agent:<2} {_numbers(obs[agent])}   "
            f"{int(avail[agent].sum())} of {spec.n_actions} actions, takes {action}"
        )
    if len(lines) > TEXT_LINES:
        lines[TEXT_LINES - 1 :] = [f"and {len(lines) - TEXT_LINES + 1} more agents"]
    return lines


def _numbers(x: ArrayLike) -> str:
    x = np.asarray(x, np.float64)
    if x.size == 0:
        return "nothing"
    return f"{np.count_nonzero(x):>3} of {x.size:<3} not 0, {x.min():6.2f} to {x.max():6.2f}"
