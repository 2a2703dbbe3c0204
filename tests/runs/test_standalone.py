"""Policies as Python files: without JAX they act as `macpo.load` does."""

import ast
import importlib.util
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

import macpo
from macpo.algorithms import DOP, MAPPO, QMIX
from macpo.cli import main
from macpo.envs import MatrixGame
from macpo.runs.film import play
from macpo.runs.policy import Policy
from macpo.runs.standalone import Library, write_policy
from tests.runs.conftest import SMALL
from tests.support.unlearned import unlearned

LIBRARIES = ("numpy", "torch")
ALGORITHMS = {
    "qmix": QMIX(rnn_hidden_dim=8, mixing_embed_dim=4, hypernet_embed=8),
    "clamped": QMIX(rnn_hidden_dim=8, utility_clamp=(-0.01, 0.01)),
    "mappo": MAPPO(rnn_hidden_dim=8),
    "dop": DOP(rnn_hidden_dim=8),
}


def exported(policy: Policy, file: Path, library: Library) -> Any:
    """The policy of the module that is written; it is ours, so that it may be imported."""
    if library == "torch":
        pytest.importorskip("torch", reason="needs PyTorch: make foreign")
    write_policy(policy, file, library)
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Policy()


FAST = ("qmix", "mappo")


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(name, marks=[] if name in FAST else [pytest.mark.slow]) for name in ALGORITHMS
    ],
)
def policy(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Policy:
    """A policy of each family."""
    algorithm = ALGORITHMS[request.param]
    sizes = {"batch_size": 2, "buffer_size": 2} if algorithm.about.on_policy else {}
    run = replace(SMALL.run, **sizes)
    experiment = replace(SMALL, algorithm=algorithm, weighting="uniform", run=run)
    return unlearned(experiment, tmp_path_factory.mktemp(request.param))


@pytest.mark.parametrize("library", LIBRARIES)
def test_all_actions_of_an_episode_are_the_same(policy: Policy, library: Library, tmp_path: Path):
    other, episode = exported(policy, tmp_path / "other.py", library), play(policy, seed=3)
    observe = jax.jit(policy.trainer.env.observe)
    for state, actions in zip(episode.states, episode.actions, strict=False):
        observation = observe(state)
        found = other.act(observation.obs, observation.avail_actions)
        np.testing.assert_array_equal(found, actions)


@pytest.mark.parametrize("library", LIBRARIES)
def test_agents_know_their_index_where_it_is_an_input(library: Library, tmp_path: Path):
    experiment = macpo.Experiment(env=MatrixGame(), algorithm=QMIX(rnn_hidden_dim=8))
    policy = unlearned(experiment, tmp_path / "run")
    spec = policy.trainer.env.spec
    assert spec.obs_agent_id
    other = exported(policy, tmp_path / "other.py", library)
    rng = np.random.default_rng(0)
    for _ in range(20):
        obs = rng.normal(size=(4, spec.n_agents, spec.obs_size)).astype(np.float32)
        avail = rng.random((4, spec.n_agents, spec.n_actions)) < 0.5
        avail[..., 0] |= ~avail.any(-1)
        np.testing.assert_array_equal(other.act(obs, avail), policy.act(obs, avail))


def test_the_module_of_numpy_imports_nothing_else(whole: Path, tmp_path: Path):
    with pytest.raises(SystemExit) as stop:
        main(["export", str(whole), "--to", "numpy", "--out", str(tmp_path / "hunters.py")])
    assert stop.value.code == 0
    code = "import sys, hunters; assert not {'jax', 'macpo', 'torch'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)


def test_the_same_policy_is_written_in_the_same_bytes(whole: Path, tmp_path: Path):
    for name in ("a.py", "b.py"):
        write_policy(macpo.load(whole), tmp_path / name, "numpy")
    assert (tmp_path / "a.py").read_bytes() == (tmp_path / "b.py").read_bytes()


def test_no_name_in_an_experiment_becomes_code(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    policy = macpo.load(whole)
    monkeypatch.setattr(macpo.Experiment, "title", 'game"""\nimport os\n"""\\')
    write_policy(policy, tmp_path / "other.py", "numpy")
    module = ast.parse((tmp_path / "other.py").read_text())
    imported = [node.names[0].name for node in module.body if isinstance(node, ast.Import)]
    assert imported == ["base64", "numpy"]


def test_the_layers_for_pytorch_have_the_names_of_pymarls_agent(whole: Path, tmp_path: Path):
    policy = exported(macpo.load(whole), tmp_path / "other.py", "torch")
    shapes = {name: tuple(x.shape) for name, x in policy.state_dict().items()}
    assert shapes == {
        "fc1.weight": (8, 81),
        "fc1.bias": (8,),
        "rnn.weight_ih": (24, 8),
        "rnn.weight_hh": (24, 8),
        "rnn.bias_ih": (24,),
        "rnn.bias_hh": (24,),
        "fc2.weight": (6, 8),
        "fc2.bias": (6,),
    }


def test_an_algorithm_that_acts_in_its_own_way_is_refused(whole: Path, tmp_path: Path):
    policy = macpo.load(whole)

    class Contrary(type(policy.trainer.algorithm)):
        def act(self, *arguments: Any) -> Any:
            hidden, actions = super().act(*arguments)
            return hidden, jax.numpy.zeros_like(actions)

    algorithm: Any = policy.trainer.algorithm
    own = Contrary(algorithm.env, algorithm.config, algorithm.weighting, algorithm.make_mixer)
    policy.trainer = replace(policy.trainer, algorithm=own)
    with pytest.raises(macpo.UsageError, match="acts in a way of its own"):
        write_policy(policy, tmp_path / "other.py", "numpy")


def test_the_command_writes_either_results_or_a_policy(
    whole: Path, capsys: pytest.CaptureFixture[str]
):
    both = ["--marl-eval", "results.json", "--to", "numpy"]
    for flags in ([], both):
        with pytest.raises(SystemExit) as stop:
            main(["export", str(whole), *flags])
        assert stop.value.code == 2
        assert "either results (--marl-eval FILE) or a run's policy" in capsys.readouterr().err
