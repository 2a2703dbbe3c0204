"""benchmarks/gpu.sh: its steps, and what becomes of those that fail."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def gpu(folder: Path, *steps: str, command: str) -> tuple[int, list[str]]:
    """(exit status, lines printed) of these steps at tiny sizes."""
    variables = {"MACPO": command, "TRIAL": "1", "ROUNDS": "1", "BUDGET": "smoke"}
    script = ["bash", str(ROOT / "benchmarks/gpu.sh"), str(folder), *steps]
    done = subprocess.run(
        script, env=os.environ | variables, stdout=subprocess.PIPE, text=True, check=False
    )
    return done.returncode, done.stdout.splitlines()


@pytest.mark.slow
def test_a_step_leaves_its_figures_and_says_how_long_it_took(tmp_path: Path) -> None:
    status, (line,) = gpu(tmp_path, "rollout", command=f"{sys.executable} -P -m macpo")
    assert status == 0
    assert line.startswith("rollout: ") and line.endswith(" s")
    figures = json.loads((tmp_path / "rollout.json").read_text())
    assert figures["results"][0]["unit"] == "env steps/s"
    assert {"devices", "matmul_precision", "xla_flags"} <= set(figures["machine"])


def test_a_step_that_fails_is_reported_and_the_others_run(tmp_path: Path) -> None:
    command = tmp_path / "command"  # `bench seeds` fails; the others say what they were given
    command.write_text(
        """#!/bin/sh
        test "$2" != seeds && echo "$JAX_DEFAULT_MATMUL_PRECISION $*"
        """
    )
    command.chmod(0o755)
    out = tmp_path / "out"
    steps = ("seeds", "env", "update-float32", "fig2")
    status, (seeds, env, _, fig2) = gpu(out, *steps, command=str(command))
    assert status == 1
    assert seeds == f"seeds: failed, {out}/seeds.log"
    assert env.startswith("env: ") and fig2.startswith("fig2: ")

    def words(step: str) -> str:
        return (out / f"{step}.log").read_text().strip()

    assert words("env") == f"bench env --rounds 1 --trial --json {out}/env.json"
    full = f"float32 bench update --rounds 1 --trial --json {out}/update-float32.json"
    assert words("update-float32") == full
    assert words("fig2") == f"reproduce fig2 --budget smoke --out {out}/fig2"
