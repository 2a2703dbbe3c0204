"""VDAC: the team's value is mixed from the agents' values, and its advantage trains all policies.

Source: Su, Adams & Beling 2021, "Value-Decomposition Multi-Agent Actor-Critics". The advantage is
G − V_tot with the λ-return G, as in the released code; the paper has the one-step TD error.
"""

from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Literal, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PRNGKeyArray

from macpo.bounds import NonNegative, Positive, PositiveInt
from macpo.envs.base import Environment
from macpo.field_types import Settings
from macpo.kernels.chunked import map_states
from macpo.kernels.packing import unpack
from macpo.learners.actor_critic import (
    ON_POLICY,
    ActorCritic,
    ActorCriticLearner,
    ActorCriticNetworks,
    entropy,
)
from macpo.learners.base import About, LearnerState, UpdateResult
from macpo.learners.episodes import decode_rows, pack_episodes, transitions, unroll_agents
from macpo.learners.hyperparameters import OptimiserName
from macpo.learners.losses import td_errors
from macpo.nets.action_selection import gather_actions
from macpo.nets.mixers import Mixer, MonotonicMixer, SumMixer
from macpo.types import Batch, Episodes, Metrics, PyTree
from macpo.weighting.normalise import masked_mean
from macpo.weighting.weighting import Weighting

MixerName: TypeAlias = Literal["mix", "sum"]


@dataclass(frozen=True)
class VDAC(ActorCritic):
    """VDAC: values of the agents, summed or mixed (Su et al. 2021), with PyMARL2's tuning.

    >>> VDAC(mixer="sum").value_coef
    0.1
    """

    about: ClassVar[About] = About(
        agents="policy and value",
        critic="state values of the agents",
        mixer="monotonic or sum",
        extra="–",
        paper="Su et al. 2021",
        on_policy=True,
    )
    schedule: ClassVar[Settings] = {**ON_POLICY, "epsilon_finish": 0.0}

    mixer: MixerName = "mix"
    """`mix`: VDAC-mix, a monotonic network; `sum`: VDAC-sum."""
    lr: Positive = 1e-3
    """PyMARL2; 5e-4 in the released code."""
    optimiser: OptimiserName = "rmsprop"
    """Both references."""
    entropy_coef: NonNegative = 0.01
    """Coefficient of the policies' entropy (PyMARL2; the released code has none)."""
    value_coef: Positive = 0.1
    """Coefficient of the values' squared error; the released code found 0.5 worse."""
    mixing_embed_dim: PositiveInt = 32
    """Width of the mixing network."""
    hypernet_embed: PositiveInt = 64
    """Width of the hypernetworks' hidden layer."""

    def make(self, env: Environment, weighting: Weighting) -> ActorCriticLearner:
        """The learner."""
        spec = env.spec

        def mixer(key: PRNGKeyArray) -> SumMixer | MonotonicMixer:
            if self.mixer == "sum":
                return SumMixer()
            widths = self.mixing_embed_dim, self.hypernet_embed
            return MonotonicMixer(key, spec.n_agents, spec.state_size, *widths)

        return ActorCriticLearner(
            env, self, weighting, mixer, _update, has_target=False, n_outputs=1
        )


class _Values(NamedTuple):
    """The outputs of the networks for stored episodes."""

    log_pi: Float[Array, "B T N"]
    """log π of the actions taken."""
    entropy: Float[Array, "B T N"]
    v_tot: Float[Array, "B Tp1"]


def _update(
    learner: ActorCriticLearner, state: LearnerState, batch: Batch, key: PRNGKeyArray
) -> UpdateResult:
    """One step of policies and values together."""
    config, steps = learner.config, transitions(batch.episodes)

    def loss(
        params: ActorCriticNetworks,
    ) -> tuple[Float[Array, ""], tuple[Metrics, Float[Array, "B T"]]]:
        out = _forward(learner, params, batch.episodes, batch.epsilon)
        td = td_errors(out.v_tot, out.v_tot, steps, config.gamma, config.td_lambda)
        advantage = jax.lax.stop_gradient(-td.error)[..., None]
        agent_mask = jnp.broadcast_to(steps.mask[..., None], out.log_pi.shape)
        metrics = {
            "loss_policy": -masked_mean(advantage * out.log_pi, agent_mask),
            "loss_critic": masked_mean(jnp.square(td.error), steps.mask),
            "entropy": masked_mean(out.entropy, agent_mask),
            "pi_taken_mean": masked_mean(jnp.exp(out.log_pi), agent_mask),
            "td_error_abs": masked_mean(jnp.abs(td.error), steps.mask),
            "value_mean": masked_mean(td.q, steps.mask),
            "target_mean": masked_mean(td.target, steps.mask),
        }
        total = metrics["loss_policy"] + config.value_coef * metrics["loss_critic"]
        total -= config.entropy_coef * metrics["entropy"]
        return total, (metrics | {"loss": total}, jnp.abs(td.error))

    grads, (metrics, td_error_abs) = jax.grad(loss, has_aux=True)(state.params)
    metrics["grad_norm"] = optax.tree.norm(grads)
    return UpdateResult(learner.apply_gradients(grads, state), metrics, td_error_abs)


def _forward(
    learner: ActorCriticLearner,
    params: ActorCriticNetworks,
    episodes: Episodes,
    epsilon: Float[Array, ""] | float,
) -> _Values:
    packed = pack_episodes(learner.env, episodes)
    out = unroll_agents(learner.spec, params.actor, packed)
    log_pi = learner.log_policy(out, packed, epsilon)

    def mix(mixer: Mixer, _: None, values: PyTree, encoded_state: PyTree) -> Float[Array, " R"]:
        return mixer(values, decode_rows(learner.env, encoded_state).state)

    v_tot = map_states(mix, params.critic, None, out[..., -1], packed.encoded_state, packed.packing)
    packed_values = gather_actions(log_pi, packed.actions), entropy(log_pi), v_tot
    log_pi, h, v_tot = map(partial(unpack, packed.packing), packed_values)
    return _Values(log_pi[:, :-1], h[:, :-1], v_tot)


Config = VDAC
