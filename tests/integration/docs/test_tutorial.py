"""The tutorial is run from its first command to its last, as the notebook that is made of it."""

import importlib.util
import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.site import script

notebook = script("notebook")
PAGE = notebook.TUTORIAL.read_text(encoding="utf-8")
HAS_TORCH = importlib.util.find_spec("torch") is not None
NUMBER = re.compile(r"[-+−]?\d[\d,.:]*")
DRAWN = re.compile(r"[─━┏┳┓┡╇┩└┴┘│┃ \t]+")


def lines(text: str) -> list[str]:
    """The words of a text: numbers and the widths of columns differ between machines."""
    spaced = (DRAWN.sub(" ", NUMBER.sub("#", line)).strip() for line in text.splitlines())
    return [line for line in spaced if line]


def says(printed: str, expected: str) -> bool:
    """Whether a cell prints what the page shows; `...` stands for anything."""
    pattern = "\n".join(lines(expected)) + "\n"
    regex = re.escape(pattern).replace(re.escape("...\n"), r"(?:.*\n)*?").replace(r"\.\.\.", ".*")
    return re.fullmatch(regex, "\n".join([*lines(printed), ""])) is not None


def number_after(words: str, text: str) -> float:
    """The first number behind these words."""
    match = re.search(re.escape(words) + r"\D*?(-?\d[\d.]*)", text)
    assert match is not None, text
    return float(match[1])


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What each cell of the notebook prints."""
    pytest.importorskip("ipykernel", reason="needs the group docs")
    nbclient = pytest.importorskip("nbclient", reason="needs the group docs")
    nbformat = pytest.importorskip("nbformat", reason="needs the group docs")
    read: Any = nbformat.reads(notebook.notebook(PAGE), as_version=4)
    if not HAS_TORCH:
        read.cells = [cell for cell in read.cells if "import torch" not in cell.source]
    folder = tmp_path_factory.mktemp("tutorial")
    with pytest.MonkeyPatch.context() as patch:
        programs = str(Path(sys.executable).parent)
        patch.setenv("PATH", programs + os.pathsep + os.environ["PATH"])
        patch.setenv("PYTHONWARNINGS", "ignore")
        patch.setenv("IPYTHONDIR", str(folder / "ipython"))
        nbclient.NotebookClient(
            read,
            timeout=600,
            kernel_name="python3",
            resources={"metadata": {"path": str(folder)}},
            skip_cells_with_tag=notebook.NOT_FOR_TESTS,
        ).execute()
    code = [cell for cell in read.cells if cell.cell_type == "code"]
    return ["".join(output.get("text", "") for output in cell.outputs) for cell in code][1:]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_every_cell_prints_what_the_page_shows(printed: list[str]) -> None:
    shown = notebook.printed(PAGE)
    shown = shown if HAS_TORCH else shown[:-1]  # the last cell needs it
    assert len(printed) == len(shown)
    for was, expected in zip(printed, shown, strict=True):
        assert says(was, expected), f"printed:\n{was}\nthe page shows:\n{expected}"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_the_team_hunts_and_macpo_finds_the_8(printed: list[str]) -> None:
    _, train, evaluate, _, sweep, compare, *torch = printed
    assert number_after("· test return ", train) < 12
    assert number_after(" 0                  100", evaluate) > 14
    assert number_after("macpo        3 ", sweep) == 8
    assert "Undecided" in compare
    assert torch == (["uniform: 0.0\nper: 8.0\n"] if HAS_TORCH else [])


def test_the_notebook_in_the_repository_is_the_one_that_the_page_makes() -> None:
    made = notebook.notebook(PAGE, notebook.repository())
    assert notebook.NOTEBOOK.read_text(encoding="utf-8") == made, "python docs/site/notebook.py"


def test_blocks_become_cells_and_what_they_print_does_not() -> None:
    fenced = ["console\npip install macpo", "bash\nmacpo list", "text\nit"]
    page = "\n\n".join(["# A", *(f"```{text}\n```" for text in fenced), "B.\n"])
    made = notebook.cells(page)
    sources = ["".join(cell["source"]) for cell in made]
    assert sources == [
        notebook.INSTALL,
        "# A",
        "```console\npip install macpo\n```",
        "%%bash\nmacpo list",
        "B.",
    ]
    assert notebook.printed(page) == ["it\n"]


def test_a_public_repository_gets_a_button_for_colab() -> None:
    made = json.loads(notebook.notebook(PAGE, "https://github.com/one/macpo"))
    path = "colab.research.google.com/github/one/macpo/blob/main/docs/tutorial.ipynb"
    button, install = (cell["source"] for cell in made["cells"][:2])
    assert path in button[0]
    assert install == ["%pip install --quiet git+https://github.com/one/macpo"]


def test_dots_stand_for_anything_and_numbers_for_each_other() -> None:
    shown = "a 1.5\n...\nend of 12\n"
    assert says("a  −2\n\nmore\nand more\nend of 3\n", shown) and says("a 7\nend of 3\n", shown)
    assert not says("b 1.5\nend of 12\n", shown) and not says("a 1.5\nend of it\n", shown)
    assert says("on Linux-6", "on ...\n") and not says("off Linux", "on ...\n")
