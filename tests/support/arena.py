"""Small battles for tests: any units anywhere, played loop by loop or step by step."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from macpo.envs.smac_jax.dynamics import NOBODY, Battle, Dynamics, Orders, Rules, beginning
from macpo.envs.smac_jax.maps import BattleMap
from macpo.envs.smac_jax.units import SC2

# Targets that never move and are never in range.
DUMMIES = {
    f"{kind} dummy": replace(SC2[kind], speed=0.0, range=-99.0)
    for kind in ("marine", "marauder", "stalker", "zealot")
}
TARGET = replace(DUMMIES["marine dummy"], health=1e6)
SC2_RULES = Rules()
UNITS = {**SC2, **DUMMIES, "target": TARGET}


class Arena:
    """A battle of `allies` against `enemies` in the middle of an open field."""

    def __init__(
        self,
        allies: Sequence[str],
        enemies: Sequence[str],
        at: Sequence[tuple[float, float]],
        rules: Rules = SC2_RULES,
        **changes: Sequence[float],
    ) -> None:
        size = ((0.0, 32.0), (0.0, 32.0))
        here = BattleMap("arena", tuple(allies), tuple(enemies), 100, size, units=UNITS)
        self.dynamics = Dynamics(here, rules)
        self.n = len(allies)
        here.__dict__["start"] = np.array(at, np.float32)  # instead of the map's own grids
        values = {name: jnp.asarray(x, jnp.float32) for name, x in changes.items()}
        self.battle = beginning(here)._replace(**values)
        self._loop = jax.jit(lambda b, noise: self.dynamics._loop(b, noise))
        self._step = jax.jit(self.dynamics.step)

    def stand(self) -> Orders:
        """No ally does anything."""
        zeros = jnp.zeros(self.n)
        return Orders(jnp.full(self.n, NOBODY), zeros, zeros, zeros > 0)

    def attack(self, *targets: int) -> Orders:
        """Each ally fights, or heals, the unit of that number."""
        return self.stand()._replace(target=jnp.array(targets))

    def go(self, *ways: tuple[float, float]) -> Orders:
        """Each ally walks by (x, y) from its position."""
        way = jnp.array(ways)
        return Orders(
            jnp.full(self.n, NOBODY),
            self.battle.x[: self.n] + way[:, 0],
            self.battle.y[: self.n] + way[:, 1],
            jnp.ones(self.n, bool),
        )

    def order(self, orders: Orders) -> None:
        ordered = self.dynamics._ordered(_last(self.battle), _last(orders))
        self.battle = _first(ordered)

    def loops(self, n: int = 1) -> list[Battle]:
        """The battle after each of n loops, without noise."""
        noise = jnp.zeros((len(self.battle.x), 1))
        battles: list[Battle] = []
        for _ in range(n):
            self.battle = _first(self._loop(_last(self.battle), noise))
            battles.append(self.battle)
        return battles

    def steps(self, n: int, orders: Callable[[], Orders] | Orders, seed: int | None = None) -> None:
        """n env steps with one order; with a seed, shots are delayed at random."""
        for t in range(n):
            noise = jnp.zeros((len(self.battle.x), 1))
            if seed is not None:
                key = jax.random.fold_in(jax.random.key(seed), t)
                noise = jax.random.uniform(key, noise.shape, minval=-1.0, maxval=2.0)
            now = orders() if callable(orders) else orders
            self.battle = _first(self._step(_last(self.battle), _last(now), noise))


def _last(tree: Any) -> Any:
    return jax.tree.map(lambda x: x[..., None], tree)


def _first(tree: Any) -> Any:
    return jax.tree.map(lambda x: x[..., 0], tree)
