"""The snippets of docs/policies.md run as printed."""

import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

import macpo
from macpo.cli import main
from macpo.types import TimeStep
from tests.runs.conftest import SMALL
from tests.support.paths import ROOT

PAGE = (ROOT / "docs" / "policies.md").read_text()
SNIPPETS = re.findall(r"```python\n(.*?)```", PAGE, re.S)


class GymnasiumTeam:
    """The small run's game, as a team of Gymnasium's manner."""

    def __init__(self) -> None:
        env = SMALL.env.make()
        self._reset, self._step = jax.jit(env.reset), jax.jit(env.step)

    def reset(self, seed: int) -> tuple[Any, dict[str, Any]]:
        self._key = jax.random.key(seed)
        self._state, step = self._reset(self._key)
        return self._told(step)

    def step(self, actions: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self._key, key = jax.random.split(self._key)
        self._state, step = self._step(key, self._state, actions)
        obs, info = self._told(step)
        return obs, float(step.reward), bool(step.terminated), bool(step.truncated), info

    def _told(self, step: TimeStep) -> tuple[Any, dict[str, Any]]:
        obs, _, avail_actions = step.observation
        return tuple(np.asarray(obs)), {"avail_actions": np.asarray(avail_actions)}


@pytest.fixture(scope="module")
def run(hunt: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the run that the page loads."""
    folder = tmp_path_factory.mktemp("policies")
    shutil.copytree(hunt, folder / "runs" / "official")
    return folder


def test_the_evaluation_loop_plays_three_episodes(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(run)
    (loop,) = (snippet for snippet in SNIPPETS if "env.reset" in snippet)
    exec(loop, {"env": GymnasiumTeam()})  # the page is ours
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(" returns ")[0] for line in lines] == [
        f"Policy('runs/official', seed=0): episode {n}" for n in range(3)
    ]


def test_the_loop_without_hidden_state_begins_one_environment_anew(run: Path):
    policy = macpo.load(run / "runs" / "official")
    obs = np.random.default_rng(0).integers(0, 2, (16, 2, 75))
    names: dict[str, Any] = {"policy": policy, "obs": obs, "avail_actions": None}
    for snippet in SNIPPETS:
        if "initial_state" in snippet:
            exec(snippet, names)  # the page is ours
    last_action = np.asarray(names["state"].last_action)
    assert (last_action[3] == -1).all() and (last_action[[*range(3), 4]] >= 0).all()


def test_the_commands_work_and_those_that_cannot_are_refused(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(run)
    commands = "".join(re.findall(r"```bash\n(.*?)```", PAGE, re.S)).splitlines()
    for line in commands:
        arguments = [word for word in shlex.split(line, comments=True)[1:] if word != "320"]
        arguments = [word for word in arguments if word != "--episodes"]
        extra = ["--episodes", "2"] if arguments[0] == "evaluate" else []
        with pytest.raises(SystemExit) as stop:
            main([*arguments, *extra])
        said = capsys.readouterr()
        if "# refused" in line:
            assert stop.value.code == 2 and "cannot play" in said.err, line
        else:
            assert stop.value.code == 0, said.err
    official = run / "runs" / "official"
    assert (official / "episode-agent1-slow.gif").exists()
    assert (official / "episode-best.gif").exists()
    assert (official / "episode-predator-prey.gif").exists()
