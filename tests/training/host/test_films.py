"""Films of environments that are not JAX and draw themselves."""

import functools
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jax
import numpy as np
import pytest
from PIL import Image

import macpo
from macpo import registry
from macpo.algorithms.vdn import Config as Vdn
from macpo.envs.host import checked_picture
from macpo.envs.host_stub import HostEnvStub
from macpo.errors import UsageError
from macpo.experiment import to_dict
from macpo.render.frames import animate, has_picture, text_frame
from macpo.runs.film import FilmedEpisode, Seen, play
from macpo.training.host.pool import NoPictures, Pool, Workers
from macpo.training.trainer import Trainer, make_trainer
from tests.support.host_environments import HostDrawn

RED = (200, 30, 30)
SPEC = HostDrawn().spec


def experiment(**options: Any) -> macpo.Experiment:
    name = "tests.support.host_environments:HostDrawn"
    env = registry.make_config("envs", name, options=options)
    return macpo.Experiment(env=env, algorithm=Vdn(rnn_hidden_dim=8))


@functools.cache
def agents() -> tuple[Trainer, Any]:
    """A trainer, and parameters that it begins with: the same whatever is drawn."""
    trainer = make_trainer(experiment())
    return trainer, jax.jit(trainer.algorithm.init)(jax.random.key(0)).params


def untrained(**options: Any) -> Any:
    """A policy of a `HostDrawn` with these options, as far as films need one."""
    trainer, params = agents()
    return SimpleNamespace(experiment=experiment(**options), trainer=trainer, params=params)


@pytest.fixture(scope="module")
def drawn() -> FilmedEpisode:
    return play(untrained())


def animated(episode: FilmedEpisode, file: Path) -> Path:
    animate(HostEnvStub(SPEC), episode.states, episode.actions, episode.rewards, file)
    return file


def test_an_environment_that_is_asked_to_draws_each_of_its_states(drawn: FilmedEpisode):
    assert len(drawn.states) == len(drawn.actions) + 1 == len(drawn.rewards) + 1
    assert all(isinstance(state, Seen) for state in drawn.states)
    assert drawn.no_pictures == ""
    assert has_picture("host-counting", drawn.states[0])


def test_the_film_shows_what_it_has_drawn_below_the_caption(drawn: FilmedEpisode, tmp_path: Path):
    widths = []
    with Image.open(animated(drawn, tmp_path / "a.gif")) as film:
        for t in range(len(drawn.states)):
            film.seek(t)
            pixels = np.asarray(film.convert("RGB"))
            widths.append((np.abs(pixels[48:] - np.array(RED)).max(-1) < 8).any(0).sum())
            assert (pixels[:48] < 100).any()  # letters
    assert widths == [60 * t for t in range(len(drawn.states))]  # six times as large


def test_pictures_do_not_change_what_is_played(drawn: FilmedEpisode):
    plain = play(untrained(draws="grey"))
    np.testing.assert_array_equal(plain.actions, drawn.actions)
    for observed, seen in zip(plain.states, drawn.states, strict=True):
        np.testing.assert_array_equal(observed.obs, seen.observation.obs)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"render_mode": "human"}, ""),
        ({"draws": "raises"}, "its render raised OSError: no display"),
        ({"draws": "dies"}, "its render ended the process"),
        ({"draws": "grey"}, "its render returned uint8 of shape (20, 60), not an RGB picture"),
    ],
)
def test_one_that_cannot_draw_is_shown_in_numbers_and_says_why(
    options: dict[str, str], why: str, tmp_path: Path
):
    episode = play(untrained(**options))
    assert episode.no_pictures.startswith(why)
    assert bool(episode.no_pictures) == bool(why)
    assert not has_picture("host-counting", episode.states[0])
    size = text_frame(HostEnvStub(SPEC), episode.states[0], "").size
    with Image.open(animated(episode, tmp_path / "a.gif")) as film:
        assert film.size == size


def test_one_that_does_not_come_back_from_drawing_is_given_up():
    task = to_dict(experiment(draws="hangs", render_mode="rgb_array"))["env"]
    with Pool(task, SPEC, 1, Workers(count=1)) as pool:
        while not pool.idle():
            pool.wait()
        (worker,) = pool.workers
        pool.reset(worker, 1)
        pool.wait()
        pool._options = Workers(timeout=0.2)
        with pytest.raises(NoPictures, match="its render did not return"):
            pool.view(worker)
        assert worker.status == "down"


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        (np.zeros((4, 4, 3)), "float64 of shape (4, 4, 3), not an RGB picture"),
        (np.zeros((4, 4), np.uint8), "uint8 of shape (4, 4), not an RGB picture"),
        (np.zeros((4, 4, 4), np.uint8), "uint8 of shape (4, 4, 4), not an RGB picture"),
        (True, "bool of shape (), not an RGB picture"),
        (np.zeros((0, 4, 3), np.uint8), "a picture of 4 by 0 pixels; sides must have 1 to 4096"),
    ],
)
def test_what_is_no_picture_is_told_in_a_sentence(returned: object, said: str):
    with pytest.raises(UsageError) as caught:
        checked_picture(returned)
    assert said in str(caught.value)
