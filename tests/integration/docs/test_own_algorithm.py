"""docs/own_algorithm.md: its blocks make up the example, and its commands run."""

import inspect
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import macpo
from macpo.cli import main
from macpo.conformance.algorithm import PROMISES
from macpo.envs import TwoStep
from macpo.interop.check import title
from macpo.learners import Algorithm
from macpo.weighting import Uniform
from tests.support.fake_engine import install
from tests.support.growing import blocks, content, installed
from tests.support.paths import ROOT

PAGE = (ROOT / "docs" / "own_algorithm.md").read_text()
BLOCKS = blocks(PAGE, "python")
SOURCE = "\n".join(BLOCKS)
COMMANDS = [shlex.split(line)[1:] for line in "".join(blocks(PAGE, "bash")).splitlines()]
SMALL = shlex.split(
    """--algorithm.rnn-hidden-dim 8 --algorithm.width 4 --steps 40 --batch-size 4
    --batch-size-run 2 --buffer-size 32 --test-nepisode 2"""
)


def run(*words: str) -> None:
    with pytest.raises(SystemExit) as stop:
        main([*words])
    assert stop.value.code == 0, words


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current folder, with the file as the page makes it."""
    (tmp_path / "my_algorithm.py").write_text(SOURCE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    sys.modules.pop("my_algorithm", None)


# --- the file -------------------------------------------------------------------------------------


def test_the_blocks_put_together_are_the_example() -> None:
    assert content(SOURCE) == content((ROOT / "examples" / "custom_algorithm.py").read_text())


def learner_after(n_blocks: int, monkeypatch: pytest.MonkeyPatch) -> Any:
    """What the file makes so far, for the two-step game."""
    names: dict[str, Any] = {"__name__": "my_algorithm"}
    monkeypatch.setitem(sys.modules, "my_algorithm", sys.modules[__name__])  # for dataclasses
    exec("\n".join(BLOCKS[:n_blocks]), names)  # the page is ours
    return names["Config"]().make(TwoStep().make(), Uniform())


def test_the_smallest_file_is_vdn(monkeypatch: pytest.MonkeyPatch) -> None:
    mixer = learner_after(1, monkeypatch).make_mixer(jax.random.key(0))
    assert float(mixer(jnp.array([1.0, 2.5]), jnp.zeros(3))) == 3.5


def test_equal_utilities_count_fully_and_none_is_weighed_negatively(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    learner = learner_after(3, monkeypatch)
    state = jnp.linspace(-1, 1, learner.spec.state_size)
    mixer = learner.make_mixer(jax.random.key(0))
    value = mixer(jnp.zeros(2), state)
    np.testing.assert_allclose(mixer(jnp.full(2, 3.0), state) - value, 2 * 3, rtol=1e-5)
    slopes = jax.grad(mixer)(jnp.array([1.0, -1.0]), state)
    assert (slopes > 0).all() and slopes.sum() == pytest.approx(2)


# --- what the page tells --------------------------------------------------------------------------


def test_the_promises_are_those_that_are_checked() -> None:
    (told,) = blocks(PAGE, "text")
    titles = [f"ok    {title(promise)}" for promise in PROMISES]
    assert told.splitlines() == [*titles, "nothing wrong"]


def test_the_protocol_is_told_with_its_parameters() -> None:
    told = re.findall(
        r"^\| `(\w+(?:\(.*?\))?)` \|", PAGE.partition("## The whole protocol")[2], re.M
    )
    methods = {
        f"{name}({', '.join([*inspect.signature(method).parameters][1:])})"
        for name, method in inspect.getmembers(Algorithm, inspect.isfunction)
        if not name.startswith("_")
    }
    assert {*told} == methods | {"spec"}


def test_every_link_leads_to_a_file() -> None:
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", PAGE)
    assert [link for link in links if not (ROOT / "docs" / link).exists()] == []


# --- the commands ---------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_algorithm_is_checked_and_trains_from_the_command_line(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("macpo.cli.training._finish", lambda *_, **__: 0)  # tests/cli has it
    (check,) = (words for words in COMMANDS if words[0] == "check-algorithm")
    run(*check)
    (promised,) = blocks(PAGE, "text")
    assert promised in capsys.readouterr().out
    (train,) = (words for words in COMMANDS if words[0] == "train" and "--weighting" in words)
    run(*train[: train.index("--weighting")], *SMALL, "--out", "run")
    assert (folder / "run" / "model.safetensors").exists()
    run("export", "run", "--to", "numpy", "--trust")


def test_every_training_of_the_page_is_what_it_is_asked_to_be(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = list[macpo.Experiment]()

    def train(experiment: macpo.Experiment, *_: Any, **__: Any) -> macpo.RunResult:
        asked.append(experiment)
        return macpo.RunResult(folder, finished=True)

    monkeypatch.setattr(macpo, "train", train)
    for words in (words for words in COMMANDS if words[0] == "train"):
        run(*words)
    told = [(each.weighting.name, each.algorithm.width) for each in asked]  # pyright: ignore[reportAttributeAccessIssue]
    assert told == [("uniform", 32), ("macpo", 32), ("uniform", 64)]


def test_an_entry_point_gives_it_a_name_under_which_it_is_compared(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = install(monkeypatch)
    fake.score = lambda each: 10.0 * (each.arm == "attention") + each.seed
    with installed(PAGE, folder):
        for words in (words for words in COMMANDS if words[0] in ("sweep", "compare")):
            run(*words)
    assert {each.arm for each in fake.done} == {"attention", "qmix", "vdn"}
    assert len(fake.done) == 15
