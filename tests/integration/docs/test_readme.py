"""The README's commands and snippets run as printed, on a small experiment."""

import dataclasses
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import macpo
from macpo import bench, registry
from macpo.bench.measure import Result
from macpo.cli import main
from macpo.conformance import algorithm, weighting
from macpo.interop import check
from macpo.report import writing
from tests.support.fake_engine import install
from tests.support.paths import ROOT
from tests.support.tracing import train_or_check

README = (ROOT / "README.md").read_text()
SMALL = shlex.split("--steps 100 --batch-size 8 --test-interval 50 --test-nepisode 2")
SMALL_GRID = shlex.split("""--env.height 4 --env.width 4 --env.n-predators 2 --env.n-prey 2
  --env.episode-limit 6""")
SMALL_MAP = ["--env.map", "3m"]
SMALL_BATTLES = {"smac-jax": SMALL_MAP, "smacv2-jax": ["--env.units", "5v5"]}
WIDTHS = {"rnn_hidden_dim": 8, "mixing_embed_dim": 4, "hypernet_embed": 8}
WIDTHS |= {"central_mixing_embed_dim": 8}
EXTRA = {"bench": ["memory", "--rounds", "1"], "evaluate": ["--episodes", "2"]}
EXTRA |= {"check-env": [*SMALL_MAP, "--episodes", "1"]}


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.S)


def commands() -> list[list[str]]:
    lines = "".join(blocks("bash")).splitlines()
    return [shlex.split(line, comments=True)[1:] for line in lines if line.startswith("macpo ")]


def small(command: list[str]) -> list[str]:
    """The command of a run, and flags that make it small."""
    name = command[command.index("--algorithm") + 1] if "--algorithm" in command else "qmix"
    config = registry.config_class("algorithms", name)
    has = {field.name for field in dataclasses.fields(config)}
    widths = [
        word
        for option, width in WIDTHS.items()
        if option in has
        for word in (f"--algorithm.{option.replace('_', '-')}", str(width))
    ]
    buffer = ["--buffer-size", "8" if config.about.on_policy else "64"]
    size = next((size for name, size in SMALL_BATTLES.items() if name in command), SMALL_GRID)
    return [*command, *SMALL, *size, *buffer, *widths]


@pytest.mark.slow
def test_every_macpo_command_of_the_readme_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    for example in (ROOT / "examples").glob("custom_*.py"):
        shutil.copy(example, tmp_path)
    measured = [Result("memory", 1.0, "MB")]  # tests/bench measures it
    monkeypatch.setitem(bench.SECTIONS, "memory", lambda flags: measured)
    monkeypatch.setattr(check, "OF_JAX", ())  # tests/integration/contract has them
    for module in (algorithm, weighting):  # test_own_algorithm and test_own_weighting have all
        monkeypatch.setattr(module, "PROMISES", module.PROMISES[:3])
    monkeypatch.setattr(writing, "draw_figures", lambda *_: [])  # tests/report has them
    fake = install(monkeypatch)  # tests/study has real sweeps
    fake.score = lambda run: float(run.seed)
    monkeypatch.setattr(macpo, "train", train_or_check)
    found = commands()
    assert {"train", "resume", "sweep", "evaluate", "render", "list", "doctor", "bench"} <= {
        command[0] for command in found
    }
    for command in found:
        if command[0] == "train":
            command = [word for word in command if word != "1000000"]
            if "--steps" in command:
                command.remove("--steps")
            command = small(command)
        with pytest.raises(SystemExit) as stop:
            main([*command, *EXTRA.get(command[0], [])])
        assert stop.value.code == 0, command
    for file in ("learning_curve.png", "episode.gif", "metrics.jsonl", "README.md"):
        assert (tmp_path / "runs" / "official" / file).stat().st_size > 0
    assert (tmp_path / "hunt.gif").exists() and (tmp_path / "bench.json").exists()


@pytest.mark.parametrize("target", ["train", "test"])
def test_the_two_make_targets_of_the_readme_exist(target: str):
    assert f"make {target} " in README
    done = subprocess.run(
        ["make", "-n", target], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_snippet_for_a_foreign_learner_runs():
    (snippet,) = (block for block in blocks("python") if "weighting.make" in block)
    rng = np.random.default_rng(0)
    q, y, q_star = rng.normal(size=(3, 4, 5))
    names = {
        **{"macpo": macpo, "q": q, "y": y, "q_star": q_star},
        **{"pi": rng.uniform(size=(4, 5, 3)), "mask": np.ones((4, 5))},
    }
    exec(snippet, names)  # the README is ours
    assert np.isfinite(names["loss"]) and names["w"].mean() == pytest.approx(1)


def test_the_snippet_with_typed_options_builds_the_experiment_it_prints(
    capsys: pytest.CaptureFixture[str],
):
    (snippet,) = (block for block in blocks("python") if "PredatorPrey(" in block)
    names: dict[str, Any] = {"macpo": macpo}
    exec(snippet, names)  # the README is ours
    experiment = names["experiment"]
    assert experiment.env.punishment == -2
    assert experiment.algorithm.td_lambda == 0.6
    assert experiment.weighting.value_temperature == 10
    printed = capsys.readouterr().out
    assert all(name in printed for name in ("PredatorPrey(", "QMIX(", "MacPO("))
