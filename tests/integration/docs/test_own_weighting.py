"""docs/own_weighting.md: its blocks make up the example, and its commands run."""

import doctest
import inspect
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import macpo
from macpo.cli import main
from macpo.conformance.weighting import PROMISES
from macpo.interop.check import title
from macpo.report import writing
from macpo.weighting import MEANING, Factor, factors
from tests.support.fake_engine import install
from tests.support.growing import blocks, content, installed
from tests.support.paths import ROOT

PAGE = (ROOT / "docs" / "own_weighting.md").read_text()
BLOCKS = blocks(PAGE, "python")
SOURCE = "\n".join(BLOCKS)
COMMANDS = [shlex.split(line)[1:] for line in "".join(blocks(PAGE, "bash")).splitlines()]
SMALL = shlex.split(
    """--algorithm vdn --algorithm.rnn-hidden-dim 8 --algorithm.central-mixing-embed-dim 8
    --steps 40 --batch-size 4 --batch-size-run 2 --buffer-size 32 --test-nepisode 2"""
)


def run(*words: str) -> None:
    with pytest.raises(SystemExit) as stop:
        main([*words])
    assert stop.value.code == 0, words


def table(heading: str) -> dict[str, list[str]]:
    """The rows of the table under a heading, by what stands in backticks in the first cell."""
    lines = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0].splitlines()
    rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in lines if line.startswith("| `")]
    return {re.findall(r"`(.*?)`", first)[0]: rest for first, *rest in rows}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current folder, with the file as the page makes it."""
    (tmp_path / "my_weighting.py").write_text(SOURCE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    sys.modules.pop("my_weighting", None)


# --- the file -------------------------------------------------------------------------------------


def test_the_blocks_put_together_are_the_example() -> None:
    assert content(SOURCE) == content((ROOT / "examples" / "custom_weighting.py").read_text())


@pytest.mark.parametrize(
    ("n_blocks", "options", "expected"),
    [
        (1, {}, [2, 1, 0]),
        (2, {}, [2, 1, 0]),
        (2, {"exponent": 1.0}, [4, 1, 0]),
        (3, {}, [2, 1, 0]),
        (4, {}, [2, 0.5, 0]),
        (4, {"disappointed": 0.25}, [2, 0.25, 0]),
        (4, {"temperature": 0.5}, [2 * np.exp(-6), 0.5 * np.exp(-4), 0]),  # gaps of 3 and 2
    ],
)
def test_the_file_works_after_every_block(
    n_blocks: int, options: dict[str, float], expected: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    names: dict[str, Any] = {"__name__": "my_weighting"}
    monkeypatch.setitem(sys.modules, "my_weighting", sys.modules[__name__])  # for dataclasses
    exec("\n".join(BLOCKS[:n_blocks]), names)  # the page is ours
    q, target = np.array([[0.0, 1.0, 2.0]]), np.array([[4.0, 0.0, 7.0]])
    signals = {"q": q, "target": target, "mask": np.array([[1, 1, 0]])}
    signals |= {"q_star": np.array([[3.0, 3.0, 9.0]])} if "temperature" in options else {}
    weights = names["Root"](normalise="none", **options)(**signals)
    np.testing.assert_allclose(weights, [expected], rtol=1e-6)


@pytest.mark.usefixtures("folder")
def test_what_the_page_prints_is_printed() -> None:
    (session,) = blocks(PAGE, "pycon")
    examples = doctest.DocTestParser().get_doctest(session, {}, "page", None, 0)
    assert doctest.DocTestRunner().run(examples).failed == 0


def test_an_option_out_of_bounds_is_refused_in_a_sentence(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["train", "--weighting", "my_weighting:Root", "--weighting.exponent", "-1"])
    assert stop.value.code == 2
    assert "exponent must be at least 0" in capsys.readouterr().err


# --- what the page tells --------------------------------------------------------------------------


def test_the_promises_are_those_that_are_checked() -> None:
    (told,) = blocks(PAGE, "text")
    titles = [f"ok    {title(promise)}" for promise in PROMISES]
    assert told.splitlines() == [*titles, "nothing wrong"]


def test_every_signal_is_told() -> None:
    assert table("Signals").keys() == MEANING.keys() - {"mask"}


def test_every_factor_of_the_library_is_told_with_what_it_needs() -> None:
    made = dict[str, tuple[str, ...]]()
    for name, make in inspect.getmembers(factors, inspect.isfunction):
        signature = inspect.signature(make)
        if signature.return_annotation is Factor:
            parameters = signature.parameters
            numbers = {each: 1.0 for each, of in parameters.items() if of.default is of.empty}
            made[f"{name}({', '.join(parameters)})"] = make(**numbers).needs
    told = table("Factors of the library")
    assert {call: tuple(re.findall(r"`(.*?)`", row[-1])) for call, row in told.items()} == made


def test_every_link_leads_to_a_file() -> None:
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", PAGE)
    assert [link for link in links if not (ROOT / "docs" / link).exists()] == []


# --- the commands ---------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_weighting_is_checked_and_trains_from_the_command_line(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("macpo.cli.training._finish", lambda *_, **__: 0)  # tests/cli has it
    (check,) = (words for words in COMMANDS if words[0] == "check-weighting")
    run(*check)
    (promised,) = blocks(PAGE, "text")
    assert promised in capsys.readouterr().out
    trained = [words for words in COMMANDS if words[0] == "train" and "--steps" in words]
    assert len(trained) == 3
    run(*trained[-1][: trained[-1].index("--steps")], *SMALL, "--out", "run")
    assert (folder / "run" / "model.safetensors").exists()


def test_every_training_of_the_page_is_what_it_is_asked_to_be(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = list[tuple[macpo.Experiment, dict[str, Any]]]()

    def train(experiment: macpo.Experiment, out: str | None, **options: Any) -> macpo.RunResult:
        asked.append((experiment, options))
        return macpo.RunResult(folder, finished=True)

    monkeypatch.setattr(macpo, "train", train)
    for words in (words for words in COMMANDS if words[0] == "train"):
        run(*words)
    exponents = [experiment.weighting.exponent for experiment, _ in asked]  # pyright: ignore[reportAttributeAccessIssue]
    assert exponents == [0.5, 1.0, 0.5, 0.5, 0.5]
    needs = ["q_star" in experiment.weighting.needs for experiment, _ in asked]
    assert needs == [False, False, True, False, False]
    assert [options["record_weights"] for _, options in asked] == [0, 0, 0, 10, 0]
    assert asked[-1][0].replay.priority == "weights"


def test_an_entry_point_gives_it_a_name_under_which_it_is_compared(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fake = install(monkeypatch)
    fake.score = lambda each: 10.0 * (each.arm == "root") + each.seed
    monkeypatch.setattr(writing, "draw_figures", lambda *_: [])  # tests/report has them
    after_training = ("sweep", "compare", "report")
    with installed(PAGE, folder):
        for words in (w for w in COMMANDS if w[0] in after_training and "runs/root" not in w):
            run(*words)
    assert {each.arm for each in fake.done} == {"root", "per", "uniform"} and len(fake.done) == 15
    assert "root" in capsys.readouterr().out
    assert (folder / "studies" / "root" / "report" / "index.html").exists()
