"""The picture of Predator-Prey, looked at pixel by pixel."""

import numpy as np
from PIL import Image, ImageColor

from macpo.envs.predator_prey import CATCH, RIGHT, STAY, Config, PredatorPreyEnv, State
from macpo.render.board import DIAMOND as PREY
from macpo.render.board import DISC as PREDATOR
from macpo.render.board import RING as CATCHING
from macpo.render.ink import CHOSEN, FIELD, FIELD_DARK
from macpo.render.predator_prey import cell_box, frame

ENV = Config(5, 5, n_predators=3, n_prey=2).make()


def scene(**present: np.ndarray) -> State:
    """Predators at (0, 0), (2, 1) and (2, 4), prey at (2, 2) and (4, 0)."""
    return ENV.initial_state(
        np.array([(0, 0), (2, 1), (2, 4)]), np.array([(2, 2), (4, 0)]), **present
    )


def share(
    image: Image.Image, color: str, row: int, column: int, env: PredatorPreyEnv = ENV
) -> float:
    """The share of a cell's pixels that have exactly this colour."""
    box = cell_box(env, row * env.config.width + column)
    pixels = np.asarray(image.crop(box))
    return float((pixels == ImageColor.getrgb(color)).all(-1).mean())


def test_predators_and_prey_fill_their_cells_in_their_colours() -> None:
    image = frame(ENV, scene(), "")
    for row, column in ((0, 0), (2, 1), (2, 4)):
        assert share(image, PREDATOR, row, column) > 0.2
        assert share(image, PREY, row, column) == 0
    for row, column in ((2, 2), (4, 0)):
        assert share(image, PREY, row, column) > 0.2
        assert share(image, PREDATOR, row, column) == 0


def test_empty_cells_show_nothing_but_the_field() -> None:
    image = frame(ENV, scene(), "")
    assert share(image, FIELD, 1, 1) == 1
    assert share(image, FIELD_DARK, 0, 1) == 1


def test_each_has_its_number() -> None:
    state = ENV.initial_state(np.array([(0, 0), (0, 2), (0, 4)]), np.array([(2, 0), (2, 2)]))
    image = frame(ENV, state, "")
    looks = {image.crop(cell_box(ENV, cell)).tobytes() for cell in (0, 2, 4)}
    assert len(looks) == 3


def test_those_who_are_gone_are_not_drawn_and_not_counted() -> None:
    state = scene(agent_active=np.array([True, False, True]), prey_alive=np.array([False, True]))
    image, full = frame(ENV, state, ""), frame(ENV, scene(), "")
    assert share(image, PREDATOR, 2, 1) == 0
    assert share(image, PREY, 2, 2) == 0
    assert share(image, PREDATOR, 2, 4) > 0.2
    below = (0, cell_box(ENV, 24)[3], full.width, full.height)
    assert image.crop(below).tobytes() != full.crop(below).tobytes()


def test_who_catches_wears_a_ring_and_holds_the_prey_in_reach() -> None:
    image = frame(ENV, scene(), "", np.array([CATCH, CATCH, STAY]))
    assert share(image, CATCHING, 0, 0) > 0.05  # nothing in reach
    assert share(image, CATCHING, 2, 1) > 0.05
    assert share(image, CATCHING, 2, 2) > 0  # the bar reaches into the prey's cell
    assert share(image, CATCHING, 2, 4) == 0
    assert share(image, CATCHING, 4, 0) == 0


def test_without_actions_nobody_is_lit() -> None:
    image = frame(ENV, scene(), "")
    assert all(share(image, CATCHING, *divmod(cell, 5)) == 0 for cell in range(25))


def test_the_chosen_agent_is_marked_and_its_action_is_said_below() -> None:
    def shown(act: int) -> Image.Image:
        return frame(ENV, scene(), "", np.array([act, STAY, STAY]), agent=0)

    plain = frame(ENV, scene(), "")
    below = (0, plain.height, plain.width, shown(STAY).height)
    assert len({shown(act).crop(below).tobytes() for act in range(6)}) == 6
    assert share(shown(STAY), CHOSEN, 0, 0) > 0.1
    assert all(share(shown(STAY), CHOSEN, *divmod(cell, 5)) == 0 for cell in range(1, 25))


def test_a_chosen_agent_that_is_gone_is_not_marked() -> None:
    gone = scene(agent_active=np.array([False, True, True]))
    image = frame(ENV, gone, "", np.array([STAY, STAY, STAY]), agent=0)
    assert all(share(image, CHOSEN, *divmod(cell, 5)) == 0 for cell in range(25))


def test_a_move_points_its_way() -> None:
    image = frame(ENV, scene(), "", np.array([RIGHT, STAY, STAY]))
    pixels = np.asarray(image.crop(cell_box(ENV, 0))) == ImageColor.getrgb(PREDATOR)
    columns = pixels.all(-1).any(0)
    left, right = columns.argmax(), columns[::-1].argmax()  # free pixels on either side
    assert right < left


def test_the_caption_is_written_above_the_field() -> None:
    plain, captioned = frame(ENV, scene(), ""), frame(ENV, scene(), "step 3   return 10")
    top = (0, 0, plain.width, cell_box(ENV, 0)[1])
    assert plain.crop(top).getcolors(1) is not None  # one colour
    assert captioned.crop(top).getcolors(1) is None
    rest = (0, top[3], plain.width, plain.height)
    assert plain.crop(rest).tobytes() == captioned.crop(rest).tobytes()


def test_cells_stay_within_the_picture_whatever_the_grid() -> None:
    for height, width in ((1, 3), (10, 10), (3, 40), (40, 3)):
        env = Config(height, width, n_predators=1, n_prey=1, n_catchers=1).make()
        state = env.initial_state(np.array([(0, 0)]), np.array([(height - 1, width - 1)]))
        image = frame(env, state, "")
        assert cell_box(env, height * width - 1)[2] <= image.width
        assert cell_box(env, height * width - 1)[3] <= image.height
        assert share(image, PREDATOR, 0, 0, env) > 0.1
        assert share(image, PREY, height - 1, width - 1, env) > 0.1
