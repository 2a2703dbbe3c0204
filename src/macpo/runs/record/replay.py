"""What replay is worth, recorded at evenly spaced moments of a run.

Moment i of K is taken at the end of the first chunk by which i/K of the run's env steps have been
played, if there has been an update by then; where several fall into one chunk, the last of them is.
Nothing of the run depends on it: the batch has a random key of its own, and is not learned from. A
moment is written before the checkpoint that follows it, and when a run is played again from an
earlier checkpoint, the same bytes are written again under the same name.
"""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import jax
import numpy as np

from macpo import registry
from macpo.bounds import Bounds, PositiveInt, check_fields
from macpo.errors import UsageError, require
from macpo.experiment import Experiment
from macpo.field_types import build
from macpo.learners.actor_critic import ActorCriticLearner
from macpo.runs.files import disk_errors, read_json, write_json
from macpo.runs.record.moment import (
    About,
    Moment,
    Part,
    choose,
    every_step,
    moment_file,
    write_moment,
)
from macpo.training.trainer import ExplainedBatch, Trainer, TrainState
from macpo.weighting.explained import explaining
from macpo.weighting.weighting import Weighting

MAX_MOMENTS = 100
Moments: TypeAlias = Annotated[int, Bounds(at_least=0, at_most=MAX_MOMENTS)]
"""Of a run; 0 for none."""


@dataclass(frozen=True)
class Plan:
    """Which moments of a run are recorded."""

    moments: Annotated[int, Bounds(at_least=1, at_most=MAX_MOMENTS)]
    steps: PositiveInt
    """Env steps among which they are spaced, or updates of a run that learns offline; a run that
    is extended goes on at their pace."""

    def __post_init__(self) -> None:
        check_fields(self, "plan")

    @classmethod
    def read(cls, folder: Path) -> "Plan | None":
        """The plan of a run whose moments are in this folder; None if it records none.

        UsageError if its file is damaged.
        """
        file = folder / "plan.json"
        with disk_errors(file, "read"):
            if not file.exists():
                return None
        data = read_json(file, "a plan of what to record of replay")
        try:
            require(isinstance(data, dict), "plan must be a JSON object.")
            return build(cls, data, "plan")
        except UsageError as error:
            raise UsageError(
                f"{file} is damaged: {error} Delete it to go on without recording replay."
            ) from error

    def write(self, folder: Path) -> None:
        """Write it to the folder, which is made for it."""
        with disk_errors(folder, "create"):
            folder.mkdir(exist_ok=True)
        write_json(folder / "plan.json", asdict(self))

    def passed(self, done: int, end: int) -> int:
        """How many moments there are up to this progress of a run that ends at `end`."""
        return min(done, end) * self.moments // self.steps


class ReplayRecorder:
    """Looks into replay when a moment has come, and writes what it finds."""

    def __init__(self, experiment: Experiment, trainer: Trainer, plan: Plan) -> None:
        require(
            not experiment.algorithm.about.on_policy,
            f"{registry.name_of(experiment.algorithm)} learns on-policy, each episode once, while "
            "it is new: there is no replay whose weights could be recorded; leave out "
            "--record-weights, or choose an algorithm with replay (`macpo list algorithms`).",
        )
        self.experiment, self.plan = experiment, plan
        learner: Any = trainer.algorithm  # whose weighting may be more than the experiment's
        # traced at once: what cannot be recorded leaves no run behind
        explain: Any = replace(trainer, algorithm=explaining(learner)).explain  # by `jax.jit`
        self._lowered = explain.lower(trainer.state_shapes)
        self._weighting: Weighting = learner.weighting
        self._explain: Any = None  # like what `jax.jit` makes
        self._by_episode = not isinstance(learner, ActorCriticLearner)

    @classmethod
    def planned(
        cls, experiment: Experiment, trainer: Trainer, moments: int
    ) -> "ReplayRecorder | None":
        """For a new run; None for no moments. UsageError if there is nothing to record."""
        if not moments:
            return None
        return cls(experiment, trainer, Plan(moments, experiment.run.end))

    @classmethod
    def resumed(
        cls, experiment: Experiment, trainer: Trainer, folder: Path
    ) -> "ReplayRecorder | None":
        """For a run that goes on, if it has a plan in this folder."""
        plan = Plan.read(folder)
        return None if plan is None else cls(experiment, trainer, plan)

    def record(self, folder: Path, state: TrainState, before: int, now: int) -> None:
        """Write the moment that has come between two states of progress, if one has."""
        end = self.experiment.run.end
        number = self.plan.passed(now, end)
        if number > self.plan.passed(before, end) and int(state.updates[0]):
            moment = self._look(state, number)
            if moment is not None:
                write_moment(moment_file(folder, number), moment)

    def _look(self, state: TrainState, number: int) -> Moment | None:
        """None if a resumed run has not yet refilled replay with a full batch."""
        if int(np.asarray(state.replay_buffer.n_added)[0]) < self.experiment.run.batch_size:
            return None
        if self._explain is None:
            self._explain = self._lowered.compile()
        batch: ExplainedBatch = jax.device_get(self._explain(state))
        why, weighting, n_episodes = batch.explanation, self._weighting, len(batch.importance)
        # what JAX returns is sorted by name
        factors = {n: why.log_factors[n] for n in weighting.factor_names if n in why.log_factors}
        batch = batch._replace(explanation=why._replace(log_factors=factors))
        steps = every_step(batch)
        has_parts = why.weights.ndim == 3 or len(why.mask) > n_episodes
        part: Part = ("agent" if self._by_episode else "critic") if has_parts else ""
        seed, env_steps, updates = (
            int(np.asarray(x)[0]) for x in (state.seed, state.env_steps, state.updates)
        )
        about = About(
            number,
            seed,
            env_steps,
            updates,
            weighting.name,
            weighting.summary,
            part,
            n_episodes,
            len(steps.step),
            tuple(factors),
        )
        return Moment(about, *choose(batch, steps))
