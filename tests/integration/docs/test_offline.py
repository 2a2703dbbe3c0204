"""docs/offline.md: its commands and its code run, one after another, on a small game."""

import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest

import macpo
from macpo.cli import main
from macpo.experiment import Experiment
from macpo.report.records import read_absolute
from macpo.runs.replay_file import read_about
from tests.runs.conftest import SMALL
from tests.support.fake_engine import install
from tests.support.paths import ROOT

PAGE = (ROOT / "docs" / "offline.md").read_text()
SMALLER = (
    "--env.height 4 --env.width 4 --env.n-predators 2 --env.n-prey 2 --env.episode-limit 6 "
    "--algorithm.rnn-hidden-dim 8 --batch-size 8 --test-nepisode 4"
)
"""For commands that play Predator-Prey, whose numbers are a thousandth of those on the page."""
SMALLEST = f"--algorithm vdn --weighting uniform {SMALLER}".split()
"""For those that leave the method to us."""
SMALL_NETWORKS = shlex.split("""--algorithm.rnn-hidden-dim 8 --algorithm.mixing-embed-dim 8
  --algorithm.hypernet-embed 16 --algorithm.central-mixing-embed-dim 16""")


def commands(name: str) -> list[list[str]]:
    """The page's commands of this name, in order, with small numbers."""
    blocks = "".join(re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL)).replace("\\\n", " ")
    found = [shlex.split(line)[1:] for line in blocks.splitlines()]
    return [
        [str(int(word) // 1000) if re.fullmatch(r"\d+000", word) else word for word in words]
        for words in found
        if words[0] == name
    ]


def examples() -> list[str]:
    return re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def succeed(words: list[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(words)
    assert not stop.value.code, words


@pytest.fixture(scope="module")
def folder(hunt: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run of the small game in runs/hunt, and its episodes."""
    folder = tmp_path_factory.mktemp("offline")
    shutil.copytree(hunt, folder / "runs" / "hunt")
    macpo.export_replay(folder / "runs" / "hunt", folder / "hunt.npz")
    return folder


@pytest.fixture(autouse=True)
def without_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("macpo.cli.training._finish", lambda *_, **__: 0)  # tests/cli has them


@pytest.mark.slow
def test_the_commands_of_one_run_work_one_after_another(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    (export,), (offline, on, _), (resume,) = map(commands, ("export-replay", "train", "resume"))
    succeed(export)
    for words in (offline, on):
        succeed([*words, *SMALLEST])
    succeed(resume)
    assert "every seed has made 40 updates" in Path("runs/offline/README.md").read_text()
    assert "every seed has played 3" in Path("runs/on/README.md").read_text()


def test_a_sweep_learns_with_every_method_from_the_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    fake = install(monkeypatch)  # tests/study has real sweeps
    fake.score = lambda run: float(run.seed)
    (sweep,) = commands("sweep")
    succeed([*sweep, *SMALLER.split()])
    arms = fake.study.arms
    assert list(arms) == ["macpo", "uniform"] and len(fake.study.runs()) == 4
    assert {arm.run.updates for arm in arms.values()} == {20}
    noted = {arm.replay.from_sha256 for arm in arms.values()}
    assert len(noted) == 1 and None not in noted


@pytest.mark.slow
def test_the_episodes_of_somebody_elses_arrays_teach_the_best_joint_action(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    *_, example = examples()
    exec(example, {})
    *_, words = commands("train")
    words[words.index("--updates") + 1] = words[words.index("--test-interval") + 1] = "200"
    succeed([*words, *SMALL_NETWORKS, "--batch-size", "32", "--test-nepisode", "4"])
    assert read_absolute(tmp_path / "runs" / "mine")[0]["test_return_mean"] == 8


def test_what_reads_a_file_reads_all_of_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    _, by_numpy, filtered, _ = examples()
    found: list[tuple[np.ndarray, ...]] = []
    last = next(line for line in by_numpy.splitlines() if "obs = " in line)
    indent = last[: len(last) - len(last.lstrip())]
    line = f"{indent}found.append((obs, actions, reward))\n"
    exec(by_numpy.rstrip() + "\n" + line, {"found": found})
    expected = [*macpo.read_replay("hunt.npz")]
    for (obs, actions, reward), x in zip(found, expected, strict=True):
        np.testing.assert_array_equal(obs, x.obs)
        np.testing.assert_array_equal(actions, x.actions)
        np.testing.assert_array_equal(reward, x.reward)
    # so small a game may have no catch
    small = filtered.replace('macpo.make_env("predator-prey")', "env").replace("> 0", ">= 0")
    exec(small, {"env": SMALL.env.make()})
    good = [*macpo.read_replay("good.npz")]
    assert len(good) == sum(x.reward.sum() >= 0 for x in expected) > 0


def test_the_same_from_python_is_an_experiment(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    names: dict[str, Experiment] = {}
    exec(examples()[0], names)
    run = names["experiment"].run
    assert (run.is_offline, run.end) == (True, 20_000)


def test_a_cluster_is_told_to_have_the_file_where_every_run_looks_for_it() -> None:
    for page in (PAGE, (ROOT / "docs" / "studies.md").read_text()):
        text = " ".join(page.split())
        assert "reads that file by its absolute path: it must lie at that place on every" in text


def test_the_tables_name_what_a_file_has(folder: Path) -> None:
    told = {name.replace("….npy", "") for name in re.findall(r"^\| `CHUNK/(.*?)`", PAGE, re.M)}
    about = read_about(folder / "hunt.npz")
    assert {name.partition(".")[0] for name in about.fields} == {
        name.removesuffix(".npy") for name in told
    }
    rows = re.findall(r"^\| (`.*?) \|", PAGE.split("| in `about.json`")[1], re.M)
    assert {*re.findall(r"\w+", " ".join(rows))} == {*vars(about), "chunks"}
