"""What a run has learned: its experiment, its trainer and the parameters of its seeds."""

from dataclasses import replace
from typing import NamedTuple

import jax

from macpo.bounds import checked
from macpo.envs.base import EnvConfig
from macpo.errors import require
from macpo.experiment import Experiment
from macpo.machine import prepare_jax
from macpo.runs.acting import Acting, acting_of
from macpo.runs.directory import RunDirectory
from macpo.runs.saving import Which, read_model
from macpo.training.trainer import Trainer, make_trainer
from macpo.types import PyTree, Spec


class Trained(NamedTuple):
    """A run that has reached a checkpoint."""

    experiment: Experiment
    trainer: Trainer
    params: PyTree
    """Leaves [K, ...], as NumPy arrays."""

    def params_of(self, k: int) -> PyTree:
        """What the k-th seed has learned."""
        return jax.device_put(jax.tree.map(lambda x: x[k], self.params))


def read_trained(
    directory: RunDirectory,
    env: EnvConfig | str | None = None,
    which: Which = "last",
    *,
    trust: bool = False,
) -> Trained:
    """The experiment of a run, its trainer and parameters; with an `env`, for that environment.

    The parameters are those of the training all the same: a mixer of so many agents is not needed
    to act. UsageError if there is no checkpoint yet, or if the environment does not fit. `trust`
    allows names that are not registered (`macpo.experiment.from_dict`).
    """
    which = checked(which, Which, "which")
    experiment = planned = directory.read_experiment(trust=trust)
    prepare_jax()
    trainer = make_trainer(experiment)
    params = read_model(directory, planned, trainer.state_shapes.learner.params, which)
    if env is not None:
        trained = trainer
        experiment = replace(experiment, env=env)
        trainer = make_trainer(experiment)
        check_can_play(trained.env.spec, trainer.env.spec, acting_of(trained.algorithm))
    return Trained(experiment, trainer, params)


def check_can_play(trained_on: Spec, other: Spec, acting: Acting | None) -> None:
    """UsageError unless the agents' network takes what the other environment gives."""
    sizes = ["n_actions", "obs_size", "obs_last_action", "obs_agent_id"]
    if acting is None:  # nobody knows what its own way of acting depends on
        sizes += ["n_agents", "state_size"]
    unlike = [
        f"{name} {getattr(other, name)} for {getattr(trained_on, name)}"
        for name in sizes
        if getattr(other, name) != getattr(trained_on, name)
    ]
    require(
        not unlike,
        f"a policy of {trained_on.name} cannot play {other.name}, which has {', '.join(unlike)}; "
        "choose an environment of the same sizes.",
    )
    require(
        other.n_agents == trained_on.n_agents or not trained_on.obs_agent_id,
        f"a policy of {trained_on.n_agents} agents cannot play {other.name} with "
        f"{other.n_agents}: an input of their network is the agent's index, one of "
        f"{trained_on.n_agents} (obs_agent_id); choose as many agents.",
    )
