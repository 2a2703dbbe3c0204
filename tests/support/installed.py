"""Installed as a stranger does it, in an environment of its own: `python installed.py macpo.whl`.

The standard library is all this needs, so that `make smoke` runs where nothing else is installed.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

OURS = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
"""Variables by which a process would find a checkout, or what belongs to it."""
SMALL = """--steps 100 --batch-size 8 --buffer-size 64 --test-interval 50 --test-nepisode 2
  --algorithm.rnn-hidden-dim 8 --algorithm.mixing-embed-dim 4 --algorithm.hypernet-embed 8"""
QUICK_START = (
    "--version",
    "doctor",
    f"train --env matrix-game --weighting macpo {SMALL} --out runs/first",
    "evaluate runs/first --episodes 2",
    "report runs",
)
"""The commands of the README's quick start, made small."""


def environment(folder: Path, *requirements: str | Path, options: tuple[str, ...] = ()) -> Path:
    """The Python of a new virtual environment with these requirements, and nothing else."""
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    install(python, *requirements, options=options)
    return python


def install(python: Path, *requirements: str | Path, options: tuple[str, ...] = ()) -> None:
    """Have pip install them into a Python's environment."""
    words = [python, "-m", "pip", "install", "--quiet", *options, *requirements]
    subprocess.run(words, check=True, env=outside())


def outside() -> dict[str, str]:
    """The environment's variables without those that lead to the checkout."""
    return {name: value for name, value in os.environ.items() if name not in OURS}


def run(python: Path, *words: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    """Run the Python in a folder that is not searched for modules; what it printed is text."""
    return subprocess.run(
        [python, "-P", *words],
        cwd=folder,
        env=outside() | {"PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


def main(wheel: Path) -> None:
    """Install a wheel, go through the quick start, and show what it prints."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as temporary:
        folder = Path(temporary)
        python = environment(folder / "env", wheel.resolve())
        for command in QUICK_START:
            print(f"\n$ macpo {command}", flush=True)
            done = run(python, "-m", "macpo", *command.split(), folder=folder)
            print(done.stdout + done.stderr, flush=True)
            if done.returncode:
                sys.exit(f"macpo {command.split()[0]} ended with status {done.returncode}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
