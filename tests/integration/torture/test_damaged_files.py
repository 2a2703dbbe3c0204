"""A damaged file is noticed, or it does not matter."""

import shutil
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
import pytest

import macpo
from macpo.errors import UsageError
from tests.integration.torture.conftest import Undisturbed
from tests.support.torture import game, snapshots
from tests.support.torture.commands import call
from tests.support.torture.damage import damage
from tests.support.torture.size import cases, fail_if, rng_of

pytestmark = pytest.mark.slow


class Runs(NamedTuple):
    """What is damaged."""

    finished: Path
    unfinished: Path
    """Killed before its last rows belong to a checkpoint."""
    of_another_seed: Path


class Results(NamedTuple):
    """What users see of a run."""

    evaluation: str
    film: str
    params: list[bytes]


@pytest.fixture(scope="module")
def runs(whole: Undisturbed, tmp_path_factory: pytest.TempPathFactory) -> Runs:
    folder = tmp_path_factory.mktemp("damaged")
    runs = Runs(folder / "finished", folder / "unfinished", folder / "of_another_seed")
    shutil.copytree(whole.directory, runs.finished)
    assert call("resume", str(runs.finished)).status == 0  # draws the pictures
    n_bytes = len(whole.metrics)
    complete = (
        x.files for x in whole.moments if len(x.files.get("metrics.jsonl") or b"") == n_bytes
    )
    snapshots.write(runs.unfinished, snapshots.as_of_a_dead_process(next(complete)))
    assert game.begin(runs.of_another_seed, game.OF_ANOTHER_SEED).finished
    return runs


@pytest.fixture(scope="module")
def expected(runs: Runs, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Results]:
    """Of the undamaged runs, by name."""
    found = dict[str, Results]()
    for run in (runs.finished, runs.unfinished):
        copy = tmp_path_factory.mktemp("copy") / "run"
        shutil.copytree(run, copy)
        found[run.name] = Results(evaluated(copy)[1], filmed(copy)[1], loaded(copy)[1] or [])
    return found


def evaluated(directory: Path) -> tuple[str, str]:
    """(what went wrong, the table or nothing)"""
    outcome = call("evaluate", str(directory), "--episodes", "4", "--epsilon", "0.5")
    return outcome.fault(), outcome.out if outcome.status == 0 else ""


def filmed(directory: Path) -> tuple[str, str]:
    film = directory.parent / "film.gif"
    outcome = call("render", str(directory), "--out", str(film))
    return outcome.fault(), film.read_bytes().hex() if outcome.status == 0 else ""


def loaded(directory: Path) -> tuple[str, list[bytes] | None]:
    try:
        policy = macpo.load(directory)
    except UsageError:
        return "", None
    except Exception as error:
        return f"a traceback: {type(error).__name__}: {error}", None
    return "", [np.asarray(x).tobytes() for x in jax.tree.leaves(policy.params)]


@cases(20, 500)
def test_a_damaged_file_is_refused_in_a_sentence_or_changes_no_result(
    case: int,
    whole: Undisturbed,
    runs: Runs,
    expected: dict[str, Results],
    tmp_path: Path,
):
    rng = rng_of(case)
    intact = (runs.finished, runs.unfinished)[rng.integers(2)]
    directory = tmp_path / "run"
    shutil.copytree(intact, directory)
    what = f"{intact.name}: {damage(directory, runs.of_another_seed, rng)}"
    for name, command in (("evaluation", evaluated), ("film", filmed), ("params", loaded)):
        fault, result = command(directory)
        fail_if(fault, f"{name}: {what}")
        is_wrong = result and result != getattr(expected[intact.name], name)
        fail_if(f"a silent wrong: {result!r:.300}" if is_wrong else "", f"{name}: {what}")
    outcome = call("resume", str(directory))
    fail_if(outcome.fault(), f"resume: {what}")
    if outcome.status == 0 and (difference := whole.difference(directory)):
        fail_if(f"a silent wrong: {difference}", f"resume: {what}")


def test_what_is_damaged_really_is_noticed_by_this_test(runs: Runs, tmp_path: Path):
    """Weights of another seed are another result, in all three ways of looking at them."""
    first, second = runs.finished, runs.of_another_seed
    assert loaded(first)[1] != loaded(second)[1]
    assert evaluated(first)[1] != evaluated(second)[1]
