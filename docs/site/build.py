"""Build the documentation site: `make docs`, or `python docs/site/build.py` with the group `docs`.

Its pages are the repository's Markdown files under their own paths, so that links between them hold
in both places; the files that these link to, Python as pages; the reference, which is written
here: the Python API from docstrings, every command and the flags of every part from `--help`; and
the reports on the committed records.
"""

import contextlib
import functools
import importlib
import io
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from macpo import registry
from macpo.cli import COMMANDS, main
from macpo.experiment import PARTS
from macpo.report.collection import collect
from macpo.report.page import render_page
from macpo.report.plain import to_json
from macpo.report.summary import summarise

ROOT = Path(__file__).parents[2]
BUILD = ROOT / "build"
SOURCE, SITE = BUILD / "site-source", BUILD / "site"
PAGES = (
    *("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "benchmarks/README.md"),
    *("docs/**/*.md", "results/**/*.md"),
)
LINK = re.compile(r"(\]\(|\]: )([^)#\s:]+)")
"""To a file: `](FILE`, or `]: FILE` of a link that stands elsewhere; none has a scheme."""
PACKAGES = (
    *("macpo", "macpo.weighting", "macpo.algorithms", "macpo.envs", "macpo.statistics"),
    *("macpo.learners", "macpo.nets", "macpo.bounds"),
)
COLUMNS = "100"
DEFAULTS = """
The flags of `--env`, `--algorithm` and `--weighting` here are those of the default parts.
[Flags of the parts](flags.md) has those of every other.
""".strip()
FLAGS = """
What `macpo train`, `sweep` and other commands take of each environment, algorithm and weighting.
`macpo train --env NAME --help` prints the same. In Python they are the fields of a class: with
`macpo.envs.SMACJax(map="3m")`, `map` is `--env.map`.
""".strip()
REPORTS = {
    "weightings": "replay schemes (Figure 1)",
    "algorithms": "algorithms (Figure 2)",
    "battles": "battles (Figure 3)",
    "ablations": "MAC-PO without its terms (Figure 4)",
}
"""Records of `results/records` whose report is a page of the site."""
ASSETS = Path("assets")
SHIM = "https://unpkg.com/iframe-worker/shim"
"""What the offline plugin takes from elsewhere; ours stands in its place."""


def stage() -> None:
    """Copy the pages and what they link to, and write those of the reference."""
    shutil.rmtree(SOURCE, ignore_errors=True)
    for page in (page for pattern in PAGES for page in ROOT.glob(pattern)):
        text = page.read_text(encoding="utf-8")
        _write(page, LINK.sub(functools.partial(_followed, page), text))
    results = SOURCE / "results"
    for name in REPORTS:
        (results / name).mkdir(exist_ok=True)
        (results / name / "report.html").write_text(report_page(name), encoding="utf-8")
    links = [f"[{title}]({name}/report.html)" for name, title in REPORTS.items()]
    head, text = (results / "README.md").read_text(encoding="utf-8").split("\n\n", 1)
    told = f"Reports with every number, curve and setting: {', '.join(links)}."
    (results / "README.md").write_text(f"{head}\n\n{told}\n\n{text}", encoding="utf-8")
    reference = SOURCE / "reference"
    reference.mkdir()
    for package in PACKAGES:
        (reference / f"{package}.md").write_text(api_page(package), encoding="utf-8")
    (reference / "commands.md").write_text(commands_page(), encoding="utf-8")
    (reference / "flags.md").write_text(flags_page(), encoding="utf-8")
    (SOURCE / ASSETS).mkdir()
    for name in ("extra.css", "frame_worker.js"):
        shutil.copy(Path(__file__).with_name(name), SOURCE / ASSETS)


def _followed(page: Path, link: re.Match[str]) -> str:
    """The link, once its file is there too: a program is a page, for browsers only download it."""
    file = page.parent / link[2]
    if file.suffix == ".md" or not file.is_file():
        return link[0]
    file = file.resolve()
    if file.suffix != ".py":
        _write(file)
        return link[0]
    code = file.read_text(encoding="utf-8")
    name = file.relative_to(ROOT)
    _write(Path(f"{file}.md"), f"# `{name.as_posix()}`\n\n```python\n{code}```\n")
    return f"{link[0]}.md"


def _write(file: Path, text: str | None = None) -> None:
    """Put a file of the repository under its own path, with another text if one is given."""
    copy = SOURCE / file.relative_to(ROOT)
    copy.parent.mkdir(parents=True, exist_ok=True)
    if text is None:
        shutil.copy(file, copy)
    else:
        copy.write_text(text, encoding="utf-8")


def report_page(name: str) -> str:
    """What `macpo report results/records/NAME.json` writes."""
    report = summarise(collect([ROOT / "results" / "records" / f"{name}.json"]))
    return render_page(report, to_json(report))


def api_page(package: str) -> str:
    """A package's public names, which mkdocstrings replaces by their docstrings."""
    module = importlib.import_module(package)
    names = sorted(module.__all__, key=str.lower)
    public = [name for name in names if f"{package}.{name}" not in PACKAGES]
    return "\n\n".join([f"# `{package}`", *(f"::: {package}.{name}" for name in public)]) + "\n"


def commands_page() -> str:
    """What `macpo COMMAND --help` prints, for each command."""
    parts = ["# Commands", DEFAULTS]
    for name, command in COMMANDS.items():
        parts += [f"## macpo {name}", command.summary, f"```text\n{_help(name)}\n```"]
    return "\n\n".join(parts) + "\n"


def flags_page() -> str:
    """The flags of every environment, algorithm and weighting."""
    parts = ["# Flags of the parts", FLAGS]
    for part, kind in PARTS.items():
        parts.append(f"## {registry.NOUN[kind].capitalize()}s")
        for name in registry.discover(kind):
            _, head, flags = _help(f"check-{part}", name).partition(f"\n {part}")
            parts += [f"### --{part} {name}", f"```text{head}{flags}\n```"]
    return "\n\n".join(parts) + "\n"


def _help(*command: str) -> str:
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
        main([*command, "--help"])
    return "\n".join(line.rstrip() for line in printed.getvalue().strip().splitlines())


def build() -> None:
    """Make the site in `build/site`."""
    os.environ["COLUMNS"] = COLUMNS  # of what --help prints
    stage()
    shutil.rmtree(SITE, ignore_errors=True)
    zensical = Path(sys.executable).with_name("zensical")
    with_extensions = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    words = [zensical, "build", "--strict", "-f", ROOT / "zensical.toml"]
    subprocess.run(words, check=True, env=with_extensions)
    for name in ("404.html", "sitemap.xml"):  # they need the site's address
        (SITE / name).unlink()
    for page in SITE.rglob("*.html"):
        ours = os.path.relpath(SITE / ASSETS / "frame_worker.js", page.parent)
        html = page.read_text(encoding="utf-8").replace(SHIM, Path(ours).as_posix())
        page.write_text(html, encoding="utf-8")


if __name__ == "__main__":
    build()
