"""Prioritised replay: which episodes are drawn, and how much each draw counts.

A table holds one raw priority for each row of the replay buffer. It is raised to the power alpha in
one place only, `probabilities`; the sum tree is rebuilt for every draw, so no error accumulates.

Source: Prioritized Experience Replay (Schaul et al. 2016); PyMARL2 for whole episodes.
"""

from dataclasses import dataclass
from typing import Annotated, Literal, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from macpo.bounds import Fraction, NonNegative, check_fields
from macpo.errors import require
from macpo.field_types import YOUNGER
from macpo.replay import buffer
from macpo.replay.buffer import ReplayBuffer

Aggregate: TypeAlias = Literal["sqrt_len", "mean", "max", "r2d2", "sum"]
Sampling: TypeAlias = Literal["uniform", "prioritized"]
Order: TypeAlias = Literal["proportional", "rank"]
Measure: TypeAlias = Literal["td-error", "weights"]


@dataclass(frozen=True)
class Replay:
    """How episodes are drawn from replay; the values of Schaul et al. (2016) as in PyMARL2.

    >>> import macpo
    >>> macpo.Experiment(replay=macpo.Replay(sampling="prioritized")).replay.per_alpha
    0.6
    """

    sampling: Sampling = "uniform"
    """`uniform`: distinct episodes, all equally likely (`buffer.sample`, the MAC-PO paper);
    `prioritized`: those of large priority more often, with replacement (`draw`)."""
    priority: Measure = "td-error"
    """What priorities are made of. `td-error`: |δ| of the last update from an episode; `weights`:
    the raw weights that the weighting gave its steps then. The loss is then not weighted by them:
    they are a rule of sampling instead (docs/sampling.md)."""
    order: Order = "proportional"
    """`proportional`: P ∝ priority^alpha (PyMARL2); `rank`: P ∝ (1/rank)^alpha, which no outlier
    can distort (there Schaul et al. use alpha 0.7 and beta 0.5)."""
    per_alpha: NonNegative = 0.6
    """How much priorities matter; 0: all episodes are equally likely."""
    per_beta: Fraction = 0.4
    """How much of the sampling bias is corrected at env step 0; changes linearly to
    `per_beta_finish`."""
    per_beta_finish: Annotated[Fraction, YOUNGER] = 1.0
    """How much is corrected at the run's end; 1: all of it. With both at 0 nothing ever is."""
    per_epsilon: NonNegative = 1e-6
    """Added to priorities, in their own units: an episode without error is still drawn."""
    aggregate: Aggregate = "sqrt_len"
    """From |δ| (or weights) of an episode's steps to its priority. `sqrt_len`: sum over the root of
    the length (PyMARL2); `mean` (MuZero-general); `max`; `r2d2`: 0.9 max + 0.1 mean; `sum`."""
    new_priority_quantile: Fraction | None = None
    """The priority of a new episode, until it is drawn. None: the largest so far (PyMARL2), which
    never falls, so that one outlier outlasts its episode; otherwise this quantile of the stored
    episodes' priorities: 1 is their largest, 0.5 their median."""
    from_file: Annotated[str | None, YOUNGER] = None
    """A file of episodes that replay begins with: of `macpo export-replay`, or of
    `macpo.write_replay` (docs/offline.md). With steps 0 nothing else is learned from."""
    from_sha256: Annotated[str | None, YOUNGER] = None
    """SHA-256 of that file, which is refused if it has another; noted when a run begins."""

    def __post_init__(self) -> None:
        check_fields(self, "replay")
        require(self.from_file != "", "replay: from_file must name a file, or be left out.")
        require(
            self.from_sha256 is None or self.from_file is not None,
            "replay: from_sha256 is the checksum of a file; name it with from_file.",
        )
        require(
            self.sampling == "prioritized" or self.priority == "td-error",
            "replay: priorities are made of weights only where they decide what is drawn; with "
            "priority weights, set sampling to prioritized.",
        )


class Priorities(NamedTuple):
    """Raw priorities of the buffer's rows, in units of the TD error or of weights."""

    value: Float[Array, " capacity"]
    """0 for rows without an episode: they are never drawn."""
    largest: Float[Array, ""]
    """The largest priority so far, at least 1."""


class SampledRows(NamedTuple):
    """A batch of rows, in no particular order; a row may occur more than once."""

    rows: Int[Array, " B"]
    probability: Float[Array, " B"]
    """Of this row in a single draw; its expected count in the batch is B times that."""
    importance: Float[Array, " B"]
    """Factor of the episode's loss, at most 1; see `importance`."""


# --- the table ------------------------------------------------------------------------------------


def init(capacity: int) -> Priorities:
    """The priorities of an empty buffer."""
    return Priorities(jnp.zeros(capacity), jnp.ones(()))


def add(p: Priorities, rows: Int[Array, " n"], config: Replay) -> Priorities:
    """The priorities with new episodes in these rows, in place of what was there."""
    q = config.new_priority_quantile
    new = p.largest if q is None else quantile(p.value.at[rows].set(0.0), q)
    return p._replace(value=p.value.at[rows].set(new))


def quantile(value: Float[Array, " capacity"], q: float) -> Float[Array, ""]:
    """The smallest priority that is no smaller than a share q of the stored ones; 1 without any."""
    n = (value > 0).sum()
    rank = jnp.clip(jnp.ceil(q * n).astype(int), 1, n)  # nearest rank, from 1
    return jnp.where(n > 0, jnp.sort(value, descending=True)[n - rank], 1.0)


def update_priorities(
    p: Priorities,
    rows: Int[Array, " B"],
    measured: Float[Array, "B T"],
    mask: Bool[Array, "B T"],
    config: Replay,
) -> Priorities:
    """The priorities after an update: aggregate over valid steps of what was measured (unweighted
    |δ|, or raw weights), plus epsilon.

    If a row occurs twice, the last occurrence counts. An episode with a NaN or an infinity at a
    valid step, or with a sum that overflows, keeps its priority.
    """
    new = aggregate(measured, mask, config.aggregate) + config.per_epsilon
    draws = jnp.where(jnp.isfinite(new), jnp.arange(len(rows)), -1)
    # unlike setting a row twice, a maximum does not depend on the order of writes
    last = jnp.full(p.value.shape, -1).at[rows].max(draws)
    value = jnp.where(last >= 0, new[last], p.value)
    return Priorities(value, jnp.maximum(p.largest, value.max()))


def aggregate(
    measured: Float[Array, "B T"], mask: Bool[Array, "B T"], how: Aggregate
) -> Float[Array, " B"]:
    """One number per episode from those of its valid steps; 0 without any. Signs are dropped."""
    size = jnp.where(mask, jnp.abs(measured), 0.0)
    n, total, largest = jnp.maximum(mask.sum(-1), 1), size.sum(-1), size.max(-1)
    return {
        "sqrt_len": total / jnp.sqrt(n),  # PyMARL2, per_run
        "mean": total / n,  # MuZero-general
        "max": largest,
        "r2d2": 0.9 * largest + 0.1 * total / n,  # Kapturowski et al. 2019
        "sum": total,
    }[how]


# --- sampling ------------------------------------------------------------------------------------


def sample(
    key: PRNGKeyArray,
    replay_buffer: ReplayBuffer,
    priorities: Priorities,
    batch_size: int,
    config: Replay,
    env_steps: Int[Array, ""],
    total_steps: int,
) -> tuple[Int[Array, " B"], Float[Array, " B"]]:
    """(rows, importance) of a batch drawn as configured, longest episodes first.

    The run has come to `env_steps` of `total_steps`.
    """
    if config.sampling == "prioritized":
        beta = beta_at(env_steps, total_steps, config)
        n_stored = jnp.minimum(replay_buffer.n_added, priorities.value.size)
        drawn = draw(key, priorities, n_stored, batch_size, config, beta)
        rows, importance = drawn.rows, drawn.importance
    else:
        rows = buffer.uniform_rows(key, replay_buffer, batch_size)
        importance = jnp.ones(batch_size)
    order = buffer.longest_first(replay_buffer, rows)
    return rows[order], importance[order]


def probabilities(
    p: Priorities, n_filled: Int[Array, ""] | int, config: Replay
) -> Float[Array, " capacity"]:
    """The probability of each row in a single draw.

    Equal over the first `n_filled` rows if all priorities are 0. Among equal priorities the lower
    row ranks first. Source: Schaul et al. 2016, section 3.3.
    """
    if config.order == "rank":
        inverse_rank = 1.0 / jnp.arange(1, p.value.size + 1)
        share = jnp.zeros_like(p.value).at[jnp.argsort(-p.value)].set(inverse_rank)
    else:  # relative to the largest, so that no power overflows
        share = p.value / jnp.maximum(p.value.max(), jnp.finfo(p.value.dtype).tiny)
    share = jnp.where(p.value > 0, share**config.per_alpha, 0.0)  # 0⁰ is 0 here
    is_filled = jnp.arange(share.size) < n_filled
    share = jnp.where((share > 0).any(), share, is_filled.astype(share.dtype))
    return share / sum_tree(share)[-1]  # Eq. (1)


def importance(
    probability: Float[Array, " capacity"], beta: Float[Array, ""] | float
) -> Float[Array, " capacity"]:
    """(N P)^−beta over its maximum among all stored episodes; 0 for rows that are never drawn.

    N, the number of episodes, cancels. The maximum is the buffer's, as in PyMARL2 (`max_i` in
    Schaul et al. 2016, Algorithm 1): the batch's own would scale the step size of every batch.
    """
    drawable = probability > 0
    smallest = jnp.where(drawable, probability, jnp.inf).min()
    return jnp.where(drawable, (smallest / probability) ** beta, 0.0)  # section 3.4


def draw(
    key: PRNGKeyArray,
    p: Priorities,
    n_filled: Int[Array, ""] | int,
    batch_size: int,
    config: Replay,
    beta: Float[Array, ""] | float,
) -> SampledRows:
    """Rows with replacement, stratified: one draw from each of `batch_size` equal segments.

    On average each row occurs as often as in independent draws, with less variance. Probabilities
    are accurate to about 1e-7, the resolution of float32. Undefined for an empty buffer.

    Source: Schaul et al. 2016, appendix.
    """
    probability = probabilities(p, n_filled, config)
    tree = sum_tree(probability)
    where = (jnp.arange(batch_size) + jax.random.uniform(key, (batch_size,))) / batch_size
    rows = find(tree, where * tree[-1])
    return SampledRows(rows, probability[rows], importance(probability, beta)[rows])


def sum_tree(leaves: Float[Array, " capacity"]) -> list[Float[Array, " _"]]:
    """The levels from the leaves, padded with zeros to a power of two, to the total, [1]."""
    width = 1 << (leaves.size - 1).bit_length()
    levels = [jnp.pad(leaves, (0, width - leaves.size))]
    while levels[-1].size > 1:
        levels.append(levels[-1][0::2] + levels[-1][1::2])
    return levels


def find(tree: list[Float[Array, " _"]], u: Float[Array, " B"]) -> Int[Array, " B"]:
    """The leaf whose share of [0, total) contains each `u`; never a leaf of 0, unless all are."""
    row = jnp.zeros(u.shape, jnp.int32)
    for level in tree[-2::-1]:
        left, right = level[2 * row], level[2 * row + 1]
        # rounding may have left u at or above the sum of its subtree: then the last leaf above 0
        goes_right = (u >= left) & (right > 0)
        u = jnp.where(goes_right, u - left, u)
        row = 2 * row + goes_right
    return row


def beta_at(env_steps: Int[Array, ""] | int, total_steps: int, config: Replay) -> Float[Array, ""]:
    """Beta at this number of env steps: linear until `total_steps`, then `per_beta_finish`."""
    done = jnp.minimum(1.0, jnp.asarray(env_steps) / total_steps)
    return config.per_beta + (config.per_beta_finish - config.per_beta) * done  # section 3.4
