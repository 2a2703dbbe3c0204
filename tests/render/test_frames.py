"""Episodes as films."""

import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image, ImageColor

from macpo.envs import two_step
from macpo.envs.base import Environment
from macpo.envs.predator_prey import CATCH, MOVES, Config, State
from macpo.envs.smac_jax.environment import SMACJax
from macpo.errors import UsageError
from macpo.render import board, predator_prey
from macpo.render.frames import (
    FPS,
    animate,
    captions,
    check_options,
    drawer,
    has_picture,
    pictures_of,
    stored_picture,
    text_frame,
)
from macpo.render.options import SLOWER, FilmOptions

ENV = Config(3, 4, n_predators=2, n_prey=1).make()
BATTLE = SMACJax("3m").make()
REWARDS = np.array([0.0, -0.5, 10.0], np.float32)


def march() -> tuple[list[State], np.ndarray]:
    """Two predators walk right along the rows above and below a prey, and catch it."""
    states = [
        ENV.initial_state(np.array([(0, t), (2, t)]), np.array([(1, 2)]), t=t) for t in range(3)
    ]
    nobody = np.zeros(2, bool)
    states.append(
        ENV.initial_state(
            np.zeros((2, 2)), np.zeros((1, 2)), agent_active=nobody, prey_alive=nobody[:1], t=3
        )
    )
    return states, np.array([(0, 0), (0, 0), (CATCH, CATCH)])


def filmed(file: Path, fps: int = 8) -> Path:
    states, actions = march()
    animate(ENV, states, actions, REWARDS, file, fps)
    return file


def test_there_is_a_frame_for_every_state(tmp_path: Path) -> None:
    with Image.open(filmed(tmp_path / "a.gif")) as film:
        assert film.format == "GIF"
        assert getattr(film, "n_frames", 1) == 4
        assert film.size == predator_prey.frame(ENV, march()[0][0], "").size


@pytest.mark.parametrize(("fps", "milliseconds"), [(8, 120), (10, 100), (50, 20)])
def test_frames_last_as_long_as_asked_and_the_last_one_longer(
    tmp_path: Path, fps: int, milliseconds: int
) -> None:
    durations = []
    with Image.open(filmed(tmp_path / "a.gif", fps)) as film:
        for t in range(4):
            film.seek(t)
            durations.append(film.info["duration"])
        assert film.info["loop"] == 0  # for ever
    assert durations == [milliseconds] * 3 + [2000]


def test_frames_show_their_state_in_its_colours(tmp_path: Path) -> None:
    with Image.open(filmed(tmp_path / "a.gif")) as film:
        for t in range(3):
            film.seek(t)
            pixels = np.asarray(film.convert("RGB").crop(predator_prey.cell_box(ENV, t)))
            blue = (pixels == ImageColor.getrgb(board.DISC)).all(-1).mean()
            red = (pixels == ImageColor.getrgb(board.RING)).all(-1).mean()
            assert blue > 0.2
            assert (red > 0.05) == (t == 2)  # actions belong to the state they are taken in


def test_two_hundred_steps_of_the_default_game_take_less_than_a_megabyte(tmp_path: Path) -> None:
    env = Config().make()
    rng = np.random.default_rng(0)
    positions = [rng.integers(0, 10, (16, 2))]
    for _ in range(200):  # nobody ever rests or is caught
        step = np.array(MOVES)[rng.integers(0, 4, 16)]
        positions.append(np.clip(positions[-1] + step, 0, 9))
    states = [env.initial_state(p[:8], p[8:], t=t) for t, p in enumerate(positions)]
    actions, rewards = rng.integers(0, 6, (200, 8)), np.where(rng.random(200) < 0.1, -2.0, 0.0)
    file = tmp_path / "long.gif"
    animate(env, states, actions, rewards, file)
    assert file.stat().st_size < 1_000_000


def test_captions_tell_step_return_so_far_and_reward() -> None:
    assert captions(REWARDS) == [
        "step 0   return 0   reward +0",
        "step 1   return −0.5   reward −0.5",
        "step 2   return 9.5   reward +10",
        "end after 3 steps   return 9.5",
    ]


def test_step_numbers_are_as_wide_as_the_widest() -> None:
    first, *_, last, _ = captions(np.zeros(12))
    assert first.startswith("step \u20070 ")
    assert last.startswith("step 11 ")


def test_the_drawer_is_found_by_the_name_of_the_environment() -> None:
    assert drawer("predator-prey") is predator_prey.frame


@pytest.mark.parametrize("name", ["two-step", "frames", "ink", "gif", "pkg.module:make", "os", ""])
def test_environments_without_a_drawer_are_shown_as_text(name: str) -> None:
    assert drawer(name) is text_frame
    assert not has_picture(name)


@pytest.mark.parametrize("name", ["predator-prey", "smac-jax"])
def test_an_environment_has_a_picture_if_its_states_or_its_episodes_are_drawn(name: str) -> None:
    assert has_picture(name)


def test_an_environment_without_a_drawer_can_be_animated(tmp_path: Path) -> None:
    env = two_step.Config().make()
    state, _ = jax.jit(env.reset)(jax.random.key(0))
    actions = np.zeros((1, env.spec.n_agents), int)
    animate(env, [state, state], actions, np.array([7.0]), tmp_path / "words.gif")
    with Image.open(tmp_path / "words.gif") as film:
        assert getattr(film, "n_frames", 1) == 2
        assert len(film.convert("RGB").getcolors(1000) or []) > 2


def test_words_change_with_the_state_and_the_actions() -> None:
    states, actions = march()
    plain = text_frame(ENV, states[0], "").tobytes()
    assert plain != text_frame(ENV, states[2], "").tobytes()
    assert plain != text_frame(ENV, states[0], "", actions[0]).tobytes()


def test_words_about_many_agents_keep_their_size() -> None:
    env = Config(10, 10, n_predators=40, n_prey=1).make()
    cells = np.stack(np.divmod(np.arange(41), 10), -1)
    state = env.initial_state(cells[:40], cells[40:])
    assert text_frame(env, state, "").size == text_frame(ENV, march()[0][0], "").size


@pytest.mark.parametrize("name", ["film.avi", "film", "film.png"])
def test_other_endings_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match=r"must be \.gif or \.mp4, so try .*film\.gif"):
        filmed(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_without_its_package_mp4_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "macpo.render.mp4", raising=False)
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(UsageError, match=r"pip install 'macpo\[video\]', or choose .* \.gif"):
        filmed(tmp_path / "film.mp4")


def test_the_ending_decides_in_capitals_too(tmp_path: Path) -> None:
    with Image.open(filmed(tmp_path / "A.GIF")) as film:
        assert film.format == "GIF"


@pytest.mark.parametrize("fps", [0, 51])
def test_impossible_speeds_are_refused(tmp_path: Path, fps: int) -> None:
    with pytest.raises(UsageError, match="fps must be between 1 and 50"):
        filmed(tmp_path / "a.gif", fps)


def test_a_slow_film_of_one_picture_a_state_shows_fewer_a_second() -> None:
    states, actions = march()
    usual = pictures_of(ENV, states, actions, [""] * 4)
    slow = pictures_of(ENV, states, actions, [""] * 4, FilmOptions(slow=True))
    assert (len(usual[0]), usual[1]) == (4, FPS)
    assert (len(slow[0]), slow[1]) == (4, FPS // SLOWER)


def test_the_chosen_agent_is_marked_in_every_picture() -> None:
    states, actions = march()
    shown, _ = pictures_of(ENV, states, actions, [""] * 4, FilmOptions(agent=1))
    for t in range(3):
        pixels = np.asarray(shown[t]().crop(predator_prey.cell_box(ENV, 8 + t)))
        assert (pixels == ImageColor.getrgb(board.CHOSEN)).all(-1).mean() > 0.1


@pytest.mark.parametrize(
    ("env", "options", "said"),
    [
        (ENV, FilmOptions(agent=2), "predator-prey has agents 0 to 1, so none to show .* 2"),
        (ENV, FilmOptions(width=960), "films of predator-prey have a width of their own"),
        (BATTLE, FilmOptions(agent=3), "smac-jax has agents 0 to 2"),
        (BATTLE, FilmOptions(width=100), "720 to 1920 pixels wide, not 100"),
        (two_step.Config().make(), FilmOptions(agent=0), "films of two-step do not show the acti"),
        (two_step.Config().make(), FilmOptions(width=960), "films of two-step have a width of"),
    ],
)
def test_what_pictures_cannot_show_is_refused(
    env: Environment, options: FilmOptions, said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        check_options(env.spec, options)


@pytest.mark.parametrize("asked", [{"agent": -1}, {"width": 0}])
def test_impossible_options_are_refused(asked: dict[str, int]) -> None:
    with pytest.raises(UsageError, match="must be at least"):
        FilmOptions(**asked)


def test_states_actions_and_rewards_must_belong_together(tmp_path: Path) -> None:
    states, actions = march()
    with pytest.raises(UsageError, match="not 3, 3 and 3"):
        animate(ENV, states[:-1], actions, REWARDS, tmp_path / "a.gif")


def test_a_film_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot write"):
        filmed(tmp_path / "nowhere" / "a.gif")
    assert list(tmp_path.iterdir()) == []


def test_a_step_in_replay_is_drawn_as_the_episode_was() -> None:
    states, actions = march()
    encoded = ENV.encode(states[2]), ENV.encode(states[3])
    stored = stored_picture(ENV, encoded, 2, actions[2], "step 2")
    drawn = predator_prey.frame(ENV, states[2], "step 2", actions[2])
    assert stored.tobytes() == drawn.tobytes()


def test_what_an_environment_without_pictures_has_in_replay_is_shown_as_text() -> None:
    env = two_step.Config().make()
    state, _ = jax.jit(env.reset)(jax.random.key(0))
    encoded = env.encode(state), env.encode(state)
    stored = stored_picture(env, encoded, 0, np.array([0, 1]), "step 0")
    assert stored.tobytes() == text_frame(env, state, "step 0", np.array([0, 1])).tobytes()
