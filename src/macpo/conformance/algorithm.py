"""The promises of an algorithm: each is a check that yields a finding where it is broken.

The first sentence of a check's docstring says what holds if it yields nothing. All take a
`Subject`, whose episodes are written at random on a `Canvas`.
"""

import dataclasses
import functools
import itertools
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, PRNGKeyArray

from macpo.conformance.canvas import CANVAS, Canvas, past_end, scribble, spoiled
from macpo.conformance.findings import examine
from macpo.envs.base import Environment
from macpo.experiment import Experiment
from macpo.interop.check import Result
from macpo.interop.promises import Finding, Promise, broken
from macpo.learners.base import About, Algorithm, AlgorithmConfig, LearnerState, UpdateResult
from macpo.runs import arrays
from macpo.training.trainer import make_trainer
from macpo.types import Batch, Episodes, Observation, PyTree, Untyped
from macpo.weighting import Uniform

SPEC = dataclasses.replace(CANVAS, episode_limit=3)
LENGTHS = (3, 2)
MAX_EPISODES = 64
"""In replay."""
UPDATES = 60
"""Of a frozen batch."""
EPSILONS = (None, 0.0, 0.5, 1.0)
MANY_ACTIONS = 300
"""More than one byte can number."""
SUBSETS = [s for s in itertools.product([False, True], repeat=SPEC.n_actions) if any(s)]
AVAIL = np.array(list(itertools.product(SUBSETS, repeat=SPEC.n_agents)))
"""Every choice of available actions."""


@dataclass(frozen=True)
class Subject:
    """An algorithm that is examined, without a weighting."""

    config: AlgorithmConfig

    @functools.cached_property
    def learner(self) -> Algorithm:
        """On a canvas."""
        return self.config.make(Canvas(SPEC), Uniform())

    @functools.cached_property
    def state(self) -> LearnerState:
        """Before the first update."""
        return self.learner.init(jax.random.key(0))

    @functools.cached_property
    def compiled_update(self) -> Callable[[LearnerState, Batch, PRNGKeyArray], UpdateResult]:
        """The learner's, compiled once for each size of a batch."""
        return jax.jit(self.learner.update)

    @functools.cached_property
    def compiled_act(self) -> Callable[..., tuple[PyTree, Int[Array, "B N"]]]:
        """The learner's, compiled once for each size of a batch, with and without an epsilon."""
        return jax.jit(self.learner.act)

    def update(self, episodes: Episodes, state: LearnerState | None = None) -> UpdateResult:
        """One update with these episodes."""
        batch = batch_of(self.learner, episodes)
        state = self.state if state is None else state
        return self.compiled_update(state, batch, jax.random.key(1))

    @functools.cached_property
    def wild_params(self) -> PyTree:
        """Parameters so large that they saturate whatever they enter."""
        rng = np.random.default_rng(0)
        return jax.tree.map(lambda x: np.float32(1e3 * rng.normal(size=x.shape)), self.state.params)

    def act(
        self,
        epsilon: float | None,
        key: PRNGKeyArray,
        params: PyTree = None,
        copies: int = 1,
        steps: int = 1,
    ) -> Int[Array, "B N"]:
        """The last of some steps' actions of agents with every choice of available ones."""
        rng, avail = np.random.default_rng(0), jnp.repeat(jnp.asarray(AVAIL), copies, 0)
        n, params = len(avail), self.state.params if params is None else params
        hidden, last = self.learner.initial_hidden(n), jnp.full((n, SPEC.n_agents), -1, jnp.int8)
        for t in range(steps):
            obs = jnp.float32(rng.normal(size=(n, SPEC.n_agents, SPEC.obs_size)))
            state = jnp.float32(rng.normal(size=(n, SPEC.state_size)))
            observation, now = Observation(obs, state, avail), jax.random.fold_in(key, t)
            hidden, last = self.compiled_act(params, now, hidden, observation, last, epsilon)
        return last


def batch_of(learner: Algorithm, episodes: Episodes) -> Batch:
    """The episodes, longest first, which are also the newest where a learner asks for such."""
    n = len(episodes.length)
    batch = Batch(episodes, jnp.ones(n), env_steps=1000)
    wanted = learner.recent_episodes(n, MAX_EPISODES)
    if wanted is None:
        return batch
    rows = np.sort(np.arange(wanted.n_episodes) % n)  # keeps the longest first
    recent = jax.tree.map(lambda x: x[rows], episodes)
    return batch._replace(recent=recent, recent_differs=True)


def check_algorithm(config: AlgorithmConfig) -> Iterator[Result]:
    """Every check of an algorithm, in turn."""
    return examine(PROMISES, Subject(config))


def _episodes(terminated: bool = False) -> Episodes:
    return scribble(SPEC, LENGTHS, [terminated, True])


def _same(one: PyTree, other: PyTree) -> bool:
    pairs = zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
    return all(np.array_equal(x, y, equal_nan=True) for x, y in pairs)


# --- what it says of itself -----------------------------------------------------------------------


def about(subject: Subject) -> Iterator[Finding]:
    """Its row in the table of algorithms is complete."""
    found: object = getattr(subject.config, "about", None)
    if not isinstance(found, About):
        yield broken("about", "an About(…)", repr(found))
        return
    for name, value in found._asdict().items():
        if isinstance(value, str) and not value.strip():
            yield broken(f"about.{name}", "some words", "nothing")


def memory(subject: Subject) -> Iterator[Finding]:
    """It says how much memory an update takes."""
    few, many = (subject.learner.update_bytes(n) for n in (8, 128))
    if not 0 < few < many:
        yield broken("update_bytes", "more bytes for more episodes", f"{few} and {many}")


def schedules(subject: Subject) -> Iterator[Finding]:
    """With its own schedule, and 300 actions, a run can be planned and an update traced."""
    make_trainer(Experiment(_ManyActions(), subject.config)).check()
    yield from ()  # whatever is raised is the finding


@dataclass(frozen=True)
class _ManyActions:
    """A canvas for agents that have many actions."""

    def make(self) -> Environment:
        return Canvas(dataclasses.replace(SPEC, n_actions=MANY_ACTIONS))


# --- acting ---------------------------------------------------------------------------------------


def availability(subject: Subject) -> Iterator[Finding]:
    """An unavailable action is never chosen."""
    every = itertools.product(EPSILONS, (subject.state.params, subject.wild_params), (1, 3))
    for epsilon, params, steps in every:
        actions = np.asarray(subject.act(epsilon, jax.random.key(0), params, 1, steps)).astype(int)
        allowed = np.take_along_axis(AVAIL, actions[..., None], -1)[..., 0]
        for row, agent in np.argwhere(~allowed)[:1]:
            where = f"epsilon={epsilon}, agent {agent}"
            options = np.flatnonzero(AVAIL[row, agent]).tolist()
            yield broken(where, f"one of {options}", f"action {actions[row, agent]}")


def greedy(subject: Subject) -> Iterator[Finding]:
    """Without an epsilon chance has no part in what is done."""
    if not _same(*(subject.act(None, jax.random.key(seed)) for seed in range(2))):
        yield Finding("epsilon=None", "other actions with another random key")


def exploration(subject: Subject) -> Iterator[Finding]:
    """Exploring reaches every available action."""
    actions = np.asarray(subject.act(1.0, jax.random.key(0), copies=64))
    chosen = actions[..., None] == np.arange(SPEC.n_actions)
    reached = chosen.reshape(len(AVAIL), -1, *AVAIL.shape[1:]).any(1)
    for row, agent, action in np.argwhere(AVAIL & ~reached)[:1]:
        options = np.flatnonzero(AVAIL[row, agent]).tolist()
        yield Finding("epsilon=1", f"of actions {options} agent {agent} never takes {action}")


# --- learning -------------------------------------------------------------------------------------


def movement(subject: Subject) -> Iterator[Finding]:
    """Two updates move every parameter, and all stay finite."""
    state = subject.state
    for _ in range(2):
        state = subject.update(_episodes(), state).state
    for path, x in jax.tree_util.tree_leaves_with_path(state.params):
        before = subject.state.params
        for key in path:
            before = _child(before, key)
        moved = np.abs(np.asarray(x) - np.asarray(before)).max()
        if not 0 < moved < np.inf:
            name = jax.tree_util.keystr(path)
            yield Finding(name, "does not move" if moved == 0 else "is not finite")


def _child(tree: PyTree, key: Untyped) -> PyTree:
    if hasattr(key, "name"):
        return getattr(tree, key.name)
    return tree[key.idx if hasattr(key, "idx") else key.key]


def progress(subject: Subject) -> Iterator[Finding]:
    """Updates on a frozen batch lower the loss, or a critic's TD error."""
    state, measured = subject.state, list[float]()
    for _ in range(UPDATES):
        state, metrics, _ = subject.update(_episodes(), state)
        measured.append(float(metrics["td_error_abs" if "loss_critic" in metrics else "loss"]))
    if not measured[-1] < measured[0]:
        yield broken(f"{UPDATES} updates", f"less than {measured[0]:.4g}", f"{measured[-1]:.4g}")


def padding(subject: Subject) -> Iterator[Finding]:
    """What padding holds changes nothing."""
    clean = subject.update(_episodes())
    for garbage in (np.nan, np.inf, 1e30):
        if not _same(subject.update(spoiled(_episodes(), garbage)), clean):
            yield Finding(f"padding of {garbage:g}", "changes the update")


def errors(subject: Subject) -> Iterator[Finding]:
    """It returns |δ| of every step, positive on real steps and 0 on padding."""
    found = np.asarray(subject.update(_episodes()).td_error_abs)
    expected = (len(LENGTHS), SPEC.episode_limit)
    if found.shape != expected:
        yield broken("td_error_abs", f"shape {expected}", str(found.shape))
        return
    beyond = past_end(jnp.asarray(found), LENGTHS)
    if found[beyond].any():
        yield broken("td_error_abs on padding", "0", f"{found[beyond].max():g}")
    if not (found[~beyond] > 0).all():
        yield broken("td_error_abs", "more than 0 on real steps", f"{found[~beyond].min():g}")


def endings(subject: Subject) -> Iterator[Finding]:
    """A truncated episode bootstraps from its final state, a terminated one does not."""
    final = np.arange(SPEC.episode_limit + 1) == np.array(LENGTHS)[:, None]
    for terminated in (False, True):
        episodes = _episodes(terminated)._replace(terminated=jnp.array([terminated] * 2))
        obs, state, avail = episodes.encoded_state
        elsewhere = Observation(obs + final[..., None, None], state + final[..., None], avail)
        one, other = (
            subject.update(e).td_error_abs
            for e in (episodes, episodes._replace(encoded_state=elsewhere))
        )
        if terminated and not _same(one, other):
            yield Finding("terminated", "errors depend on the state after the end")
        if not terminated and _same(one, other):
            yield Finding("truncated", "errors do not depend on the final state")


def targets(subject: Subject) -> Iterator[Finding]:
    """Target networks change only when a copy is asked for, and nothing else does then."""
    result = subject.update(_episodes()).state
    if not _same(result.target_networks, subject.state.target_networks):
        yield Finding("update", "changes the target networks")
    synced = subject.learner.sync_targets(result)
    if not _same(synced.params, result.params) or not _same(synced.opt_state, result.opt_state):
        yield Finding("sync_targets", "changes more than the target networks")
    copies = subject.learner.sync_targets(synced)
    if not _same(copies.target_networks, synced.target_networks):
        yield Finding("sync_targets", "a second copy of the same networks is another one")


def metrics(subject: Subject) -> Iterator[Finding]:
    """Its metrics are finite numbers."""
    for name, x in subject.update(_episodes()).metrics.items():
        if np.ndim(x):
            yield broken(f"metric {name}", "a number", f"shape {np.shape(x)}")
        elif not np.isfinite(x):
            yield broken(f"metric {name}", "a finite number", f"{float(x):g}")


def saved(subject: Subject) -> Iterator[Finding]:
    """Everything learned survives being saved."""
    state = jax.device_get(subject.update(_episodes()).state)
    like = jax.eval_shape(subject.learner.init, jax.random.key(0))
    with tempfile.TemporaryDirectory() as folder:
        arrays.write(Path(folder) / "state", state)
        if not _same(arrays.read(Path(folder) / "state").tree(like), state):
            yield Finding("state", "comes back changed")


def repeated(subject: Subject) -> Iterator[Finding]:
    """The same update gives the same result."""
    if not _same(*(subject.update(_episodes()) for _ in range(2))):
        yield Finding("second update", "another result from the same state, batch and key")


PROMISES: tuple[Promise, ...] = (
    *(about, memory, schedules, availability, greedy, exploration, repeated, movement, progress),
    *(padding, errors, endings, targets, metrics, saved),
)
