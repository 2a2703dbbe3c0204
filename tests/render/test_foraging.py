"""The picture of Level-Based Foraging, looked at pixel by pixel."""

import numpy as np
from PIL import Image, ImageColor

from macpo.envs.foraging import EAST, LOAD, NONE, ForagingEnv, LevelBasedForaging, State
from macpo.render.board import CHOSEN, DIAMOND, DISC, RING, cell_box
from macpo.render.foraging import frame
from macpo.render.frames import stored_picture

ENV = LevelBasedForaging(height=5, width=6, n_agents=2, n_food=2).make()


def scene(*, left: tuple[int, int] = (1, 3)) -> State:
    """Agents of the levels 1 and 2 at (0, 0) and (2, 1), food at (2, 2) and (3, 4)."""
    places = np.array([(0, 0), (2, 1)]), np.array([1, 2]), np.array([(2, 2), (3, 4)])
    return ENV.initial_state(*places, np.array(left))


def cell(image: Image.Image, row: int, column: int) -> Image.Image:
    return image.crop(cell_box(5, 6, row, column))


def share(image: Image.Image, color: str, row: int, column: int) -> float:
    """The share of a cell's pixels that have exactly this colour."""
    pixels = np.asarray(cell(image, row, column))
    return float((pixels == ImageColor.getrgb(color)).all(-1).mean())


def test_agents_are_discs_and_food_is_diamonds_at_their_places() -> None:
    image = frame(ENV, scene(), "")
    assert min(share(image, DISC, *place) for place in ((0, 0), (2, 1))) > 0.2
    assert min(share(image, DIAMOND, *place) for place in ((2, 2), (3, 4))) > 0.2
    assert share(image, DISC, 1, 1) == share(image, DIAMOND, 1, 1) == 0


def test_each_shows_its_level() -> None:
    one, other = frame(ENV, scene(left=(1, 3)), ""), frame(ENV, scene(left=(2, 3)), "")
    assert cell(one, 2, 2).tobytes() != cell(other, 2, 2).tobytes()
    assert cell(one, 3, 4).tobytes() == cell(other, 3, 4).tobytes()
    assert cell(one, 0, 0).tobytes() != cell(one, 2, 1).tobytes()  # levels 1 and 2


def test_food_that_is_gone_is_not_drawn() -> None:
    image = frame(ENV, scene()._replace(food_level=np.array([0, 3])), "")
    assert share(image, DIAMOND, 2, 2) == 0
    assert share(image, DIAMOND, 3, 4) > 0.2


def test_who_loads_has_a_ring_and_a_bar_to_the_food_beside_it() -> None:
    resting, loading = (frame(ENV, scene(), "", np.array([a, a])) for a in (NONE, LOAD))
    assert share(resting, RING, 2, 1) == share(resting, RING, 0, 0) == 0
    assert share(loading, RING, 0, 0) > 0.01
    assert share(loading, RING, 2, 1) > share(loading, RING, 0, 0)  # the ring and the bar


def test_who_moves_has_a_beak() -> None:
    resting, moving = (frame(ENV, scene(), "", np.array([a, NONE])) for a in (NONE, EAST))
    assert share(moving, DISC, 0, 0) > share(resting, DISC, 0, 0)
    assert cell(moving, 2, 1).tobytes() == cell(resting, 2, 1).tobytes()


def test_a_chosen_agent_is_marked_and_its_action_is_said() -> None:
    image = frame(ENV, scene(), "", np.array([EAST, LOAD]), agent=1)
    assert share(image, CHOSEN, 2, 1) > 0.1
    assert share(image, CHOSEN, 0, 0) == 0
    other = frame(ENV, scene(), "", np.array([EAST, NONE]), agent=1)
    words = (0, image.height - 28, image.width, image.height)
    assert image.crop(words).tobytes() != other.crop(words).tobytes()


def test_a_state_in_replay_is_drawn_as_it_was() -> None:
    state, actions = scene(), np.array([EAST, LOAD])
    encoded = ENV.encode(state)
    stored = stored_picture(ENV, (encoded, encoded), 0, actions, "step 0")
    assert stored.tobytes() == frame(ENV, state, "step 0", actions).tobytes()


def test_an_environment_of_another_size_fits_its_picture() -> None:
    env: ForagingEnv = LevelBasedForaging(height=20, width=20, n_agents=3, n_food=4).make()
    state = env.initial_state(
        *(np.array([(0, 0), (19, 19), (5, 5)]), np.array([1, 1, 1])),
        *(np.array([(3, 3), (6, 6), (9, 9), (12, 12)]), np.array([1, 1, 1, 1])),
    )
    image = frame(env, state, "")
    left, top, right, bottom = cell_box(20, 20, 19, 19)
    assert right <= image.width and bottom <= image.height and left > 0 and top > 0
