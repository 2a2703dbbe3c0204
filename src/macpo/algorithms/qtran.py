"""QTRAN: an unrestricted joint value, and a sum of utilities with the same best joint action.

The joint network Q_jt reads the global state and every agent's recurrent state and action; its TD
loss also trains the agents' recurrent network. A state value V makes up for what the agents cannot
observe. The sum Σ q_i + V is regressed on Q_jt at the greedy joint action, and pushed up to it at
the others.

A weighting applies to the TD loss of Q_jt. Its signal Q* is Q_jt, its signal Q_tot is Σ q_i + V.

Source: Son et al. 2019, "QTRAN: Learning to Factorize with Transformation for Cooperative
Multi-Agent Reinforcement Learning", QTRAN-base, as in PyMARL. (PyMARL2 scrambles agents and time in
the recurrent states.)
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from macpo.bounds import Fraction, NonNegative, Positive, PositiveInt
from macpo.envs.base import Environment
from macpo.errors import require
from macpo.learners.base import About
from macpo.learners.episodes import drop_final_state
from macpo.learners.losses import LossAndMetrics, LossInputs, weighted_squared_error
from macpo.learners.value_based import ValueBased, ValueBasedLearner
from macpo.nets.critics import JointValue
from macpo.nets.mixers import Extras, Mixer
from macpo.types import PyTree
from macpo.weighting.signals import Signals
from macpo.weighting.weighting import Weighting


@dataclass(frozen=True)
class QTRAN(ValueBased):
    """QTRAN-base: a joint value, and utilities that sum up to it (Son et al. 2019).

    >>> QTRAN(nopt_loss=1.0).td_lambda
    0.0
    """

    about: ClassVar[About] = About(
        agents="utilities",
        critic="joint Q, V",
        mixer="sum + V",
        extra="–",
        paper="Son et al. 2019",
    )

    lr: Positive = 5e-4
    """PyMARL and PyMARL2."""
    td_lambda: Fraction = 0.0
    """One-step returns, in both references."""
    joint_embed_dim: PositiveInt = 64
    """Width of the hidden layers of Q_jt and V."""
    opt_loss: NonNegative = 1.0
    """λ_opt (PyMARL and paper)."""
    nopt_loss: NonNegative = 0.1
    """λ_nopt (PyMARL; the paper has 1)."""

    def make(self, env: Environment, weighting: Weighting) -> ValueBasedLearner:
        """The learner; UsageError for a weighting that needs a mixer's derivative."""
        require(
            not weighting.per_agent,
            f"weighting {weighting.name!r} splits the team's TD error among the agents by the "
            "mixer's derivative, and in qtran that error does not depend on the utilities; choose "
            "an algorithm with a mixer (vdn, qmix), or another weighting.",
        )
        spec = env.spec

        def joint_value(key: PRNGKeyArray) -> JointValue:
            width, embed = self.rnn_hidden_dim, self.joint_embed_dim
            return JointValue(key, spec.n_actions, spec.state_size, width, embed)

        terms = (FactorisationLoss(self.opt_loss, self.nopt_loss),)
        return ValueBasedLearner(env, self, weighting, joint_value, terms)


class FactorisedValues(NamedTuple):
    """Σ q_i + V and Q_jt, at the joint action taken and at the greedy one."""

    q: Float[Array, " R"]
    q_jt: Float[Array, " R"]
    q_best: Float[Array, " R"]
    q_jt_best: Float[Array, " R"]


@dataclass(frozen=True)
class FactorisationLoss:
    """λ_opt L_opt + λ_nopt L_nopt; no gradient reaches Q_jt."""

    name: ClassVar[str] = "factorisation"
    provides: ClassVar[tuple[str, ...]] = ("q", "q_star")

    opt_loss: float
    nopt_loss: float

    def values(
        self,
        mixer: Mixer,
        q_tot: Float[Array, " R"],
        utilities: Float[Array, "R N"],
        extras_of_greedy: Extras,
        state: Float[Array, "R S"],
    ) -> FactorisedValues:
        """Both values of a chunk of states; `q_tot` is Q_jt."""
        best = extras_of_greedy.best
        assert isinstance(mixer, JointValue) and best is not None
        v = mixer.state_value(state)
        q_jt_best = jax.lax.stop_gradient(mixer(best, state, extras_of_greedy))
        return FactorisedValues(utilities.sum(-1) + v, q_tot, best.sum(-1) + v, q_jt_best)

    def signals(self, signals: Signals, values: FactorisedValues, inputs: LossInputs) -> Signals:
        """Q_tot is the factorised value, Q* the joint one unless there is a central critic."""
        values = drop_final_state(values)
        q_star = values.q_jt if signals.q_star is None else signals.q_star
        return signals._replace(q=values.q, q_star=q_star)

    def loss(
        self, nets: dict[str, PyTree], values: FactorisedValues, inputs: LossInputs
    ) -> LossAndMetrics:
        """The two squared errors of the factorised value."""
        values, steps = drop_final_state(values), inputs.steps
        q_jt, q_jt_best = jax.lax.stop_gradient((values.q_jt, values.q_jt_best))
        opt = values.q_best - q_jt_best  # Eq. (6)
        nopt = jnp.minimum(values.q - q_jt, 0.0)  # Eq. (7)
        loss_opt = weighted_squared_error(opt, steps.importance, steps.mask)
        loss_nopt = weighted_squared_error(nopt, steps.importance, steps.mask)
        loss = self.opt_loss * loss_opt + self.nopt_loss * loss_nopt
        return loss, {"loss_opt": loss_opt, "loss_nopt": loss_nopt}


Config = QTRAN
