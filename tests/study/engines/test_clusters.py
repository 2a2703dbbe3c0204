"""Studies on a cluster: Ray with machines that die, SLURM as submitit plays it on this machine."""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from rich.console import Console

import macpo
from macpo import Study, UsageError
from macpo.runs.sessions import read_sessions
from macpo.study import engines
from macpo.study.directory import StudyDirectory
from macpo.study.study import PlannedRun
from tests.study.conftest import SMALL
from tests.support.fake_engine import know_needs
from tests.support.ray_cluster import patiently

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]  # of Ray and submitit

QUIET = Console(quiet=True)
LONG = replace(SMALL, run=replace(SMALL.run, steps=1_000))
SHORT = replace(SMALL, run=replace(SMALL.run, steps=600))  # the same compiled program
STUDY = Study("lengths", {"a": LONG, "b": SHORT}, seeds=3)


def metrics(directory: StudyDirectory, study: Study = STUDY) -> dict[PlannedRun, bytes]:
    """All rows of each run that has ended, those of the absolute metric too."""
    runs = {run: directory.run(run) for run in study.runs()}
    runs = {run: files for run, files in runs.items() if files.absolute.exists()}
    return {run: f.metrics.read_bytes() + f.absolute.read_bytes() for run, f in runs.items()}


@pytest.fixture(scope="module")
def by_hand(tmp_path_factory: pytest.TempPathFactory) -> dict[PlannedRun, bytes]:
    """What `macpo.train` writes; tests/study/test_sweep.py says that the local engine does too."""
    directory = StudyDirectory(tmp_path_factory.mktemp("hand"))
    for run in STUDY.runs():
        macpo.train(STUDY.experiment(run), directory.run(run).path, console=QUIET)
    return metrics(directory)


def under_way(directory: StudyDirectory) -> list[PlannedRun]:
    """The runs of which something has been saved, but not the end."""
    files = {run: directory.run(run) for run in STUDY.runs()}
    saved = [run for run, f in files.items() if [*f.path.glob("checkpoints/*.safetensors")]]
    return [run for run in saved if not files[run].absolute.exists()]


@pytest.fixture(autouse=True)
def known_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    know_needs(monkeypatch)


@pytest.fixture
def cluster() -> Iterator[Any]:
    """Ray on three machines: one without cores for runs, two with one each."""
    ray = pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    head = {"num_cpus": 0, "include_dashboard": False}
    cluster = patiently(lambda: Cluster(initialize_head=True, head_node_args=head))
    cluster.dying = [patiently(lambda: cluster.add_node(num_cpus=1))]
    patiently(lambda: cluster.add_node(num_cpus=1))
    ray.init(address=cluster.address, log_to_driver=False)
    yield cluster
    ray.shutdown()
    cluster.shutdown()


def test_a_study_is_finished_although_a_machine_dies_and_equals_the_local_one(
    cluster: Any, by_hand: dict[PlannedRun, bytes], tmp_path: Path
):
    directory = StudyDirectory(tmp_path)

    def kill_a_machine() -> None:
        while len(under_way(directory)) < 2:  # until what each machine does has been saved
            if len(metrics(directory)) == len(STUDY.runs()):
                return
            time.sleep(0.1)
        cluster.remove_node(cluster.dying.pop())

    killer = Thread(target=kill_a_machine, daemon=True)
    killer.start()
    result = macpo.sweep(STUDY, tmp_path, "ray", console=QUIET)
    killer.join()
    assert not cluster.dying, "no two runs were under way at once"
    assert result.finished
    assert metrics(directory) == by_hand
    sessions = [len(read_sessions(directory.run(run).sessions)) for run in STUDY.runs()]
    assert max(sessions) > 1  # what the machine had begun went on from its checkpoint


def slurm(cluster: str) -> Any:
    """SLURM's engine with jobs as processes of this machine (`local`), or in this one (`debug`)."""
    pytest.importorskip("submitit")
    from macpo.study.engines.slurm import SlurmEngine

    return SlurmEngine(1, cluster=cluster)


@pytest.mark.parametrize(("cluster", "n_seeds"), [("local", 2), ("debug", 1)])
def test_a_study_on_slurm_equals_the_local_one(
    cluster: str,
    n_seeds: int,
    by_hand: dict[PlannedRun, bytes],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(engines, "make", lambda *_, **__: slurm(cluster))
    study = Study("lengths", {"b": SHORT}, seeds=n_seeds)
    assert macpo.sweep(study, tmp_path, "slurm", console=QUIET).finished
    assert metrics(StudyDirectory(tmp_path), study).items() <= by_hand.items()


def one_job(cluster: str, folder: Path) -> tuple[Any, Any]:
    """An engine, and the job of the one run that it was given."""
    directory, engine = StudyDirectory(folder), slurm(cluster)
    directory.begin(STUDY, cores=1)
    engine.submit(directory, STUDY.runs()[:1])
    ((_, job),) = engine._jobs
    return engine, job


def test_a_job_that_slurm_ends_is_queued_again_as_it_is(tmp_path: Path):
    engine, job = one_job("debug", tmp_path)
    run = job.submission().function
    assert run.checkpoint().function == run
    engine.close()


@pytest.mark.usefixtures("python_handles_sigint")
def test_a_study_that_is_stopped_leaves_no_job_in_the_queue(tmp_path: Path):
    engine, job = one_job("local", tmp_path)
    engine.stop()
    assert not engine.running() and not engine.poll()
    job.wait()  # it may have begun, and then saves what there is
    assert not StudyDirectory(tmp_path).run(STUDY.runs()[0]).absolute.exists()


def test_a_machine_without_slurm_is_told(tmp_path: Path):
    pytest.importorskip("submitit")
    engine = engines.make("slurm", 1, 1)
    directory = StudyDirectory(tmp_path)
    directory.begin(STUDY, cores=1)
    with pytest.raises(UsageError, match=r"cannot submit to SLURM: .*sbatch"):
        engine.submit(directory, STUDY.runs())
