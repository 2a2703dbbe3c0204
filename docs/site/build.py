"""Build the documentation site: `make docs`, or `python docs/site/build.py` with the group `docs`.

Its pages are the repository's Markdown files under their own paths, so that links between them hold
in both places, and the reference, which is written here: the Python API from docstrings, and every
command with its flags from `--help`.
"""

import contextlib
import importlib
import io
import os
import shutil
import subprocess
import sys
from pathlib import Path

from macpo.cli import COMMANDS, main

ROOT = Path(__file__).parents[2]
BUILD = ROOT / "build"
SOURCE, SITE = BUILD / "site-source", BUILD / "site"
PAGES = (
    *("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "benchmarks/README.md"),
    *("docs/**/*.md", "docs/**/*.png", "docs/**/*.gif", "docs/**/*.svg"),
    *("results/**/*.md", "results/**/*.png", "results/*.csv", "results/studies/*.toml"),
    *("examples/*.py", "CITATION.cff", "LICENSE"),
)
PACKAGES = ("macpo", "macpo.weighting", "macpo.algorithms", "macpo.envs", "macpo.statistics")
COLUMNS = "100"


def stage() -> None:
    """Copy the pages, and write those of the reference."""
    shutil.rmtree(SOURCE, ignore_errors=True)
    for pattern in PAGES:
        for file in ROOT.glob(pattern):
            copy = SOURCE / file.relative_to(ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, copy)
    reference = SOURCE / "reference"
    reference.mkdir()
    for package in PACKAGES:
        (reference / f"{package}.md").write_text(api_page(package), encoding="utf-8")
    (reference / "commands.md").write_text(commands_page(), encoding="utf-8")


def api_page(package: str) -> str:
    """A package's public names, which mkdocstrings replaces by their docstrings."""
    module = importlib.import_module(package)
    names = sorted(module.__all__, key=str.lower)
    public = [name for name in names if f"{package}.{name}" not in PACKAGES]
    return "\n\n".join([f"# `{package}`", *(f"::: {package}.{name}" for name in public)]) + "\n"


def commands_page() -> str:
    """What `macpo COMMAND --help` prints, for each command."""
    parts = ["# Commands"]
    for name, command in COMMANDS.items():
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
            main([name, "--help"])
        parts += [
            f"## macpo {name}",
            command.summary,
            f"```text\n{printed.getvalue().strip()}\n```",
        ]
    return "\n\n".join(parts) + "\n"


def build() -> None:
    """Make the site in `build/site`."""
    os.environ["COLUMNS"] = COLUMNS  # of what --help prints
    stage()
    shutil.rmtree(SITE, ignore_errors=True)
    zensical = Path(sys.executable).with_name("zensical")
    with_extensions = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    words = [zensical, "build", "--strict", "-f", ROOT / "zensical.toml"]
    subprocess.run(words, check=True, env=with_extensions)


if __name__ == "__main__":
    build()
