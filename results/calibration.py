"""Measure the battle models: scripted play on maps of SMAC and tasks of SMACv2 → `calibration.csv`.

python results/calibration.py results

Rows that the file has are kept; remove it to measure them again.
"""

import csv
import functools
import io
import sys
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from rich.progress import track

from macpo.envs import SMACJax, SMACv2Jax
from macpo.envs.smac_jax import scripts
from macpo.envs.smac_jax.dynamics import Battle
from macpo.envs.smac_jax.environment import SMACJaxEnv, State
from macpo.envs.smac_jax.scripts import Script
from macpo.envs.smacv2_jax import environment as smacv2
from macpo.runs.files import write_atomically

SEEDS, BATTLES = (0, 1, 2), 200  # of each seed
NAMES = ("3s_vs_5z", "5m_vs_6m", "MMM2")
NEW = (
    "1c3s5z",
    "2s_vs_1sc",
    "6h_vs_8z",
    "corridor",
    "so_many_baneling",
    "bane_vs_bane",
    "2c_vs_64zg",
)
"""Without published figures to compare with, but for those of SMAClite."""
SMACV2 = {
    f"{race}_{teams}": {"race": race, "units": teams}
    for teams in ("5v5", "10v10", "20v20", "10v11", "20v23")
    for race in ("terran", "protoss", "zerg")
}
"""The tasks of `smacv2-jax`."""
SCRIPTS = (scripts.at_random, scripts.all_stop, scripts.nearest)
ROWS = [
    *((name, "sc2", script) for script in SCRIPTS for name in NAMES),
    ("3s_vs_5z", "sc2", scripts.kite),
    *((name, "smaclite", scripts.nearest) for name in NAMES),
    *((name, "sc2", script) for name in (*NEW, *SMACV2) for script in (*SCRIPTS, scripts.kite)),
]
Z = 1.96  # of a 95% interval


class Outcome(NamedTuple):
    """How each battle went."""

    won: Any
    reward: Any
    """The return."""
    length: Any
    enemies: Any
    """Enemies left."""
    agents: Any
    contact: Any
    """The step in which an agent was first hurt; 0 if none was."""


def endurance(battle: Battle) -> jax.Array:
    """Health and shields of all units [B, U]."""
    return battle.health + battle.shield


def actions_of(
    env: SMACJaxEnv | smacv2.SMACv2JaxEnv,
    script: Script,
    key: jax.Array,
    state: State | smacv2.State,
    available: jax.Array,
) -> jax.Array:
    """What the script does in one battle."""
    fixed = isinstance(env, SMACJaxEnv)
    dynamics = env.dynamics if fixed else env.dynamics_of(state.kinds)
    return script(key, dynamics=dynamics, battle=state.battle, available=available)


def play(env: SMACJaxEnv | smacv2.SMACv2JaxEnv, script: Script, seed: int) -> Outcome:
    """The battles of one seed."""
    n = env.spec.n_agents

    def goes_on(carry: Any) -> jax.Array:
        _, _, over, _, _ = carry
        return ~over.all()

    def step(carry: Any) -> Any:
        state, available, over, so_far, keys = carry
        act_key, env_key = jax.random.split(keys[state.t[0]])
        act = functools.partial(actions_of, env, script)
        actions = jax.vmap(act)(jax.random.split(act_key, BATTLES), state, available)
        after, timestep = jax.vmap(env.step)(jax.random.split(env_key, BATTLES), state, actions)
        hurt = endurance(after.battle)[:, :n].sum(1) < endurance(state.battle)[:, :n].sum(1)
        now = Outcome(
            won=timestep.info["battle_won"],
            reward=so_far.reward + timestep.reward,
            length=after.t,
            enemies=(after.battle.health[:, n:] > 0).sum(1),
            agents=(after.battle.health[:, :n] > 0).sum(1),
            contact=jnp.where(hurt & (so_far.contact == 0), after.t, so_far.contact),
        )
        kept = jax.tree.map(lambda old, new: jnp.where(over, old, new), so_far, now)
        over |= timestep.terminated | timestep.truncated
        return after, timestep.observation.avail_actions, over, kept, keys

    @jax.jit
    def whole(key: jax.Array) -> Outcome:
        reset_key, step_key = jax.random.split(key)
        state, timestep = jax.vmap(env.reset)(jax.random.split(reset_key, BATTLES))
        keys = jax.random.split(step_key, env.spec.episode_limit)
        none, zero = jnp.zeros(BATTLES), jnp.zeros(BATTLES, jnp.int32)
        first = Outcome(none, none, zero, zero, zero, zero)
        start = (state, timestep.observation.avail_actions, none > 0, first, keys)
        return jax.lax.while_loop(goes_on, step, start)[3]

    return jax.tree.map(np.asarray, whole(jax.random.key(seed)))


def share(name: str, successes: Any) -> dict[str, str]:
    """A share and its Wilson 95% interval, which has a positive width even at 0 and 1."""
    n, p = len(successes), float(np.mean(successes))
    middle = (p + Z**2 / (2 * n)) / (1 + Z**2 / n)
    half = Z / (1 + Z**2 / n) * np.sqrt(p * (1 - p) / n + Z**2 / (4 * n**2))
    low, high = max(middle - half, 0.0), min(middle + half, 1.0)
    return {name: f"{p:.4f}", f"{name} from": f"{low:.4f}", f"{name} to": f"{high:.4f}"}


def mean(name: str, values: Any) -> dict[str, str]:
    """A mean and the half-width of its 95% interval; empty cells without values."""
    if not len(values):
        return {name: "", f"{name} ±": ""}
    half = Z * np.std(values, ddof=1) / np.sqrt(len(values))
    return {name: f"{np.mean(values):.3f}", f"{name} ±": f"{half:.3f}"}


def row(name: str, profile: str, script: Script) -> dict[str, Any]:
    """One line of the table, over the battles of all seeds."""
    if name in SMACV2:
        env = SMACv2Jax(**SMACV2[name]).make()
    else:
        env = SMACJax(map=name, profile=profile).make()
    seeds = [play(env, script, seed) for seed in SEEDS]
    every = Outcome(*(np.concatenate(values) for values in zip(*seeds, strict=True)))
    return {
        "map": name,
        "profile": profile,
        "script": script.__name__,
        "seeds": len(SEEDS),
        "battles": len(every.won),
        **share("won", every.won > 0),
        **share("won without a loss", (every.won > 0) & (every.agents == env.spec.n_agents)),
        **mean("return", every.reward),
        **mean("length", every.length),
        "length median": f"{np.median(every.length):g}",
        **mean("enemies left", every.enemies),
        **mean("agents left", every.agents),
        **share("hurt", every.contact > 0),
        **mean("first contact", every.contact[every.contact > 0]),
    }


def main(file: Path) -> None:
    """Measure what the file lacks, and write it after each row."""
    rows: list[dict[str, Any]] = []
    if file.exists():
        with file.open(newline="") as handle:
            rows = [*csv.DictReader(handle)]
    there = {(row["map"], row["profile"], row["script"]) for row in rows}
    for name, profile, script in track(ROWS, "battles"):
        if (name, profile, script.__name__) not in there:
            rows.append(row(name, profile, script))
            text = io.StringIO()
            writer = csv.DictWriter(text, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
            write_atomically(file, text.getvalue().encode())


main(Path(sys.argv[1]) / "calibration.csv")
