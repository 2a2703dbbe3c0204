"""The density ratio: how much likelier a step is in recent play than in replay.

A classifier tells the two apart; once it is fitted, its logit is the logarithm of the ratio.

Source: LFIW (Sinha et al. 2022); two hidden layers of 128 as in ReMERN (Liu et al. 2021).
"""

from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from macpo.envs.base import Environment
from macpo.kernels.shard import map_over_devices
from macpo.learners.auxiliary_network import AuxiliaryNetworks, AuxiliaryValues, auxiliary_values
from macpo.learners.episodes import actions_taken, transitions
from macpo.learners.losses import LossAndMetrics, LossInputs
from macpo.nets.linear import MLP
from macpo.nets.mixers import Extras
from macpo.types import Spec
from macpo.weighting.normalise import masked_mean
from macpo.weighting.signals import Signals

WIDTH = 128


class Classifier(eqx.Module):
    """The logit z of a joint action in a state; positive where recent play is likelier."""

    needs: ClassVar[tuple[str, ...]] = ()

    net: MLP
    n_actions: int = eqx.field(static=True)

    def __init__(self, key: PRNGKeyArray, spec: Spec) -> None:
        self.net = MLP(key, spec.state_size + spec.n_agents * spec.n_actions, WIDTH, WIDTH, 1)
        self.n_actions = spec.n_actions

    def __call__(
        self,
        utilities: Float[Array, "R N"] | None,
        state: Float[Array, "R S"],
        extras: Extras | None = None,
    ) -> Float[Array, " R"]:
        """z, which does not depend on utilities."""
        assert extras is not None
        one_hot = jax.nn.one_hot(extras.actions, self.n_actions).reshape(len(state), -1)
        return self.net(jnp.concatenate([state, one_hot], -1))[:, 0]


@dataclass(frozen=True)
class DensityRatio:
    """log d^π/μ of the steps of replay; 0 until recent play is but a small part of it."""

    name: ClassVar[str] = "density_ratio"
    optimiser: ClassVar[optax.GradientTransformation | None] = optax.adam(3e-4)  # LFIW

    env: Environment
    target_rate: float = 0.0

    def init(self, keys: PRNGKeyArray) -> Classifier:
        """A fresh classifier from the fourth key."""
        return Classifier(keys[3], self.env.spec)

    def signals(self, signals: Signals, values: AuxiliaryValues, inputs: LossInputs) -> Signals:
        """The logit in every step."""
        ratio = jnp.where(inputs.batch.recent_differs, values.taken[:, :-1], 0.0)
        return signals._replace(log_density_ratio=ratio)

    def loss(
        self, nets: AuxiliaryNetworks, values: AuxiliaryValues, inputs: LossInputs
    ) -> LossAndMetrics:
        """The classifier's cross-entropy."""
        recent = inputs.batch.recent
        assert recent is not None
        networks = {self.name: nets[self.name]}, {}  # no target network reads greedy actions
        forward = partial(auxiliary_values, self.env)
        z_recent = map_over_devices(forward, networks, (recent, actions_taken(recent)))
        z_recent, z_replay = z_recent[self.name].taken[:, :-1], values.taken[:, :-1]
        recent_mask = transitions(recent).mask
        loss = density_ratio_loss(z_replay, inputs.steps.mask, z_recent, recent_mask)
        return loss, {"loss_ratio": loss}


def density_ratio_loss(
    z_replay: Float[Array, "B T"],
    mask: Bool[Array, "B T"],
    z_recent: Float[Array, "R T"],
    recent_mask: Bool[Array, "R T"],
) -> Float[Array, ""]:
    """Cross-entropy with recent play as 1, replay as 0: LFIW's Jensen-Shannon bound + 2 log 2."""
    as_replay, as_recent = jax.nn.softplus(z_replay), jax.nn.softplus(-z_recent)
    return masked_mean(as_replay, mask) + masked_mean(as_recent, recent_mask)
