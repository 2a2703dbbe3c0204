"""Speed of battles played by a recurrent policy and recorded, next to JaxMARL's rollouts."""

import importlib
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array

from macpo.algorithms import QMIX
from macpo.bench.battle import PARALLEL, smax_of
from macpo.bench.measure import Flags, Result, seconds_of
from macpo.envs import SMACJax
from macpo.experiment import Experiment
from macpo.nets.action_selection import epsilon_greedy
from macpo.nets.agent import agents_step, initial_hidden, make_agent
from macpo.training.trainer import Trainer, make_trainer
from macpo.types import PyTree, Spec, Untyped

MAPS = ("3s_vs_5z", "5m_vs_6m")
EPSILON = 0.1


def battle_rollouts(flags: Flags) -> list[Result]:
    """Whole battles, recorded as for replay, played by QMIX's untrained network: on the maps that
    are named, or on two.

    Next to SMAX's, on maps that it has, with a network of the same size.
    """
    results: list[Result] = []
    for name in flags.maps or MAPS:
        trainer = make_trainer(Experiment(SMACJax(map=name), QMIX(), "uniform"))
        other = _jaxmarl_manager(name)
        for n in PARALLEL[: flags.size(len(PARALLEL), 1)]:
            ours, steps = _our_rate(trainer, n, flags)
            title = f"rollout of smac-jax {name} with policy, {n} parallel"
            if other is None:
                note = "no JaxMARL to compare with"
                results.append(Result(title, ours, "env steps/s", note=note))
                continue
            run = jax.jit(partial(_jaxmarl_rollout, other(n), n=n, steps=steps))
            theirs = n * steps / seconds_of(lambda i, run=run: run(jax.random.key(i)), flags.rounds)
            results.append(Result(title, ours, "env steps/s", ours / theirs, "JaxMARL"))
            results.append(Result(f"JaxMARL's of SMAX {name}, {n} parallel", theirs, "env steps/s"))
    return results


def _our_rate(trainer: Trainer, n: int, flags: Flags) -> tuple[float, int]:
    """(env steps a second, env steps that the longest battle took)"""
    params = trainer.algorithm.init(jax.random.key(0)).params
    play = jax.jit(lambda key: trainer.play(params, key, n, EPSILON, keep_states=True))
    length = play(jax.random.key(0)).episodes.length
    seconds = seconds_of(lambda _: play(jax.random.key(0)), flags.rounds)
    return int(length.sum()) / seconds, int(length.max())


def _jaxmarl_manager(name: str) -> Callable[[int], Untyped] | None:
    """A function that makes what JaxMARL's learners play SMAX's map of that name with, so many
    battles in parallel; None if there is none."""
    env = smax_of(name)
    if env is None:
        return None
    wrappers = importlib.import_module("jaxmarl.wrappers.baselines")
    return lambda n: wrappers.CTRolloutManager(env, batch_size=n)


def _jaxmarl_rollout(manager: Untyped, key: Array, n: int, steps: int) -> PyTree:
    """Battles one after another, recorded as in JaxMARL's QMIX.

    Its network has the agent's number among its inputs, but not the last action.
    """
    agents, n_actions = manager.agents, int(manager.max_action_space)
    spec = Spec(
        "smax", len(agents), n_actions, int(manager.obs_size), state_size=1, episode_limit=steps
    )
    spec = replace(spec, obs_agent_id=False, obs_last_action=False)  # the manager adds the number
    hidden_size = QMIX().rnn_hidden_dim
    network = make_agent(jax.random.key(0), spec, hidden_size, n_actions)
    no_action = jnp.full((n, len(agents)), -1, jnp.int8)

    def stacked(by_agent: dict[str, Array]) -> Array:
        return jnp.stack([by_agent[agent] for agent in agents], 1)

    def step(carry: PyTree, key: Array) -> tuple[PyTree, PyTree]:
        obs, state, hidden = carry
        act_key, env_key = jax.random.split(key)
        available = stacked(manager.get_valid_actions(state)).astype(bool)
        hidden, q = agents_step(spec, network, stacked(obs), no_action, hidden)
        actions = epsilon_greedy(act_key, q, available, jnp.asarray(EPSILON))
        by_agent = {agent: actions[:, i] for i, agent in enumerate(agents)}
        after, state, reward, done, _ = manager.batch_step(env_key, state, by_agent)
        over = done["__all__"]
        hidden = jnp.where(over[:, None, None], 0.0, hidden)
        return (after, state, hidden), (obs, actions, reward["__all__"], over, available)

    reset_key, key = jax.random.split(key)
    start = *manager.batch_reset(reset_key), initial_hidden(spec, hidden_size, n)
    return jax.lax.scan(step, start, jax.random.split(key, steps))[1]
