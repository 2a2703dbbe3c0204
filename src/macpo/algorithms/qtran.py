"""QTRAN: an unrestricted joint value, and a sum of utilities that agrees with it on what is best.

The joint network sees the global state, and what each agent remembers and does: its TD loss trains
the agents' recurrent network too. A state value V makes up for what the agents cannot see. The sum
Σ q_i + V is regressed on Q_jt at the greedy joint action, and pushed up to it at others.

A weighting weighs the TD loss of Q_jt, which is its Q*; its Q_tot is Σ q_i + V.

Source: Son et al. 2019, "QTRAN: Learning to Factorize with Transformation for Cooperative
Multi-Agent Reinforcement Learning", QTRAN-base, as in PyMARL. (PyMARL2 scrambles agents and time in
the recurrent states.)
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from macpo.envs.base import Environment
from macpo.errors import require
from macpo.learners.base import About
from macpo.learners.losses import weighted_squared_error
from macpo.learners.value_based import Auxiliary, ValueBased, ValueBasedLearner
from macpo.nets.critics import JointValue
from macpo.nets.mixers import Extras
from macpo.types import Metrics
from macpo.weighting.weighting import Weighting


@dataclass(frozen=True)
class Config(ValueBased):
    """QTRAN-base: a joint value, and utilities that sum up to it (Son et al. 2019)."""

    about: ClassVar[About] = About(
        agents="utilities",
        critic="joint Q, V",
        mixer="sum + V",
        extra="–",
        paper="Son et al. 2019",
    )

    lr: float = 5e-4
    """PyMARL and PyMARL2."""
    td_lambda: float = 0.0
    """One-step returns, in both references."""
    joint_embed_dim: int = 64
    """Width of the hidden layers of Q_jt and V."""
    opt_loss: float = 1.0
    """λ_opt (PyMARL and paper)."""
    nopt_loss: float = 0.1
    """λ_nopt (PyMARL; the paper has 1)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        width = self.joint_embed_dim
        require(width > 0, f"qtran: joint_embed_dim must be positive, not {width}.")
        for name in ("opt_loss", "nopt_loss"):
            value = getattr(self, name)
            require(value >= 0, f"qtran: {name} must not be negative, but is {value}.")

    def make(self, env: Environment, weighting: Weighting) -> ValueBasedLearner:
        """The learner."""
        require(
            not weighting.per_agent,
            f"weighting {weighting.name!r} splits the team's TD error among the agents by the "
            "mixer's derivative, and in qtran no utility has a part in that error; choose an "
            "algorithm with a mixer (vdn, qmix), or another weighting.",
        )
        spec = env.spec

        def joint_value(key: PRNGKeyArray) -> JointValue:
            width, embed = self.rnn_hidden_dim, self.joint_embed_dim
            return JointValue(key, spec.n_actions, spec.state_size, width, embed)

        auxiliary = Auxiliary(("q", "q_star"), factored_values, self.factorisation_loss)
        return ValueBasedLearner(env, self, weighting, joint_value, auxiliary)

    def factorisation_loss(
        self,
        values: dict[str, Array],
        importance: Float[Array, "B T"],
        mask: Bool[Array, "B T"],
    ) -> tuple[Float[Array, ""], Metrics]:
        """λ_opt L_opt + λ_nopt L_nopt; no gradient reaches Q_jt."""
        q_jt, q_jt_best = jax.lax.stop_gradient((values["q_tot"], values["q_jt_best"]))
        opt = values["q_best"] - q_jt_best  # Eq. (6)
        nopt = jnp.minimum(values["q"] - q_jt, 0.0)  # Eq. (7)
        losses = {
            "loss_opt": weighted_squared_error(opt, importance, mask),
            "loss_nopt": weighted_squared_error(nopt, importance, mask),
        }
        return self.opt_loss * losses["loss_opt"] + self.nopt_loss * losses["loss_nopt"], losses


def factored_values(
    joint: JointValue,
    q_jt: Float[Array, " R"],
    utilities: Float[Array, "R N"],
    extras_best: Extras,
    state: Float[Array, "R S"],
) -> dict[str, Any]:
    """Σ q_i + V and Q_jt, each at the stored and at the greedy joint action."""
    v = joint.state_value(state)
    best = extras_best.best
    assert best is not None
    return {
        "q": utilities.sum(-1) + v,
        "q_star": q_jt,
        "q_best": best.sum(-1) + v,
        "q_jt_best": jax.lax.stop_gradient(joint(best, state, extras_best)),
    }
