"""Reconstruct the shots, explosions and healing of a battle from its states, to be drawn.

A state has every unit's position and target. The eight game loops between two states are inferred:
positions and bars are interpolated, a weapon has fired if its cooldown rose, and a Medivac has
healed if it lost energy. The time of a shot within its step is accurate to a loop or two; for an
enemy that changed its target in that step, the wrong one of its two targets may be chosen.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple, TypeAlias

import jax
import numpy as np
from jaxtyping import Bool, Float, Int

from macpo.envs.smac_jax.dynamics import JITTER, NOBODY, Battle
from macpo.envs.smac_jax.environment import SMACJaxEnv, State, units_of
from macpo.envs.smac_jax.features import (
    NO_OP,
    STOP,
    Outcome,
    Units,
    available_actions,
    outcome,
)
from macpo.envs.smac_jax.maps import N_ACTIONS_NO_ATTACK, BattleMap
from macpo.envs.smac_jax.units import ENERGY_MAX, ENERGY_REGENERATION, LOOPS_PER_STEP, UnitType
from macpo.types import AnyArray, PyTree, Spec

Point: TypeAlias = tuple[float, float]
"""(x, y) in cells of the map, y upwards."""
Ending: TypeAlias = Literal["VICTORY", "DEFEAT", "DRAW", "TIME OUT"]
ACTIONS = ("no-op", "stop", "north", "south", "east", "west")
"""Those without a target."""


class Shot(NamedTuple):
    """A weapon's blow or a Medivac's healing; times are loops since the episode's first state."""

    by: int
    at: int
    start: float
    end: float
    """When it strikes, or when healing stops."""


class Burst(NamedTuple):
    """The explosion of a unit; times as those of a `Shot`."""

    by: int
    start: float
    """When it attacks; if it is killed, the middle of the env step."""
    end: float
    """The end of the env step in which it dies."""


class Cones(NamedTuple):
    """Fields of view that are cones."""

    angles: Float[np.ndarray, "T1 N"]
    """Where each agent looks, in degrees: 0 is east, 90 north."""
    width: float
    """Of each cone, in degrees."""
    sight: Float[np.ndarray, " N"]
    """How far each agent sees, in cells."""


@dataclass(frozen=True)
class BattleEpisode:
    """A battle of T env steps as arrays over time."""

    map: BattleMap
    battle: Battle
    """NumPy arrays, [T+1, U] each."""
    actions: Int[np.ndarray, "T N"]
    """As SMAC numbers them."""
    ordered: Int[np.ndarray, "T N"]
    """The unit each agent chose to attack or heal, or `NOBODY`."""
    enemy_order: Int[np.ndarray, " e"]
    """The enemy behind each number that the agents use."""
    captions: Sequence[str]
    ending: Ending | None
    """None if the last state does not end the episode."""
    available: Callable[[int], Bool[np.ndarray, "N A"]]
    """Which actions each agent may take in the state of that number."""
    turned: Int[np.ndarray, "T N"] | None = None
    """The angle, in degrees, to which an agent turns its view instead of an action, or −1; None
    where agents see all around."""
    cones: Cones | None = None
    """None where agents see all around."""

    @property
    def n(self) -> int:
        """Number of agents, which are the first units."""
        return self.map.n_agents

    @cached_property
    def names(self) -> tuple[str, ...]:
        """[U] the numbers of agents, and those of enemies in the agents' actions."""
        return tuple(str(int(i)) for i in (*range(self.n), *np.argsort(self.enemy_order)))

    @cached_property
    def kinds(self) -> tuple[str, ...]:
        """The name of each unit's kind."""
        return (*self.map.allies, *self.map.enemies)

    @cached_property
    def fell(self) -> Float[np.ndarray, " U"]:
        """Loop by which each unit has died; infinity for survivors."""
        dead = self.battle.health <= 0
        return np.where(dead.any(0), dead.argmax(0) * float(LOOPS_PER_STEP), math.inf)

    @cached_property
    def shots(self) -> list[Shot]:
        """All shots and blows."""
        return [shot for step in range(len(self.actions)) for shot in self._shots(step)]

    @cached_property
    def bursts(self) -> list[Burst]:
        """All explosions, step by step."""
        return [burst for step in range(len(self.actions)) for burst in self._bursts(step)]

    @cached_property
    def heals(self) -> list[Shot]:
        """All healing, step by step."""
        energy = self.battle.energy
        idle = np.minimum(energy[:-1] + ENERGY_REGENERATION * LOOPS_PER_STEP, ENERGY_MAX)
        gave = np.argwhere(energy[1:] < idle - 1e-3)
        return [
            Shot(int(i), at, step * LOOPS_PER_STEP, (step + 1) * LOOPS_PER_STEP)
            for step, i in gave
            if self.map.kinds[i].heals and (at := self._aim(step, i, LOOPS_PER_STEP)) != NOBODY
        ]

    def at(self, values: Float[AnyArray, "T1 U *k"], loop: float) -> Float[np.ndarray, "U *k"]:
        """Values interpolated between two states."""
        step = min(int(loop) // LOOPS_PER_STEP, len(values) - 1)
        share = loop / LOOPS_PER_STEP - step
        return values[step] + share * (values[min(step + 1, len(values) - 1)] - values[step])

    def place(self, unit: int, loop: float) -> Point:
        """The position of a unit, or where it died."""
        return (
            float(self.at(self.battle.x, loop)[unit]),
            float(self.at(self.battle.y, loop)[unit]),
        )

    def doing(self, agent: int, step: int) -> str:
        """What an agent does in an env step, in words; nothing after the last one."""
        if self.battle.health[step, agent] <= 0:
            return "dead"
        if step == len(self.actions):
            return ""
        if self.turned is not None and self.turned[step, agent] >= 0:
            return f"turns its view to {self.turned[step, agent]}°"
        action = int(self.actions[step, agent])
        if action >= len(ACTIONS):
            heals = self.map.kinds[agent].heals
            return f"{'heals ally' if heals else 'attacks enemy'} {action - len(ACTIONS)}"
        return {NO_OP: "does nothing", STOP: "stops"}.get(action, f"moves {ACTIONS[action]}")

    def _aim(self, step: int, i: int, loop: float) -> int:
        """The target of a unit at a loop of a step: the one before the step or the one after.

        Agents change targets when the step begins; for enemies, the nearer one in time is taken.
        """
        old = self.ordered[step, i] if i < self.n else self.battle.target[step, i]
        both = int(old), int(self.battle.target[step + 1, i])
        first, second = both if loop < LOOPS_PER_STEP / 2 else both[::-1]
        return second if first == NOBODY else first

    def _fired(self, step: int) -> Bool[np.ndarray, " U"]:
        """Whose weapon has gone off."""
        b = self.battle
        cooldown, windup = b.cooldown[step : step + 2], b.windup[step : step + 2]
        # above that of a weapon that only cools down; an interrupted one has cooled down
        cooled = np.where(windup[0] >= 0, 0.0, np.maximum(cooldown[0] - LOOPS_PER_STEP, 0.0) + 1)
        return np.asarray((windup[1] < 0) & (cooldown[1] > cooled) & (b.health[step] > 0))

    def _went_off(self, step: int, i: int) -> float:
        """The loop of a step in which the weapon of a unit that has fired went off."""
        kind, windup = self.map.kinds[i], self.battle.windup[step, i]
        ago = kind.period + sum(JITTER) / 2 - self.battle.cooldown[step + 1, i]
        start = windup if windup >= 0 else LOOPS_PER_STEP - ago + kind.damage_point
        return float(np.clip(start, 0.0, LOOPS_PER_STEP))

    def _bursts(self, step: int) -> list[Burst]:
        fired, first = self._fired(step), step * LOOPS_PER_STEP
        dies = (self.battle.health[step] > 0) & (self.battle.health[step + 1] <= 0)
        return [
            Burst(
                i,
                first + (self._went_off(step, i) if fired[i] else LOOPS_PER_STEP / 2),
                first + LOOPS_PER_STEP,
            )
            for i in map(int, np.flatnonzero(dies))
            if self.map.kinds[i].blast and (self.map.kinds[i].explodes_when_killed or fired[i])
        ]

    def _shots(self, step: int) -> list[Shot]:
        b = self.battle
        shots: list[Shot] = []
        for i in map(int, np.flatnonzero(self._fired(step))):
            kind, sent = self.map.kinds[i], int(b.hit_target[step + 1, i])
            start = self._went_off(step, i)
            at = sent if sent != NOBODY else self._aim(step, i, start)
            if kind.heals or kind.blast or at == NOBODY:
                continue
            under_way = sent != NOBODY and kind.sends
            flight = self._flight(kind, i, at, step)
            end = LOOPS_PER_STEP + float(b.hit_in[step + 1, i]) if under_way else start + flight
            start = min(max(end - flight, 0.0), LOOPS_PER_STEP) if under_way else start
            first = step * LOOPS_PER_STEP
            shots.append(Shot(i, at, first + start, first + end))
            if kind.hit_gap and b.health[step + 1, i] > 0:
                again = first + start + kind.hit_gap
                shots.append(Shot(i, at, again, again))
        return shots

    def _flight(self, kind: UnitType, by: int, at: int, step: int) -> float:
        """Loops from a shot to its impact."""
        if kind.missile_speed is None:
            return kind.delay
        x, y = self.battle.x[step], self.battle.y[step]
        gap = math.hypot(x[by] - x[at], y[by] - y[at]) - kind.radius - self.map.kinds[at].radius
        return max(gap, 0.0) / kind.missile_speed


def battle_episode(
    env: SMACJaxEnv,
    states: Sequence[State],
    actions: Int[np.ndarray, "T N"],
    captions: Sequence[str],
) -> BattleEpisode:
    """The battle to be drawn, from its T+1 states and T actions."""
    stacked: PyTree = jax.tree.map(lambda *x: np.stack([np.asarray(v) for v in x]), *states)
    n, e = env.map.n_agents, env.map.n_enemies
    actions = np.asarray(actions, np.int64).reshape(-1, n)
    order = np.arange(e) if stacked.enemy_order is None else stacked.enemy_order[0]
    number = actions - N_ACTIONS_NO_ATTACK
    heals = np.array([kind.heals for kind in env.map.kinds[:n]])
    ordered = np.where(heals, number, n + order[np.clip(number, 0, e - 1)])
    numbered = np.concatenate([np.arange(n), n + order])

    def available(step: int) -> Bool[np.ndarray, "N A"]:
        units = units_at(stacked.battle, step)
        units = Units(*(row[numbered] for row in units))
        return available_actions(env.map, env.columns, units)

    return BattleEpisode(
        env.map,
        stacked.battle,
        actions,
        np.where(number < 0, NOBODY, ordered),
        order,
        captions,
        ending(outcome(env.map, units_at(stacked.battle, -1)), states[-1], env.spec),
        available,
    )


def units_at(battle: Battle, step: int) -> Units:
    """What the interface shows of the units in one state of a battle's arrays over time."""
    return units_of(jax.tree.map(lambda x: x[step], battle))


def ending(result: Outcome, state: PyTree, spec: Spec) -> Ending | None:
    """How a battle ended in its last state, of which that is the outcome."""
    if result.over:
        alive = (np.asarray(state.battle.health) > 0).any()
        return "VICTORY" if result.won else "DEFEAT" if alive else "DRAW"
    return "TIME OUT" if int(state.t) >= spec.episode_limit else None
