"""JaxMARL 0.2.0 itself: SMAX and MPE keep our promises and are trained on."""

import functools
import re
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import macpo
from macpo import registry
from macpo.envs.smac_jax.maps import MAPS
from macpo.interop import check
from macpo.interop.random_play import random_actions
from macpo.interop.to_host import OnHost
from tests.support.later import needed
from tests.support.paths import ROOT

needed("jaxmarl", "needs another project: pip install jaxmarl==0.2.0")

SPREAD: dict[str, Any] = {"options": {"env_id": "MPE_simple_spread_v3", "max_steps": 3}}
RNG = np.random.default_rng(0)
SMAX: dict[str, Any] = {
    "options": {"env_id": "HeuristicEnemySMAX", "max_steps": 3},
    "team_reward": "mean",
}


@functools.cache
def made(env_id: str) -> Any:
    settings = SPREAD if "spread" in env_id else SMAX
    return registry.make_config("envs", "jaxmarl:make", **settings).make()


@functools.cache
def smax() -> Any:
    import jaxmarl

    return jaxmarl.make("HeuristicEnemySMAX")


@pytest.mark.slow
@pytest.mark.parametrize("env_id", ["MPE_simple_spread_v3", "HeuristicEnemySMAX"])
def test_it_keeps_every_promise_of_an_environment(env_id: str) -> None:
    results = list(check.examine(made(env_id), episodes=1))
    assert [result for result in results if result.findings] == []
    assert len(results) > 10


@pytest.mark.parametrize("env_id", ["MPE_simple_spread_v3", "HeuristicEnemySMAX"])
def test_time_is_over_after_max_steps_and_not_one_step_later(env_id: str) -> None:
    player = OnHost(made(env_id))
    timesteps = [player.reset(0)]
    for _ in range(3):
        available = timesteps[-1].observation.avail_actions
        timesteps.append(player.step(random_actions(player.spec, RNG, available)))
    assert [bool(timestep.truncated) for timestep in timesteps] == [False, False, False, True]
    assert not timesteps[-1].terminated


def test_smax_shows_its_own_state_and_masks() -> None:
    theirs, ours = smax(), made("HeuristicEnemySMAX")
    key = jax.random.key(3)
    obs, inner = jax.jit(theirs.reset)(key)
    _, timestep = jax.jit(ours.reset)(key)
    np.testing.assert_array_equal(timestep.observation.state, obs["world_state"])
    masks = theirs.get_avail_actions(inner)
    for i, agent in enumerate(theirs.agents):
        np.testing.assert_array_equal(timestep.observation.obs[i], obs[agent])
        np.testing.assert_array_equal(
            timestep.observation.avail_actions[i], masks[agent].astype(bool)
        )


def test_a_step_is_theirs_with_the_mean_of_the_rewards() -> None:
    theirs, ours = smax(), made("HeuristicEnemySMAX")
    key, actions = jax.random.key(5), jnp.zeros(5, jnp.int32)
    _, inner = jax.jit(theirs.reset)(key)
    state, _ = jax.jit(ours.reset)(key)
    chosen = dict(zip(theirs.agents, actions, strict=True))
    obs, _, rewards, _, _ = jax.jit(theirs.step_env)(key, inner, chosen)
    _, timestep = jax.jit(ours.step)(key, state, actions)
    np.testing.assert_allclose(timestep.observation.state, obs["world_state"], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(timestep.reward, np.mean(list(rewards.values())), rtol=1e-5)


@pytest.mark.slow
def test_a_short_training_runs(tmp_path: Path) -> None:
    run = macpo.Run(steps=50, batch_size=2, batch_size_run=2, buffer_size=8, test_nepisode=2)
    env = registry.make_config("envs", "jaxmarl:make", **SPREAD)
    algorithm = registry.make_config("algorithms", "vdn", rnn_hidden_dim=8)
    experiment = macpo.Experiment(env=env, algorithm=algorithm, run=run)
    assert macpo.train(experiment, tmp_path / "run").finished
    assert macpo.load(tmp_path / "run", trust=True).experiment == experiment


def test_the_page_on_smax_has_its_sizes_and_its_figures() -> None:
    from jaxmarl.environments.smax.heuristic_enemy_smax_env import HeuristicEnemySMAX
    from jaxmarl.environments.smax.smax_env import MAP_NAME_TO_SCENARIO

    page = (ROOT / "docs" / "smax.md").read_text()
    rows = dict(
        re.findall(r"^\| (\w+) \| (\d+, \d+, \d+, \d+ \| \d+, \d+, \d+, \d+) \|$", page, re.M)
    )
    for name, scenario in MAP_NAME_TO_SCENARIO.items():
        if name.startswith("smacv2"):
            continue
        env, here = HeuristicEnemySMAX(scenario=scenario), MAPS[name]
        smax_sizes = env.action_space(env.agents[0]).n, *sizes(env), env.max_steps
        own = here.n_actions, here.obs_size, here.state_size, here.episode_limit
        assert rows.pop(name) == " | ".join(", ".join(map(str, x)) for x in (smax_sizes, own))
    assert not rows
    env = smax()
    kinds = [env.unit_type_names.index(kind) for kind in ("marine", "stalker", "zealot")]
    for column in (
        env.unit_type_health,
        env.unit_type_weapon_cooldowns,
        env.unit_type_velocities,
    ):
        assert re.search(rf"\| {', '.join(f'{column[k]:g}' for k in kinds)}[ ;]", page)


def sizes(env: Any) -> tuple[int, int]:
    """Of an observation and of the state."""
    obs, _ = jax.eval_shape(env.reset, jax.random.key(0))
    return obs[env.agents[0]].shape[0], obs["world_state"].shape[0]
