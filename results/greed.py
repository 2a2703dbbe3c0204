"""What greedy play costs a policy: returns of its likeliest actions, of these mixed with random
ones, and of actions sampled from it; then how often each action was taken greedily.

python results/greed.py results/greed.csv runs/results/punishment0_vdac …
"""

import csv
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import macpo
from macpo.nets.action_selection import epsilon_greedy
from macpo.training.rollout import collect

EPISODES = 128
RANDOM = (0.0, 0.02, 0.05, 0.1)


def play(policy: macpo.Policy, random: float, drawn: bool = False) -> Any:
    """Episodes of the first seed."""
    algorithm, env = policy.trainer.algorithm, policy.trainer.env

    def act(key: jax.Array, hidden: Any, observation: Any, last: Any) -> tuple[Any, jax.Array]:
        k_act, k_random = jax.random.split(key)
        epsilon = 0.0 if drawn else None
        hidden, actions = algorithm.act(policy.params, k_act, hidden, observation, last, epsilon)
        chosen = jax.nn.one_hot(actions, env.spec.n_actions)
        available = observation.avail_actions
        return hidden, epsilon_greedy(k_random, chosen, available, jnp.asarray(random))

    hidden = algorithm.initial_hidden(EPISODES)
    run = jax.jit(lambda key: collect(env, act, hidden, key, EPISODES, False))
    return jax.device_get(run(jax.random.key(0)).episodes)


def main(file: Path, runs: list[Path]) -> None:
    with file.open("w", newline="") as handle:
        writer = csv.writer(handle)
        actions = [f"greedy_action_{a}" for a in range(6)]
        writer.writerow(["run", *(f"random_{r}" for r in RANDOM), "drawn", *actions])
        for run in runs:
            policy = macpo.load(run)
            by_share = [play(policy, random) for random in RANDOM]
            returns = [e.reward.sum(-1).mean() for e in (*by_share, play(policy, 0.0, drawn=True))]
            greedy = by_share[0]
            taken = greedy.actions[np.arange(greedy.actions.shape[1]) < greedy.length[:, None]]
            shares = np.bincount(taken.ravel(), minlength=6) / taken.size
            row = [run.name, *(f"{x:.2f}" for x in returns), *(f"{x:.4f}" for x in shares)]
            writer.writerow(row)
            print(", ".join(row))


main(Path(sys.argv[1]), [Path(run) for run in sys.argv[2:]])
