"""IQL: every agent learns on its own, from the team's reward.

The agents share their networks, and nothing mixes their utilities: a batch is one of B·N learners.
A weighting weighs each agent's own TD error. What it needs to know of joint actions (the joint
policies, Q*, estimated errors, density ratios) is the team's and the same for all agents. Where it
needs Q*, targets come from the central network as in the other algorithms: each agent then learns
what the team's value is given its own action.

Source: Tan 1993, "Multi-Agent Reinforcement Learning: Independent vs. Cooperative Agents". PyMARL2
leaves IQL untuned beside VDN and QMIX (`--preset iql-pymarl2`); here all three have the same
constants.
"""

from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import PRNGKeyArray

from macpo.envs.base import Environment
from macpo.errors import require
from macpo.learners.base import About
from macpo.learners.value_based import ValueBased, ValueBasedLearner
from macpo.nets.mixers import NoMixer
from macpo.weighting.weighting import Weighting


@dataclass(frozen=True)
class Config(ValueBased):
    """IQL: independent learners of the team's reward (Tan 1993), with VDN's and QMIX's tuning."""

    about: ClassVar[About] = About(
        agents="utilities",
        critic="–",
        mixer="none",
        extra="Q* where the weighting needs it",
        paper="Tan 1993",
    )

    def make(self, env: Environment, weighting: Weighting) -> ValueBasedLearner:
        """The learner."""
        require(
            not weighting.per_agent,
            f"weighting {weighting.name!r} splits the team's error among the agents by the mixer's "
            "derivative, and iql has no mixer; choose an algorithm with one (vdn, qmix), or "
            "another weighting: with iql each weighs the agents' own errors.",
        )

        def no_mixer(key: PRNGKeyArray) -> NoMixer:
            return NoMixer()

        return ValueBasedLearner(env, self, weighting, no_mixer)
