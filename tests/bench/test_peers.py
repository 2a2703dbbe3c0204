"""benchmarks/peers: other libraries beside this one. PyMARL's part needs a checkout, and is not
run here."""

import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from macpo.bench.measure import Flags, repository_module
from macpo.errors import UsageError
from tests.support.later import needed
from tests.support.paths import ROOT

SCRIPTS = ROOT / "benchmarks/peers"


@pytest.fixture(scope="module")
def run() -> ModuleType:
    return repository_module("benchmarks/peers/run.py")


def test_a_library_that_is_not_known_is_refused_with_the_known_ones(run: ModuleType) -> None:
    with pytest.raises(UsageError, match=r"did you mean 'torchrl'\? Known: torchrl, pymarl"):
        run.contender("torchr", installed=True)


@pytest.mark.parametrize("given", ["pymarl", "pymarl=/no/such/folder"])
def test_a_library_on_no_registry_is_told_with_where_it_is(run: ModuleType, given: str) -> None:
    with pytest.raises(UsageError, match=r"clone https://github\.com/oxwhirl/pymarl, then"):
        run.contender(given, installed=True)


def test_a_library_has_the_versions_that_tests_have(
    run: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = list[list[str]]()
    monkeypatch.setattr(run, "ROOT", tmp_path)
    monkeypatch.setattr(run, "_run", ran.append)
    monkeypatch.setattr(run.venv, "create", lambda folder, **_: folder.mkdir(parents=True))
    project = tmp_path / "pyproject.toml"
    groups = '[dependency-groups]\nforeign = ["torch==2", "torchrl==0.1", "rliable==3"]'
    project.write_text(groups)
    first = run.contender("torchrl", installed=False)
    (words,) = ran
    assert words[0] == first.python
    assert words[-4:] == ["--quiet", "torch==2", "torchrl==0.1", "numpy"]
    assert (
        run.contender("torchrl", installed=False) == first and len(ran) == 1
    )  # nothing is installed twice


@pytest.mark.slow
def test_each_library_is_told_with_the_ratio_to_it(
    run: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "_seconds_of", lambda other, lengths: 0.5)
    torchrl = run.Contender(run.PEERS["torchrl"], sys.executable, "")
    ours, theirs, *_ = run.updates([torchrl], Flags(rounds=1, trial=True))
    assert (ours.name, ours.unit, ours.reference) == (
        "QMIX update, full length (8 of 8)",
        "ms",
        "TorchRL",
    )
    assert ours.ratio == pytest.approx(ours.value / 500)
    assert (theirs.name, theirs.value) == ("TorchRL, full length", 500)


def test_a_script_that_fails_is_told_with_its_last_line(run: ModuleType) -> None:
    with pytest.raises(
        UsageError, match=r"^`.* -c .*` failed: NameError: name 'x' is not defined$"
    ):
        run._run([sys.executable, "-c", "x"])


@pytest.mark.slow
def test_torchrl_s_update_is_timed_and_learns() -> None:
    needed("torchrl", "needs another project's loss: pip install torchrl==0.11.1")
    code = (
        "import runpy, sys; del sys.argv[0]\n"
        "ran = runpy.run_path(sys.argv[0], run_name='__main__')\n"
        "learner, batch = ran['learner'], ran['batch']\n"
        "print(*batch.shape, *(learner.update(batch) for _ in range(30)))\n"
    )
    task = json.dumps({"lengths": [3, 5, 2], "threads": 1})
    words = [sys.executable, "-c", code, str(SCRIPTS / "torchrl_qmix.py"), task]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    seconds, n_episodes, n_steps, *losses = map(float, done.stdout.split())
    assert 0 < seconds < 10 and (n_episodes, n_steps) == (3, 5)
    assert losses[-1] < losses[0]
