"""VDAC: the team's value is mixed from values of the agents, and its advantage trains them all.

Source: Su, Adams & Beling 2021, "Value-Decomposition Multi-Agent Actor-Critics". The advantage is
G − V_tot with the λ-return G, as in the released code; the paper has the one-step TD error.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypeAlias

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PRNGKeyArray

from macpo.envs.base import Environment
from macpo.errors import require_choice
from macpo.kernels.chunked import map_states
from macpo.kernels.packing import unpack
from macpo.learners.actor_critic import (
    ON_POLICY,
    ActorCritic,
    ActorCriticLearner,
    Learned,
    Networks,
    entropy,
)
from macpo.learners.base import About, LearnerState
from macpo.learners.episodes import transitions
from macpo.learners.hyperparameters import OptimiserName
from macpo.learners.losses import masked_mean
from macpo.learners.returns import lambda_return
from macpo.nets.agent import gather_actions
from macpo.nets.mixers import MonotonicMixer, SumMixer
from macpo.types import Batch, Episodes, PyTree
from macpo.weighting.weighting import Weighting

Mixer: TypeAlias = Literal["mix", "sum"]


@dataclass(frozen=True)
class Config(ActorCritic):
    """VDAC: values of the agents, summed or mixed (Su et al. 2021), with PyMARL2's tuning."""

    about: ClassVar[About] = About(
        agents="policy and value",
        critic="state values of the agents",
        mixer="monotonic or sum",
        extra="–",
        paper="Su et al. 2021",
        on_policy=True,
    )
    schedule: ClassVar[Mapping[str, Any]] = {**ON_POLICY, "epsilon_finish": 0.0}

    mixer: Mixer = "mix"
    """`mix`: VDAC-mix, a monotonic network; `sum`: VDAC-sum."""
    lr: float = 1e-3
    """PyMARL2; 5e-4 in the released code."""
    optimiser: OptimiserName = "rmsprop"
    """Both references."""
    entropy_coef: float = 0.01
    """Coefficient of the policies' entropy (PyMARL2; the released code has none)."""
    value_coef: float = 0.1
    """Coefficient of the values' squared error; the released code found 0.5 worse."""
    mixing_embed_dim: int = 32
    """Width of the mixing network."""
    hypernet_embed: int = 64
    """Width of the hypernetworks' hidden layer."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_choice("vdac", "mixer", self.mixer, Mixer)
        self.require_positive("value_coef", "mixing_embed_dim", "hypernet_embed")
        self.require_not_negative("entropy_coef")

    def make(self, env: Environment, weighting: Weighting) -> ActorCriticLearner:
        """The learner."""
        spec = env.spec

        def mixer(key: PRNGKeyArray) -> SumMixer | MonotonicMixer:
            if self.mixer == "sum":
                return SumMixer()
            widths = self.mixing_embed_dim, self.hypernet_embed
            return MonotonicMixer(key, spec.n_agents, spec.state_size, *widths)

        return ActorCriticLearner(
            env, self, weighting, mixer, _learn, has_target=False, n_outputs=1
        )


def _learn(
    learner: ActorCriticLearner, state: LearnerState, batch: Batch, key: PRNGKeyArray
) -> Learned:
    """One step on policies and values together."""
    config, episodes = learner.config, batch.episodes
    mask, terminal = transitions(episodes)

    def loss(params: Networks) -> tuple[Array, tuple[dict[str, Array], Array]]:
        log_pi, h, v_tot = _evaluate(learner, params, episodes, batch.epsilon)
        returns = lambda_return(
            episodes.reward, terminal, mask, v_tot, config.gamma, config.td_lambda
        )
        td_error = v_tot[:, :-1] - returns
        advantage = jax.lax.stop_gradient(-td_error)[..., None]
        of_agents = jnp.broadcast_to(mask[..., None], log_pi.shape)
        metrics = {
            "loss_policy": -masked_mean(advantage * log_pi, of_agents),
            "loss_critic": masked_mean(jnp.square(td_error), mask),
            "entropy": masked_mean(h, of_agents),
            "pi_taken_mean": masked_mean(jnp.exp(log_pi), of_agents),
            "td_error_abs": masked_mean(jnp.abs(td_error), mask),
            "value_mean": masked_mean(v_tot[:, :-1], mask),
            "target_mean": masked_mean(returns, mask),
        }
        total = metrics["loss_policy"] + config.value_coef * metrics["loss_critic"]
        total -= config.entropy_coef * metrics["entropy"]
        return total, (metrics | {"loss": total}, jnp.abs(td_error))

    grads, (metrics, td_error_abs) = jax.grad(loss, has_aux=True)(state.params)
    metrics["grad_norm"] = optax.tree.norm(grads)
    return Learned(*learner.descend(grads, state), state.weighting, metrics, td_error_abs)


def _evaluate(
    learner: ActorCriticLearner,
    params: Networks,
    episodes: Episodes,
    epsilon: Float[Array, ""] | float,
) -> tuple[Float[Array, "B T N"], Float[Array, "B T N"], Float[Array, "B Tp1"]]:
    """(log π of the actions taken, entropies, V_tot of every state)."""
    replayed = learner.replay(episodes)
    out = learner.outputs(params.actor, replayed)
    log_pi = learner.log_policy(out, replayed, epsilon)

    def mix(mixer: PyTree, _: None, values: PyTree, encoded_state: PyTree) -> PyTree:
        return mixer(values, learner.state_of(encoded_state).state)

    values = map_states(
        mix, params.critic, None, out[..., -1], replayed.encoded_state, replayed.packing
    )
    packed = gather_actions(log_pi, replayed.stored), entropy(log_pi), values
    log_pi, h, v_tot = (unpack(replayed.packing, x) for x in packed)
    return log_pi[:, :-1], h[:, :-1], v_tot
