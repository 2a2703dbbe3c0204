"""One backward recursion behind every return."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float


def backup(
    reward: Float[Array, "B T"],
    discount: Float[Array, "B T"],
    value: Float[Array, "B Tp1"],
    q: Float[Array, "B Tp1"],
    trace: Float[Array, "B Tp1"],
) -> Float[Array, "B T"]:
    """G_t = r_t + disc_t · (v_{t+1} + c_{t+1} · (G_{t+1} − q_{t+1})), with G_T = v_T.

    v is the value bootstrapped from, q the value of the action taken, c the trace (0 cuts it: G_t
    is then a one-step return). With q = v and c = λ this is Peng's λ-return; other choices
    give SARSA(λ), GAE, tree backup and Retrace.
    """

    def step(g: Array, now: tuple[Array, ...]) -> tuple[Array, Array]:
        r_t, discount_t, v_tp1, q_tp1, c_tp1 = now
        g = r_t + discount_t * (v_tp1 + c_tp1 * (g - q_tp1))
        return g, g

    xs = (reward, discount, value[:, 1:], q[:, 1:], trace[:, 1:])
    xs = jax.tree.map(lambda x: x.T, xs)
    _, returns = jax.lax.scan(step, value[:, -1], xs, reverse=True)
    return returns.T


def episode_return(
    reward: Float[Array, "B T"],
    terminal: Bool[Array, "B T"],
    valid: Bool[Array, "B T"],
    value: Float[Array, "B Tp1"],
    q: Float[Array, "B Tp1"],
    trace: Float[Array, "B Tp1"],
    gamma: float,
) -> Float[Array, "B T"]:
    """`backup` of whole episodes, whatever their padding; no gradient.

    `valid` marks real transitions. A truncated episode bootstraps from its final state, a
    terminated one does not bootstrap; returns of padding are zero.
    """
    # selected, not multiplied: 0 · NaN is NaN and would flow backwards
    reached = jnp.pad(valid, ((0, 0), (1, 0)), constant_values=True)
    value, q = jnp.where(reached, value, 0.0), jnp.where(reached, q, 0.0)
    # the trace ends with the episode: the last transition bootstraps from the state after it
    trace = jnp.where(jnp.pad(valid, ((0, 0), (0, 1))), trace, 0.0)
    discount = gamma * (1.0 - terminal)
    reward = jnp.where(valid, reward, 0.0)
    return jax.lax.stop_gradient(backup(reward, discount, value, q, trace))


def lambda_return(
    reward: Float[Array, "B T"],
    terminal: Bool[Array, "B T"],
    valid: Bool[Array, "B T"],
    value: Float[Array, "B Tp1"],
    gamma: float,
    td_lambda: float,
) -> Float[Array, "B T"]:
    """Peng's λ-return of whole episodes; see `episode_return`.   Source: PyMARL's TD(λ) targets.

    With greedy values this is Peng's Q(λ), with values of the actions taken SARSA(λ). With state
    values, this return less the value is the generalised advantage estimate.
    """
    trace = jnp.full_like(value, td_lambda)
    return episode_return(reward, terminal, valid, value, value, trace, gamma)
