"""From stored episodes to network outputs in every state, without computing padding.

Stored episodes [B, T+1, ...] are packed end to end on a few lanes, [S, L, ...] (`kernels.packing`);
networks run over the lanes, and `unpack` brings their outputs back to [B, T+1, ...].
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from macpo.envs.base import Environment
from macpo.kernels.packing import Packing, pack, plan
from macpo.kernels.unroll import Encode, unroll
from macpo.nets.agent import AgentNet, agent_inputs
from macpo.types import Episodes, Observation, PyTree, Spec


class Transitions(NamedTuple):
    """The steps of stored episodes; values on padding are arbitrary."""

    reward: Float[Array, "B T"]
    terminal: Bool[Array, "B T"]
    """Whether a step ends the decision process; false where an episode is truncated."""
    mask: Bool[Array, "B T"]
    """Whether a step exists."""
    importance: Float[Array, "B T"]
    """Correction for how the episodes were drawn; ones for uniform sampling."""


class PackedEpisodes(NamedTuple):
    """Stored episodes as networks read them: [S, L, ...], one state after another."""

    packing: Packing
    encoded_state: PyTree
    actions: Int[Array, "S L N"]
    """The actions taken in each state; −1 in final states."""
    last_actions: Int[Array, "S L N"]
    """The actions that led to each state; −1 in first states."""
    observation: Observation


def transitions(episodes: Episodes, importance: Float[Array, " B"] | None = None) -> Transitions:
    """The steps of stored episodes; without an `importance`, every episode has 1."""
    batch_size, n_steps = episodes.reward.shape
    t, length = jnp.arange(n_steps), episodes.length[:, None]
    terminal = (t == length - 1) & episodes.terminated[:, None]
    importance = jnp.ones(batch_size) if importance is None else importance
    importance = jnp.broadcast_to(importance[:, None], (batch_size, n_steps))
    return Transitions(episodes.reward, terminal, t < length, importance)


def actions_taken(episodes: Episodes) -> Int[Array, "B Tp1 N"]:
    """The actions taken in every state; −1 (none) in an episode's final state."""
    actions = jnp.where(transitions(episodes).mask[..., None], episodes.actions, -1)
    return jnp.pad(actions, ((0, 0), (0, 1), (0, 0)), constant_values=-1)


def last_actions(actions: Int[Array, "B T N"]) -> Int[Array, "B Tp1 N"]:
    """The actions that led to every state; −1 (none) in the first state."""
    return jnp.pad(actions, ((0, 0), (1, 0), (0, 0)), constant_values=-1)


def drop_final_state(tree: PyTree) -> PyTree:
    """Values of the states in which actions were taken: [B, T, ...] from [B, T+1, ...]."""
    return jax.tree.map(lambda x: x[:, :-1], tree)


def mean_over_rows(x: Float[Array, "R T"], n_episodes: int) -> Float[Array, "B T"]:
    """The mean over the rows of each episode, which lie together."""
    return x if len(x) == n_episodes else x.reshape(n_episodes, -1, x.shape[1]).mean(1)


def pack_episodes(env: Environment, episodes: Episodes) -> PackedEpisodes:
    """Every state that exists, packed and decoded."""
    packing = plan(episodes.length, episodes.reward.shape[1] + 1)
    record = episodes.encoded_state, actions_taken(episodes), last_actions(episodes.actions)
    encoded_state, actions, last = jax.tree.map(lambda x: pack(packing, x), record)
    observation = jax.vmap(jax.vmap(env.decode))(encoded_state)
    return PackedEpisodes(packing, encoded_state, actions, last, observation)


def decode_rows(env: Environment, encoded_state: PyTree) -> Observation:
    """The observations of rows of encoded states, [R, ...], as float32."""
    obs, state, avail_actions = jax.vmap(env.decode)(encoded_state)
    return Observation(obs.astype(jnp.float32), state.astype(jnp.float32), avail_actions)


def unroll_agents(spec: Spec, agent: AgentNet, packed: PackedEpisodes) -> Float[Array, "S L N A"]:
    """The outputs of the agents' recurrent network in every state; zeros in empty places."""
    return unroll(agent, encoder(spec), agent_history(packed), packed.packing)


def agent_history(packed: PackedEpisodes) -> tuple[Array, Array]:
    """The inputs of the agents' network in every state: observations and last actions."""
    return packed.observation.obs, packed.last_actions


@functools.cache
def encoder(spec: Spec) -> Encode:
    """From `agent_history` to the network's input; always the same object for the same spec."""
    return lambda history: agent_inputs(spec, *history)
