"""IQL: every agent learns on its own, from the team's reward.

The agents share their networks, and nothing mixes their utilities: a batch of B episodes is one of
B·N independent learners. A weighting weighs each agent's own TD error; its signals about joint
actions (the joint policies, Q*, estimated errors, density ratios) are the team's, the same for all
agents. Where it needs Q*, targets come from the central critic as in the other algorithms: each
agent then learns the team's value given its own action.

Source: Tan 1993, "Multi-Agent Reinforcement Learning: Independent vs. Cooperative Agents". PyMARL2
leaves IQL untuned (`--preset iql-pymarl2`); here it has the constants of VDN and QMIX.
"""

import functools
from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Shaped

from macpo.envs.base import Environment
from macpo.errors import require
from macpo.learners.base import About
from macpo.learners.episodes import Transitions
from macpo.learners.forward import ForwardOutput, JointValues
from macpo.learners.value_based import ValueBased, ValueBasedLearner
from macpo.nets.mixers import NoMixer
from macpo.weighting.weighting import Weighting


@dataclass(frozen=True)
class IQL(ValueBased):
    """IQL: independent learners of the team's reward (Tan 1993), with VDN's and QMIX's tuning.

    >>> IQL(gamma=0.95).double_q
    True
    """

    about: ClassVar[About] = About(
        agents="utilities",
        critic="–",
        mixer="none",
        extra="Q* where the weighting needs it",
        paper="Tan 1993",
    )

    def make(self, env: Environment, weighting: Weighting) -> ValueBasedLearner:
        """The learner; UsageError for a weighting that needs a mixer's derivative."""
        require(
            not weighting.per_agent,
            f"weighting {weighting.name!r} splits the team's error among the agents by the mixer's "
            "derivative, and iql has no mixer; choose an algorithm with one (vdn, qmix), or "
            "another weighting: with iql every weighting weighs the agents' own errors.",
        )
        return ValueBasedLearner(
            env, self, weighting, lambda key: NoMixer(), as_rows=agents_as_rows
        )


def agents_as_rows(out: ForwardOutput, steps: Transitions) -> tuple[ForwardOutput, Transitions]:
    """B episodes of N agents as B·N rows, each with an agent's own values and TD errors.

    Its own are the values that it learns and bootstraps from; everything about joint actions is
    the team's.
    """
    assert out.joint.q_tot.ndim == 3  # nothing has mixed it
    n_agents = out.joint.q_tot.shape[-1]

    def repeated(x: Shaped[Array, "B *X"]) -> Shaped[Array, "R *X"]:
        return jnp.repeat(x, n_agents, axis=0)

    def own(x: Shaped[Array, "B Tp1 N"]) -> Shaped[Array, "R Tp1"]:
        if x.ndim == 2:  # of the central critic
            return repeated(x)
        return jnp.moveaxis(x, -1, 1).reshape(-1, x.shape[1])

    of_team = functools.partial(jax.tree.map, repeated)
    joint = JointValues(
        q_tot=own(out.joint.q_tot),
        target_q_tot=own(out.joint.target_q_tot),
        q_of_target_net=jax.tree.map(own, out.joint.q_of_target_net),  # may be None
        dq_tot_dq=of_team(out.joint.dq_tot_dq),
        terms=of_team(out.joint.terms),
    )
    rows = ForwardOutput(
        joint, of_team(out.utilities), repeated(out.pi_taken), repeated(out.is_greedy)
    )
    return rows, of_team(steps)


Config = IQL
