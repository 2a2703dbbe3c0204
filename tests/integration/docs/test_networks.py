"""The NumPy lines and the commands of docs/networks.md run as printed."""

import re
import shlex
import shutil
import sys
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

import macpo
from macpo.cli import main
from macpo.runs.film import play
from tests.support.paths import ROOT

PAGE = (ROOT / "docs" / "networks.md").read_text()
ACTING, IMPORTING = re.findall(r"```python\n(.*?)```", PAGE, re.S)
COMMANDS = "".join(re.findall(r"```bash\n(.*?)```", PAGE, re.S)).splitlines()


@pytest.fixture(scope="module")
def folder(hunt: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the run that the page reads."""
    folder = tmp_path_factory.mktemp("weights")
    shutil.copytree(hunt, folder / "runs" / "official")
    return folder


def test_the_numpy_lines_act_as_the_loaded_policy_in_a_whole_episode(
    folder: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(folder)
    policy = macpo.load("runs/official")
    episode = play(policy, seed=2)
    observe = jax.jit(policy.trainer.env.observe)
    names: dict[str, Any] = {}
    exec(ACTING, names)  # the page is ours
    actions, h = names["last_action"], names["h"]
    for state, expected in zip(episode.states, episode.actions, strict=False):
        observation = observe(state)
        obs, avail_actions = (
            np.asarray(observation.obs),
            np.asarray(observation.avail_actions),
        )
        actions, h = names["act"](obs, avail_actions, actions, h)
        np.testing.assert_array_equal(actions, expected)


def test_the_commands_write_modules_that_can_be_imported(
    folder: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(folder)
    for command in COMMANDS:
        with pytest.raises(SystemExit) as stop:
            main(shlex.split(command, comments=True)[1:])
        assert stop.value.code == 0, command
    assert (folder / "runs" / "official" / "policy_numpy.py").exists()
    pytest.importorskip("torch", reason="needs PyTorch: make foreign")
    monkeypatch.syspath_prepend(folder)
    names: dict[str, Any] = {
        "obs": np.zeros((2, 75)),
        "avail_actions": np.ones((2, 6), bool),
    }
    exec(IMPORTING, names)  # the page is ours
    del sys.modules["hunter"]
    best = macpo.load("runs/official", which="best")
    np.testing.assert_array_equal(names["actions"], best.act(names["obs"], names["avail_actions"]))
