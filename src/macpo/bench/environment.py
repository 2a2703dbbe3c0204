"""Speed of the environment alone, and of rollouts with a policy."""

import statistics
import time

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int

import macpo
from macpo.bench.measure import Flags, Result, repository_module, seconds_of
from macpo.envs.base import Environment
from macpo.experiment import Experiment
from macpo.training.rollout import collect
from macpo.training.trainer import make_trainer
from macpo.types import PyTree, action_dtype

PARALLEL = (8, 64, 512, 4096)
"""How many environments are played at once."""


def environment(flags: Flags) -> list[Result]:
    """Random play with observations, state and availability."""
    env = macpo.make_env("predator-prey", punishment=-2.0)
    reference = _reference_steps_per_second(0.1 if flags.trial else 1.0)
    results: list[Result] = []
    for n in PARALLEL:
        steps = max(flags.size(40_000, 40) // n, flags.size(100, 1))
        run = jax.jit(lambda key, n=n, steps=steps: random_play(env, key, n, steps))
        seconds = seconds_of(lambda i, run=run: run(jax.random.key(i)), flags.rounds)
        rate = n * steps / seconds
        results.append(_against(f"environment, {n} parallel", rate, reference))
    if reference is not None:
        results.append(Result("NumPy reference environment", reference, "env steps/s"))
    return results


def random_play(env: Environment, key: jax.Array, n: int, steps: int) -> PyTree:
    """`steps` steps of n environments with random available actions, computing all outputs."""
    state, first = jax.vmap(env.reset)(jax.random.split(key, n))

    def step(carry: PyTree, key: jax.Array) -> tuple[PyTree, None]:
        state, timestep, total = carry
        act_key, env_key = jax.random.split(key)
        actions = at_random(act_key, timestep.observation.avail_actions)
        state, after = jax.vmap(env.step)(jax.random.split(env_key, n), state, actions)
        return (state, after, total + after.reward), None

    carry = (state, first, jnp.zeros(n))
    return jax.lax.scan(step, carry, jax.random.split(key, steps))[0]


def at_random(key: jax.Array, available: Bool[Array, "B N A"]) -> Int[Array, "B N"]:
    """Uniformly random available actions: those with the largest of a few random bits."""
    bits = jax.random.bits(key, available.shape, jnp.uint8) | jnp.uint8(1)
    bits = jnp.where(available, bits, 0)
    best = bits == bits.max(-1, keepdims=True)
    n_actions = available.shape[-1]
    return jnp.where(best, jnp.arange(n_actions, dtype=action_dtype(n_actions)), n_actions - 1).min(
        -1
    )


def _reference_steps_per_second(seconds: float = 1.0) -> float | None:
    module = repository_module("tests/support/predator_prey_numpy.py")
    if module is None:
        return None
    env, rng = module.PredatorPreyNumpy(punishment=-2.0), np.random.default_rng(0)
    rates: list[float] = []
    for _ in range(3):
        env.reset(rng)
        steps, start, over = 0, time.perf_counter(), False
        avail = env.get_avail_actions()
        while time.perf_counter() - start < seconds:
            if over:
                env.reset(rng)
            actions = np.where(avail, rng.random(avail.shape), -1.0).argmax(-1)
            _, terminated, truncated = env.step(actions, env.draw_choices(rng))
            over = terminated or truncated
            _, _, avail = env.get_obs(), env.get_state(), env.get_avail_actions()
            steps += 1
        rates.append(steps / (time.perf_counter() - start))
    return statistics.median(rates)


def rollout(flags: Flags) -> list[Result]:
    """Whole episodes with the recurrent policy."""
    trainer = make_trainer(Experiment())
    params = trainer.algorithm.init(jax.random.key(0)).params
    reference = _reference_steps_per_second(0.1 if flags.trial else 1.0)
    results: list[Result] = []
    for n in PARALLEL[:: flags.size(2, len(PARALLEL))]:
        play = jax.jit(
            lambda key, n=n: collect(
                trainer.env,
                lambda k, h, obs, last: trainer.algorithm.act(params, k, h, obs, last, 0.1),
                trainer.algorithm.initial_hidden(n),
                key,
                n,
            )
        )
        played = int(play(jax.random.key(0)).episodes.length.sum())
        seconds = seconds_of(lambda i, play=play: play(jax.random.key(0)), flags.rounds)
        results.append(_against(f"rollout with policy, {n} parallel", played / seconds, reference))
    return results


def _against(name: str, rate: float, reference: float | None) -> Result:
    if reference is None:
        return Result(name, rate, "env steps/s", note="no repository here: no NumPy reference")
    return Result(name, rate, "env steps/s", rate / reference, "NumPy reference environment")
