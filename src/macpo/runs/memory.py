"""How much memory a run will take, worked out before any of it is allocated."""

from typing import NamedTuple

import jax
import numpy as np
from rich.console import Console

from macpo.envs.base import tree_bytes
from macpo.errors import UsageError
from macpo.kernels import shard
from macpo.machine import available_bytes, on_accelerator
from macpo.terminal import say
from macpo.training.trainer import Trainer
from macpo.types import action_dtype


class PlannedBytes(NamedTuple):
    """Bytes a run will take, by what for."""

    replay: int
    networks: int
    update: int
    """The work space of one gradient step."""
    saving: int
    """A checkpoint and the file made of it; they take no memory of an accelerator."""
    playing: int
    """The episodes of an iteration or of an evaluation, whichever takes more."""


def planned_bytes(trainer: Trainer) -> PlannedBytes:
    """What a run of this trainer will allocate."""
    run = trainer.run
    replay = tree_bytes(trainer.seed_shapes.replay_buffer)
    networks = tree_bytes(trainer.seed_shapes.learner)
    # the cores of a CPU are devices of one memory, and each has replay and networks
    at_once = run.seeds if on_accelerator() else 1
    copies = run.seeds * (1 if on_accelerator() else shard.n_devices(run.batch_size))
    return PlannedBytes(
        replay=copies * replay,
        networks=copies * networks,
        update=at_once * trainer.algorithm.update_bytes(run.batch_size),
        saving=0 if on_accelerator() else 2 * run.seeds * (replay + networks),
        playing=at_once * _playing_bytes(trainer, replay // run.buffer_size),
    )


def _playing_bytes(trainer: Trainer, stored: int) -> int:
    """Bytes of one seed's rollout: the episodes recorded (`stored` bytes each), and the
    environments' states twice."""
    env, spec, run = trainer.env, trainer.env.spec, trainer.run
    shapes = jax.eval_shape(
        lambda: (env.reset(jax.random.key(0)), trainer.algorithm.initial_hidden(1))
    )
    state = 2 * tree_bytes(shapes)
    bytes_per_step = spec.n_agents * np.dtype(action_dtype(spec.n_actions)).itemsize + 4
    return max(
        run.batch_size_run * (stored + state),
        run.test_nepisode * (spec.episode_limit * bytes_per_step + state),
    )


def check_memory(trainer: Trainer, console: Console) -> None:
    """Print what the run will take; UsageError with advice if that much memory is not free."""
    planned = planned_bytes(trainer)
    total = sum(planned)
    parts = ", ".join(f"{name} {_megabytes(size)}" for name, size in planned._asdict().items())
    say(console, f"memory planned: {_megabytes(total)} ({parts})")
    available = _free_on_accelerator() if on_accelerator() else available_bytes()
    if available is not None and total > available:
        run = trainer.run
        raise UsageError(
            f"this run needs about {_megabytes(total)} but {_megabytes(available)} are free: "
            f"lower --buffer-size (now {run.buffer_size:,} episodes, "
            f"{_megabytes(planned.replay // run.buffer_size)} each), --seeds (now {run.seeds}), "
            f"--batch-size (now {run.batch_size:,}), --batch-size-run (now {run.batch_size_run:,}) "
            f"or --test-nepisode (now {run.test_nepisode:,})."
        )


def _free_on_accelerator() -> int | None:
    """Bytes that JAX may still allocate there; None where the device does not report it."""
    stats = jax.devices()[0].memory_stats() or {}
    limit = stats.get("bytes_limit")
    return None if limit is None else int(limit) - int(stats.get("bytes_in_use", 0))


def _megabytes(size: float) -> str:
    return f"{size / 1e6:,.0f} MB" if size >= 1e6 else f"{size / 1e3:,.1f} kB"
