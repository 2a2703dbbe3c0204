"""Our Linear and GRUCell against Equinox's under `vmap`: a recurrent pass, forward and backward.

    taskset -c 0 .venv/bin/python benchmarks/own_layers.py

`macpo.nets.linear` and `macpo.nets.agent` say why they have layers of their own; it is not speed.
"""

import statistics
import time

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from macpo.nets.agent import AgentNet
from macpo.types import PyTree

ROWS, INPUTS, HIDDEN, ACTIONS, STEPS, REPEATS = 128, 160, 64, 6, 100, 30


class EquinoxAgent(eqx.Module):
    """The agents' network from Equinox's layers, one row at a time."""

    embed: eqx.nn.Linear
    cell: eqx.nn.GRUCell
    head: eqx.nn.Linear

    def __init__(self, key: PRNGKeyArray) -> None:
        k1, k2, k3 = jax.random.split(key, 3)
        self.embed = eqx.nn.Linear(INPUTS, HIDDEN, key=k1)
        self.cell = eqx.nn.GRUCell(HIDDEN, HIDDEN, key=k2)
        self.head = eqx.nn.Linear(HIDDEN, ACTIONS, key=k3)

    def __call__(self, x: Float[Array, "R i"], h: Float[Array, "R h"]) -> tuple[Array, Array]:
        def one(x: Array, h: Array) -> tuple[Array, Array]:
            h = self.cell(jax.nn.relu(self.embed(x)), h)
            return h, self.head(h)

        return jax.vmap(one)(x, h)


def milliseconds(net: PyTree) -> float:
    """The median time of a gradient through all steps."""
    xs = jax.random.normal(jax.random.key(1), (STEPS, ROWS, INPUTS))

    def loss(net: PyTree) -> Float[Array, ""]:
        _, outputs = jax.lax.scan(lambda h, x: net(x, h), jnp.zeros((ROWS, HIDDEN)), xs)
        return jnp.square(outputs).mean()

    gradient = jax.jit(jax.grad(loss))
    jax.block_until_ready(gradient(net))
    times: list[float] = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        jax.block_until_ready(gradient(net))
        times.append(time.perf_counter() - start)
    return 1e3 * statistics.median(times)


if __name__ == "__main__":
    key = jax.random.key(0)
    ours, theirs = AgentNet(key, INPUTS, HIDDEN, ACTIONS), EquinoxAgent(key)
    for _ in range(3):
        print(f"ours {milliseconds(ours):.1f} ms, Equinox {milliseconds(theirs):.1f} ms")
