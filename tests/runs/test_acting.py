"""How policies act, told to readers without macpo."""

from dataclasses import replace
from pathlib import Path

import pytest

import macpo
from macpo.runs import arrays
from macpo.runs.acting import acting_of
from macpo.training.trainer import make_trainer
from tests.runs.conftest import SMALL


def test_weights_say_how_they_act(whole: Path):
    info = arrays.read(whole / "model.safetensors").info
    assert info["seeds"] == [0]
    assert info["experiment"]["env"]["name"] == "predator-prey"
    acting = info["acting"]
    axes = acting.pop("axes")
    assert acting == {
        "network": "value.agent",
        "outputs": "utilities",
        "n_agents": 2,
        "n_actions": 6,
        "obs_size": 75,
        "obs_last_action": True,
        "obs_agent_id": False,
        "hidden_size": 8,
        "utility_clamp": None,
        "gates": ["reset", "update", "candidate"],
    }
    assert axes["value.agent.cell.weight_x"] == ["seed", "hidden", "gates"]


def test_every_array_of_the_network_has_its_axes_named(whole: Path):
    stored = arrays.read(whole / "model.safetensors")
    axes = stored.info["acting"]["axes"]
    of_agent = {name for name in stored.arrays if name.startswith("value.agent.")}
    assert set(axes) == of_agent
    sizes = {"seed": 1, "input": 81, "hidden": 8, "gates": 24, "output": 6}
    for name, named in axes.items():
        assert stored.arrays[name].shape == tuple(sizes[axis] for axis in named)


def test_the_best_parameters_are_in_the_same_layout(whole: Path):
    best, last = (arrays.read(whole / f"{name}.safetensors") for name in ("best", "model"))
    assert set(best.arrays) == set(last.arrays)
    (env_steps,) = best.info["env_steps"]
    assert 0 < env_steps <= 3010
    assert {**best.info, "env_steps": None} == {**last.info, "env_steps": None}


def test_weights_of_before_they_said_so_are_read(whole: Path, tmp_path: Path):
    stored = arrays.read(whole / "model.safetensors")
    (tmp_path / "experiment.json").write_bytes((whole / "experiment.json").read_bytes())
    before = {"experiment": stored.info["experiment"]}
    arrays.write(tmp_path / "model.safetensors", dict(stored.arrays), before)
    assert macpo.load(tmp_path).seed == 0


@pytest.mark.parametrize("name", ["mappo", "fop"])
def test_policies_are_the_actors(name: str):
    acting = acting_of(make_trainer(macpo.Experiment(env="two-step", algorithm=name)).algorithm)
    assert acting is not None
    assert (acting.network, acting.outputs) == ("actor", "logits of the policy")


def test_clamped_utilities_say_so():
    clamped = replace(SMALL, algorithm=macpo.algorithms.QMIX(utility_clamp=(-5, 2)))
    acting = acting_of(make_trainer(clamped).algorithm)
    assert acting is not None and acting.utility_clamp == (-5, 2)
