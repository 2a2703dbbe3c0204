"""One-step games of two agents: under which weights does a monotonic mixture find the best action?

    python examples/one_step_games.py

Every joint action is in every batch, as often as random play brings it up: no luck of the draw, no
exploration, no bootstrapping. What is left is the weights' own part. A number says from how many of
32 initialisations the greedy joint action is the best one in the end.
"""

from functools import partial

import jax
import jax.numpy as jnp
import optax

from macpo import weighting

THIRDS = (1 / 3, 1 / 3, 1 / 3)
CATCH = ((10, -2), (-2, 0))  # both catch, or a lone catcher is punished
GAMES = {  # payoffs [A, A], and how often random play takes each action
    "penalty of QTRAN": (((8, -12, -12), (-12, 0, 0), (-12, 0, 0)), THIRDS),
    "climbing": (((11, -30, 0), (-30, 7, 6), (0, 0, 5)), THIRDS),
    "penalty −100": (((10, 0, -100), (0, 2, 0), (-100, 0, 10)), THIRDS),
    "catch, p = 1/6": (CATCH, (1 / 6, 5 / 6)),
    "catch, p = 0.05": (CATCH, (0.05, 0.95)),
    "catch, p = 0.0167": (CATCH, (0.0167, 0.9833)),
    "catch, p = 0.0083": (CATCH, (0.0083, 0.9917)),
}
WEIGHTINGS = {
    "`uniform`": weighting.make("uniform"),
    "`macpo`": weighting.make("macpo", normalise="none"),
    "`macpo`, τ = 10": weighting.make("macpo", normalise="none", value_temperature=10.0),
    "`per`": weighting.make("per", normalise="none"),
    "`cwqmix`": weighting.make("cwqmix"),
    "`macpo-regret`": weighting.make("macpo-regret", normalise="none"),
}
WIDTH, RATE, STEPS, SEEDS = 16, 5e-3, 1500, 32


def joint_value(net, first, second):
    """QMIX's mixture of two utilities in its only state: non-decreasing in both."""
    mixed = jnp.abs(net["w"][0]) * first[:, None] + jnp.abs(net["w"][1]) * second[:, None]
    return jax.nn.elu(mixed + net["b"]) @ jnp.abs(net["out"]) + net["v"]


def initial(key, n_actions):
    """Utilities and the mixing network."""
    shapes = {"q": (2, n_actions), "w": (2, WIDTH), "b": (WIDTH,), "out": (WIDTH,), "v": ()}
    scales = {"q": 0.125, "w": 0.5, "b": 0.5, "out": 0.5, "v": 0.18}
    keys = jax.random.split(key, len(shapes))
    return {
        name: scales[name] * jax.random.uniform(k, shape, minval=-1.0)
        for k, (name, shape) in zip(keys, shapes.items(), strict=True)
    }


@partial(jax.jit, static_argnames=("weigh", "steps"))
def learned(key, payoff, plays, weigh, steps=STEPS):
    """The payoff of the greedy joint action after learning from random play."""
    n = len(plays)
    first, second = (x.ravel() for x in jnp.indices((n, n)))  # all joint actions
    y, mu = payoff.ravel(), plays[first] * plays[second]
    net, optimiser = initial(key, n), optax.adam(RATE)

    def loss(net, q_star):
        q = joint_value(net, net["q"][0, first], net["q"][1, second])
        pi = jax.nn.softmax(net["q"])
        greedy = net["q"].argmax(-1)
        signals = {
            "q": q,
            "target": y,
            "q_star": q_star,
            "is_greedy": (first == greedy[0]) & (second == greedy[1]),
            "q_star_greedy": jnp.full_like(y, q_star[greedy[0] * n + greedy[1]]),
            "pi_taken": jnp.stack([pi[0, first], pi[1, second]], -1),
            "mask": jnp.ones_like(y),
        }
        w = mu * weigh(**{name: x[None] for name, x in signals.items()})[0]
        return (w * (q - y) ** 2).sum() / (w.sum() + 1e-30)

    def step(state, _):
        net, moments, q_star = state
        update, moments = optimiser.update(jax.grad(loss)(net, q_star), moments)
        q_star += 0.02 * (1 - (1 - mu) ** 32) * (y - q_star)  # Q* sees batches of 32
        return (optax.apply_updates(net, update), moments, q_star), None

    start = (net, optimiser.init(net), jnp.zeros_like(y))
    net = jax.lax.scan(step, start, length=steps)[0][0]
    greedy = net["q"].argmax(-1)
    return payoff[greedy[0], greedy[1]]


def n_solved(game, weigh):
    """From how many initialisations the best joint action is found."""
    payoff, plays = (jnp.asarray(x, jnp.float32) for x in GAMES[game])
    keys = jax.random.split(jax.random.key(0), SEEDS)
    payoffs = jax.vmap(lambda key: learned(key, payoff, plays, weigh))(keys)
    return int((payoffs == payoff.max()).sum())


if __name__ == "__main__":
    print(f"| | {' | '.join(WEIGHTINGS)} |")
    print("|---" * (len(WEIGHTINGS) + 1) + "|")
    for game in GAMES:
        solved = [str(n_solved(game, weigh)) for weigh in WEIGHTINGS.values()]
        print(f"| {game} | {' | '.join(solved)} |", flush=True)
