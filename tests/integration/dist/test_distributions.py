"""What would be published: the sdist and the wheel, and what they do where nothing else is.

All in one file, so that they are built, and the wheel with JAX installed, only once.
"""

import email.message
import email.parser
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import macpo
from macpo.weighting import weighted_loss
from tests.support.installed import QUICK_START, environment, install, run
from tests.support.paths import ROOT
from tests.support.weighting_samples import fixture

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
WITHOUT_JAX = (ROOT / "docs" / "pymarl.md").read_text().partition("\n## Without JAX\n")[2]
INSTALL, COPY = re.findall(r"```bash\n(.*?)```", WITHOUT_JAX, re.S)
QUICK = (
    "tests/test_package.py",
    "tests/test_architecture.py",
    "tests/weighting/test_macpo.py",
    "tests/integration/docs/test_results.py::test_every_seed_of_the_records_is_in_the_committed_table",
)
"""Little to compute, and together they read the sources, the pages and the results."""
WEIGH = """
import json
import numpy as np
import macpo.weighting

signals = dict(np.load("signals.npz"))
weights = {name: macpo.weighting.make(name)(**signals) for name in macpo.weighting.available()}
loss = macpo.weighting.weighted_loss(signals["q"] ** 2, weights["macpo"], signals["mask"])
weights = {name: array.tolist() for name, array in weights.items()}
print(json.dumps([macpo.__file__, weights, float(loss)]))
"""
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Skips where pip reaches no index of packages."""
    words = ["download", "--quiet", "--no-deps", "--dest", tmp_path_factory.mktemp("index")]
    done = subprocess.run(
        [sys.executable, "-m", "pip", *words, "array-api-compat"],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"pip reaches no index of packages: {done.stderr.splitlines()[-1:]}")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, index: None) -> Path:
    """The folder of the sdist and of the wheel that is built from it."""
    pytest.importorskip("build", reason="needs the group dist: make dist")
    folder = tmp_path_factory.mktemp("dist")
    words = [sys.executable, "-m", "build", "--outdir", folder, ROOT]
    subprocess.run(words, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    (file,) = built.glob("*.whl")
    return file


@pytest.fixture(scope="module")
def sdist(built: Path) -> Path:
    (file,) = built.glob("*.tar.gz")
    return file


@pytest.fixture(scope="module")
def macpo_alone(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> Iterator[Path]:
    """The Python of an environment into which the wheel was installed, without extras."""
    folder = tmp_path_factory.mktemp("alone")
    yield environment(folder / "env", wheel, options=("--no-compile",))  # sooner there
    shutil.rmtree(folder)  # 800 MB, which pytest would keep


@pytest.fixture(scope="module")
def light(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> Path:
    """The Python of an environment in which the page's commands were carried out."""
    needed, itself = (line.split()[2:] for line in INSTALL.splitlines())
    assert itself == ["--no-deps", "macpo"]
    python = environment(tmp_path_factory.mktemp("light") / "env", *needed)
    install(python, wheel, options=("--no-deps",))
    return python


def tracked() -> set[str]:
    """The paths of the files that git tracks; skips where it tracks none."""
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        pytest.skip("no git repository, or no git: nothing says which files belong")
    done = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return set(done.stdout.split("\0")) - {""}


def names_in_sdist(sdist: Path) -> set[str]:
    with tarfile.open(sdist) as archive:
        return {member.name.partition("/")[2] for member in archive if member.isfile()}


def metadata(wheel: Path) -> email.message.Message:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return email.parser.BytesParser().parsebytes(archive.read(name))


def test_the_sdist_holds_what_git_tracks_and_nothing_else(sdist: Path) -> None:
    assert names_in_sdist(sdist) == tracked() | {"PKG-INFO"}


def test_the_wheel_holds_the_package_and_its_licence_and_nothing_else(wheel: Path) -> None:
    about = f"macpo-{PROJECT['version']}.dist-info"
    package = {p.removeprefix("src/") for p in tracked() if p.startswith("src/macpo/")}
    told = {"METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE"}
    with zipfile.ZipFile(wheel) as archive:
        assert set(archive.namelist()) == package | {f"{about}/{name}" for name in told}


def test_type_checkers_find_that_the_package_is_typed(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        assert archive.read("macpo/py.typed") == b""


def test_the_wheel_serves_every_system_and_python_3(wheel: Path) -> None:
    assert wheel.name == f"macpo-{PROJECT['version']}-py3-none-any.whl"


def test_the_licence_is_an_spdx_expression_with_its_text(wheel: Path) -> None:
    about = metadata(wheel)
    assert about["License-Expression"] == "Apache-2.0"
    assert about.get_all("License-File") == ["LICENSE"]
    assert not [c for c in about.get_all("Classifier", []) if c.startswith("License")]


def test_an_index_would_take_the_distributions_and_show_the_readme(built: Path) -> None:
    words = [sys.executable, "-m", "twine", "--no-color", "check", "--strict", *built.iterdir()]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and done.stdout.count("PASSED") == 2, done.stdout


def test_some_quick_tests_pass_where_it_is_unpacked(sdist: Path, tmp_path: Path) -> None:
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    (root,) = tmp_path.iterdir()
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:xdist", "-m", "not slow", *QUICK],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_quick_start_runs(macpo_alone: Path, tmp_path: Path) -> None:
    for command in QUICK_START:
        done = run(macpo_alone, "-m", "macpo", *command.split(), folder=tmp_path)
        assert done.returncode == 0, f"macpo {command}:\n{done.stdout}{done.stderr}"
    for file in ("learning_curve.png", "episode.gif", "metrics.jsonl", "README.md"):
        assert (tmp_path / "runs" / "first" / file).stat().st_size > 0
    assert "matrix-game" in (tmp_path / "reports" / "runs" / "index.html").read_text("utf-8")


def test_nothing_of_the_checkout_is_on_the_path(macpo_alone: Path, tmp_path: Path) -> None:
    done = run(macpo_alone, "-c", "import macpo; print(macpo.__file__)", folder=tmp_path)
    assert Path(done.stdout.strip()).is_relative_to(macpo_alone.parents[1])


def test_the_command_tells_the_version_of_what_is_installed(
    macpo_alone: Path, tmp_path: Path
) -> None:
    done = run(macpo_alone, "-m", "macpo", "--version", folder=tmp_path)
    assert done.stdout == f"macpo {PROJECT['version']}\n"


def test_what_it_requires_is_installed_with_it(macpo_alone: Path, tmp_path: Path) -> None:
    assert run(macpo_alone, "-m", "pip", "check", folder=tmp_path).returncode == 0


def expect_our_weights(python: Path, folder: Path, *, path: Path) -> None:
    """With that Python, a package at `path` gives the weights and the loss of this process."""
    signals = fixture()
    np.savez(folder / "signals.npz", **signals)
    done = run(python, "-c", f"import sys; sys.path.insert(0, {str(path)!r})" + WEIGH, folder=folder)
    assert done.returncode == 0, done.stderr
    file, found, loss = json.loads(done.stdout)
    assert Path(file).is_relative_to(path)
    assert set(found) == set(macpo.weighting.available()) and len(found) == 22
    for name, weights in found.items():
        expected = macpo.weighting.make(name)(**signals)
        np.testing.assert_allclose(weights, expected, rtol=1e-12, err_msg=name)
    weights = macpo.weighting.make("macpo")(**signals)
    assert loss == pytest.approx(float(weighted_loss(signals["q"] ** 2, weights, signals["mask"])))


def test_no_package_is_there_but_those_that_the_page_names(light: Path, tmp_path: Path) -> None:
    done = run(light, "-m", "pip", "list", "--format", "json", folder=tmp_path)
    there = {package["name"].replace("_", "-") for package in json.loads(done.stdout)}
    others = {"pip", "setuptools", "wadler-lindig"}  # the environment's own, and jaxtyping's
    assert there - others == {"macpo", "numpy", "array-api-compat", "jaxtyping"}


def test_every_weighting_gives_the_same_weights_there(light: Path, tmp_path: Path) -> None:
    done = run(light, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", folder=tmp_path)
    expect_our_weights(light, tmp_path, path=Path(done.stdout.strip()))


def test_the_copied_files_give_the_same_weights(light: Path, tmp_path: Path) -> None:
    (command,) = COPY.splitlines()
    copy, option, *names, into = command.split()
    assert (copy, option, into) == ("cp", "-r", "project/macpo")
    (tmp_path / into).mkdir(parents=True)
    for name in names:
        take = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        take(ROOT / name, tmp_path / into / Path(name).name)
    expect_our_weights(light, tmp_path, path=tmp_path / "project")
