"""Speed of StarCraft battles, next to JaxMARL's SMAX."""

import importlib
import time
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array

import macpo
from macpo.bench.environment import at_random, random_play
from macpo.bench.measure import Flags, Result, seconds_of
from macpo.envs.base import Environment
from macpo.envs.smac_jax.maps import MAPS
from macpo.envs.smacv2_jax.tasks import KINDS
from macpo.types import PyTree, Untyped

PARALLEL = (8, 64, 512)


def battles(flags: Flags) -> list[Result]:
    """Random play with masks, observations and state: on the maps and tasks that are named, or on
    all of SMAC's and three of SMACv2's.

    Next to SMAX where it has a map of that name.
    """
    results: list[Result] = []
    names = flags.maps or (*MAPS, *(f"{race}_5v5" for race in KINDS))
    for name, env in [(name, _made(name)) for name in names]:  # a wrong one is refused at once
        start = time.perf_counter()
        jax.jit(lambda key, env=env: random_play(env, key, 8, 8)).lower(jax.random.key(0)).compile()
        seconds = time.perf_counter() - start
        game = f"{env.spec.name} {name}"
        results.append(Result(f"{game}, compiling", seconds, "s"))
        smax = smax_of(name)
        for n in PARALLEL:
            ours, title = _rate(random_play, env, n, flags), f"{game}, {n} parallel"
            if smax is None:
                results.append(Result(title, ours, "env steps/s", note="no SMAX to compare with"))
                continue
            theirs = _rate(_smax_play, smax, n, flags)
            results.append(Result(title, ours, "env steps/s", ours / theirs, "SMAX"))
            results.append(Result(f"SMAX {name}, {n} parallel", theirs, "env steps/s"))
    return results


def _made(name: str) -> Environment:
    """The battles on a map of SMAC's, or of a task of SMACv2's like terran_5v5 or terran_5_vs_5.

    SMAX's tasks with drawn teams have other kinds and other names, and are not compared.
    """
    race, _, units = name.partition("_")
    if race in KINDS:
        return macpo.make_env("smacv2-jax", race=race, units=units.replace("_vs_", "v"))
    return macpo.make_env("smac-jax", map=name)


def _rate(play: Callable[..., PyTree], env: PyTree, n: int, flags: Flags) -> float:
    """Env steps a second."""
    steps = max(flags.size(20_000, 64) // n, flags.size(50, 2))
    run = jax.jit(lambda key: play(env, key, n, steps))
    return n * steps / seconds_of(lambda i: run(jax.random.key(i)), flags.rounds)


def smax_of(name: str) -> Untyped:
    """JaxMARL's environment of that name; None if there is none."""
    try:
        smax = importlib.import_module("jaxmarl.environments.smax")
        scenario = smax.map_name_to_scenario(name)
    except (ImportError, KeyError):
        return None
    return smax.HeuristicEnemySMAX(scenario=scenario)


def _smax_play(env: Untyped, key: Array, n: int, steps: int) -> PyTree:
    """The same as `random_play`; by `step_env`, which spares SMAX its resets."""
    obs, state = jax.vmap(env.reset)(jax.random.split(key, n))

    def step(carry: PyTree, key: Array) -> tuple[PyTree, None]:
        state, _, total = carry
        act_key, env_key = jax.random.split(key)
        available = jax.vmap(env.get_avail_actions)(state)
        available = jnp.stack([available[agent] for agent in env.agents], 1).astype(bool)
        actions = at_random(act_key, available)
        actions = {agent: actions[:, i] for i, agent in enumerate(env.agents)}
        keys = jax.random.split(env_key, n)
        obs, state, reward, _, _ = jax.vmap(env.step_env)(keys, state, actions)
        return (state, obs, total + reward[env.agents[0]]), None

    carry = (state, obs, jnp.zeros(n))
    return jax.lax.scan(step, carry, jax.random.split(key, steps))[0]
