"""Runs: a directory that explains itself, compiled chunks, records, checkpoints, signals.

run = macpo.train(Experiment(env="predator-prey"))
policy = macpo.load(run.directory)
actions = policy.act(obs, avail_actions)
"""

import json
import os
import signal
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Int, Num
from rich.console import Console

import macpo
from macpo.envs.base import tree_bytes
from macpo.errors import UsageError, require
from macpo.experiment import Experiment, difference, digest, from_dict, to_dict
from macpo.kernels import shard
from macpo.machine import available_bytes, available_cores, keep_freed_memory
from macpo.replay import buffer
from macpo.runs import checkpoint
from macpo.runs.files import read_json, write_atomically, write_json
from macpo.runs.record import Row, Sink
from macpo.runs.record.console import ConsoleDisplay
from macpo.runs.record.jsonl import JsonLines
from macpo.runs.record.tensorboard import TensorBoard
from macpo.training.host.pool import Pool, Workers
from macpo.training.host.rollout import HostRollout, is_hosted
from macpo.training.trainer import Trainer, TrainState, evaluation_metrics, make_trainer
from macpo.types import Observation, PyTree, Spec

EXPERIMENT, METRICS, TIMING = "experiment.json", "metrics.jsonl", "timing.jsonl"
MODEL, CHECKPOINTS = "model.safetensors", "checkpoints"


@dataclass(frozen=True)
class RunResult:
    """Where a run is and how it ended."""

    directory: Path
    finished: bool
    """False if a signal stopped it; `macpo resume` goes on."""
    signal: int | None = None


def train(
    experiment: Experiment,
    directory: str | os.PathLike[str] | None = None,
    *,
    console: Console | None = None,
    tensorboard: bool = False,
    workers: Workers | None = None,
) -> RunResult:
    """Train from the start. The directory must be new; by default one under runs/ is named.

    Raises UsageError if the plan does not fit into memory or the directory is taken.
    """
    console = console or Console()
    path = Path(directory) if directory is not None else _new_directory(experiment)
    if (path / EXPERIMENT).exists():
        raise UsageError(
            f"{path} already holds a run; continue it with `macpo resume {path}` or choose "
            "another --out."
        )
    prepare_jax()
    trainer = make_trainer(experiment)
    print_plan(trainer, console)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"cannot create {path}: {error.strerror}; choose another --out."
        ) from error
    write_json(path / EXPERIMENT, to_dict(experiment))
    write_atomically(path / "README.md", _about(experiment, path).encode())
    return _drive(trainer, experiment, path, trainer.init(), 0, console, tensorboard, workers)


def resume(
    directory: str | os.PathLike[str],
    *,
    steps: int | None = None,
    console: Console | None = None,
    tensorboard: bool = False,
    workers: Workers | None = None,
) -> RunResult:
    """Continue a run from its last sound checkpoint, bit for bit; `steps` may extend it."""
    console = console or Console()
    path = Path(directory)
    experiment = read_experiment(path)
    if steps is not None:
        experiment = replace(experiment, run=replace(experiment.run, steps=steps))
    prepare_jax()
    trainer = make_trainer(experiment)
    like = jax.eval_shape(trainer.init)
    if not (path / CHECKPOINTS).is_dir():
        console.print("no checkpoint yet: starting from the beginning")
        state, length = trainer.init(), 0
    else:
        found = checkpoint.load_latest(path / CHECKPOINTS, like)
        for message in found.damaged:
            console.print(f"[yellow]skipped a damaged checkpoint[/yellow] {message}")
        saved = from_dict(found.info["experiment"])
        saved = replace(saved, run=replace(saved.run, steps=experiment.run.steps))
        changes = difference(saved, experiment)
        require(
            not changes,
            f"{path / EXPERIMENT} differs from what its checkpoint was trained with "
            f"({'; '.join(changes)}); restore it, or start another run with `macpo train`.",
        )
        state = jax.device_put(found.state, trainer.sharding)
        length = int(found.info["metrics_bytes"])
        size = (path / METRICS).stat().st_size if (path / METRICS).exists() else 0
        require(
            size >= length,
            f"{path / METRICS} has lost rows ({size} of {length} bytes); it must not be edited.",
        )
    write_json(path / EXPERIMENT, to_dict(experiment))
    print_plan(trainer, console)
    return _drive(trainer, experiment, path, state, length, console, tensorboard, workers)


def read_experiment(directory: Path) -> Experiment:
    """The experiment of a run directory; UsageError if it is none."""
    file = directory / EXPERIMENT
    if not file.is_file():
        raise UsageError(
            f"{directory} is no run directory: it has no {EXPERIMENT}. Runs are made by "
            "`macpo train`, by default under runs/."
        )
    data = read_json(file, "an experiment")
    require(isinstance(data, dict), f"{file} holds no experiment, but {type(data).__name__}.")
    return from_dict(data)


# --- driving ------------------------------------------------------------------------------------


def _drive(
    trainer: Trainer,
    experiment: Experiment,
    path: Path,
    state: TrainState,
    length: int,
    console: Console,
    tensorboard: bool,
    workers: Workers | None,
) -> RunResult:
    """Play and learn what is left of a run."""
    steps, done = experiment.run.steps, _host(state.env_steps).min()
    if done >= steps:
        console.print(f"already at {done:,} of {steps:,} env steps")
        return RunResult(path, finished=True)
    with _compiled(trainer, experiment, state, console, workers) as (chunk, evaluate):
        return _loop(chunk, evaluate, experiment, path, state, length, console, tensorboard)


def _loop(
    chunk: Callable[..., Any],
    evaluate: Callable[..., Any],
    experiment: Experiment,
    path: Path,
    state: TrainState,
    length: int,
    console: Console,
    tensorboard: bool,
) -> RunResult:
    """Chunks until the steps are played or a signal comes."""
    run = experiment.run
    env_steps = _host(state.env_steps)
    rows = JsonLines(path / METRICS, length)
    display = ConsoleDisplay(console, run.steps, run.seeds, int(env_steps.min()))
    optional: list[Sink] = [TensorBoard(path / "tensorboard")] if tensorboard else []
    clock = _Clock(path / TIMING, int(env_steps.sum()))

    def save() -> None:
        info = {"experiment": to_dict(experiment), "metrics_bytes": rows.sync()}
        host = jax.device_get(state)
        checkpoint.save(path / CHECKPOINTS, int(host.iteration.max()), host, info)
        write_atomically(path / MODEL, checkpoint.to_bytes(host.learner.params))
        clock.write(host, "checkpoint")

    def write(row: Row) -> None:
        rows.write(row)
        display.write(row)
        for sink in [*optional]:
            try:
                sink.write(row)
            except Exception as error:  # losing a sink never loses a run
                optional.remove(sink)
                console.print(f"[yellow]{type(sink).__name__} stopped: {error}[/yellow]")

    saved_at = int(env_steps.min()) // run.checkpoint_interval
    with _signals() as stopped:
        try:
            while env_steps.min() < run.steps and not stopped:
                mark = (int(env_steps.min()) // run.test_interval + 1) * run.test_interval
                mark = min(mark, run.steps)
                before = _host(state.iteration)
                try:
                    state, metrics = chunk(state, jnp.asarray(mark, jnp.int32))
                except UsageError as error:  # of an environment that is not JAX
                    save()
                    raise UsageError(
                        f"{error}\nThe run is saved at {env_steps.min():,} env steps; "
                        f"afterwards go on with: macpo resume {path}"
                    ) from error
                env_steps, after = _host(state.env_steps), _host(state.iteration)
                for row in _train_rows(metrics, after - before, _host(state.seed)):
                    write(row)
                if env_steps.min() >= mark:
                    for row in _test_rows(evaluate(state), state, run.batch_size_run):
                        write(row)
                clock.write(state, "chunk")
                display.refresh()
                if env_steps.min() // run.checkpoint_interval > saved_at:
                    saved_at = int(env_steps.min()) // run.checkpoint_interval
                    save()
            save()
        finally:
            for sink in (rows, display, *optional, clock):
                sink.close()
    if stopped:
        console.print(
            f"stopped by {signal.Signals(stopped[0]).name} at {env_steps.min():,} env steps; "
            f"saved. Continue with: macpo resume {path}"
        )
    return RunResult(path, finished=not stopped, signal=stopped[0] if stopped else None)


@contextmanager
def _compiled(
    trainer: Trainer,
    experiment: Experiment,
    state: TrainState,
    console: Console,
    workers: Workers | None,
) -> Generator[tuple[Callable[..., Any], Callable[..., Any]]]:
    """The two functions of a run: (state, mark) → (state, metrics), and state → metrics."""
    start = time.monotonic()
    waiting = "compiling (a minute at most; later runs find it in the cache)"
    with ExitStack() as stack:
        if is_hosted(trainer):  # workers start while this process compiles
            pool = stack.enter_context(_pool(experiment, trainer, workers))
            rollout = HostRollout(trainer, pool)
            with console.status(waiting):
                rollout.learn  # noqa: B018 (compiled when first asked for)
            functions = rollout.chunk, rollout.evaluate
        else:
            mark, most = jnp.asarray(0, jnp.int32), chunk_length(trainer)
            with console.status(waiting):
                chunk = _lower(trainer.chunk, state, mark, most)
                functions = chunk, _lower(trainer.evaluate, state)
        console.print(f"compiled in {time.monotonic() - start:.1f} s")
        yield functions


def _pool(
    experiment: Experiment, trainer: Trainer, workers: Workers | None, parallel: int | None = None
) -> Pool:
    """Workers for the experiment's environment; by default as many as training has."""
    part = to_dict(experiment)["env"]
    return Pool(part, trainer.env.spec, parallel or experiment.run.batch_size_run, workers)


def _lower(jitted: Any, *args: Any) -> Callable[..., Any]:
    return jitted.lower(*args).compile()


def chunk_length(trainer: Trainer) -> int:
    """Iterations in a chunk: at most about as many as between two evaluations."""
    steps = trainer.env.spec.episode_limit * trainer.run.batch_size_run
    return min(max(trainer.run.test_interval // steps, 1), 64)


def _train_rows(metrics: PyTree, made: Int[np.ndarray, " K"], seeds: np.ndarray) -> Iterator[Row]:
    """Rows of the iterations made; values of updates that did not happen (NaN) are left out."""
    host = jax.device_get(metrics)
    for k, seed in enumerate(seeds):
        for i in range(int(made[k])):
            row: Row = {"kind": "train", "seed": int(seed)}
            for name in ("env_steps", "episodes", "updates"):
                row[name] = int(host[name][k, i])
            learned = row["updates"] != 0
            for name in sorted(set(host) - set(row)):
                value = host[name][k, i].item()
                if np.isfinite(value):
                    row[name] = value
                elif learned:
                    row[name] = str(value)  # "nan": kept visible, and valid JSON
            yield row


def _test_rows(metrics: PyTree, state: TrainState, batch_size_run: int) -> Iterator[Row]:
    host, counters = jax.device_get(
        (metrics, (state.seed, state.env_steps, state.iteration, state.updates))
    )
    for k, (seed, env_steps, iteration, updates) in enumerate(zip(*counters, strict=True)):
        yield {
            "kind": "test",
            "seed": int(seed),
            "env_steps": int(env_steps),
            "episodes": int(iteration) * batch_size_run,
            "updates": int(updates),
            **{name: value[k].item() for name, value in sorted(host.items())},
        }


class _Clock:
    """timing.jsonl: wall time, kept apart because it differs between equal runs."""

    def __init__(self, file: Path, env_steps: int) -> None:
        self._handle = file.open("a", buffering=1)  # a line at a time
        self._start = self._last = time.monotonic()
        self._steps = env_steps

    def write(self, state: TrainState, what: str) -> None:
        now, steps = time.monotonic(), int(_host(state.env_steps).sum())
        row = {
            "what": what,
            "env_steps": steps,
            "updates": int(_host(state.updates).sum()),
            "wall_s": round(now - self._start, 3),
            "env_steps_per_s": round((steps - self._steps) / max(now - self._last, 1e-9), 1),
        }
        self._handle.write(json.dumps(row) + "\n")
        self._last, self._steps = now, steps

    def close(self) -> None:
        self._handle.close()


@contextmanager
def _signals() -> Generator[list[int]]:
    """The signals that asked us to stop; a second one of the same kind acts as usual."""
    received: list[int] = []

    def note(number: int, frame: object) -> None:
        received.append(number)
        signal.signal(number, old[number])

    old: dict[int, Any] = {}
    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            old[number] = signal.signal(number, note)
    except ValueError:  # not in the main thread: whoever is there handles signals
        pass
    try:
        yield received
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)


# --- before a run -------------------------------------------------------------------------------


def prepare_jax() -> None:
    """Keep compiled programs on disk and freed memory in the process, and use every core.

    The last needs to come before JAX is used for anything else in the process.
    """
    keep_freed_memory()
    if jax.config.jax_num_cpu_devices < 1:  # pyright: ignore[reportAttributeAccessIssue]
        with suppress(RuntimeError):  # JAX has already been used: it keeps its one device
            jax.config.update("jax_num_cpu_devices", min(available_cores(), shard.MAX_DEVICES))
    if jax.config.jax_compilation_cache_dir is None:  # pyright: ignore[reportAttributeAccessIssue]
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "macpo" / "jax"
        jax.config.update("jax_compilation_cache_dir", str(cache))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)


def planned_bytes(trainer: Trainer) -> dict[str, int]:
    """Bytes a run will take: replay, networks, one update's work, and a checkpoint's."""
    run = trainer.run
    ring = buffer.planned_bytes(trainer.env, run.buffer_size)
    learner = tree_bytes(jax.eval_shape(trainer.algorithm.init, jax.random.key(0)))
    work = trainer.algorithm.update_bytes(run.batch_size)
    # the cores of a CPU are devices of one memory, and each has replay and networks
    copies = run.seeds * (shard.n_devices(run.batch_size) if _on_cpu() else 1)
    saving = 2 * run.seeds * (ring + learner) if _on_cpu() else 0  # a file, and what goes into it
    return {
        "replay": copies * ring,
        "networks": copies * learner,
        "update": work,
        "saving": saving,
    }


def print_plan(trainer: Trainer, console: Console) -> None:
    """Say what will be allocated; UsageError with advice if the machine has not got it."""
    plan = planned_bytes(trainer)
    total = sum(plan.values())
    parts = ", ".join(f"{name} {_megabytes(size)}" for name, size in plan.items())
    console.print(f"memory planned: {_megabytes(total)} ({parts})", highlight=False)
    available = available_bytes() if _on_cpu() else _free_on_accelerator()
    if available is not None and total > available:
        run = trainer.run
        raise UsageError(
            f"this run needs about {_megabytes(total)} but {_megabytes(available)} are free: "
            f"lower --buffer-size (now {run.buffer_size:,} episodes, "
            f"{_megabytes(plan['replay'] // run.buffer_size)} each), --seeds (now {run.seeds}) or "
            f"--batch-size (now {run.batch_size})."
        )


def _on_cpu() -> bool:
    return jax.default_backend() == "cpu"


def _free_on_accelerator() -> int | None:
    """Bytes that JAX may still take there; None where it does not say."""
    stats = jax.devices()[0].memory_stats() or {}
    limit = stats.get("bytes_limit")
    return None if limit is None else int(limit) - int(stats.get("bytes_in_use", 0))


def _megabytes(size: float) -> str:
    return f"{size / 1e6:,.0f} MB" if size >= 1e6 else f"{size / 1e3:,.1f} kB"


def _new_directory(experiment: Experiment) -> Path:
    name = f"{experiment.title.replace(' ', '_').replace(':', '.')}_{digest(experiment)}"
    path, n = Path("runs") / name, 1
    while path.exists():
        n += 1
        path = Path("runs") / f"{name}_{n}"
    return path


def _about(experiment: Experiment, path: Path) -> str:
    return f"""# {experiment.title}

A run of macpo {macpo.__version__} with JAX {jax.__version__} on {jax.default_backend()}.

| file | what it holds |
|---|---|
| `{EXPERIMENT}` | every setting; `macpo train --config {path}/{EXPERIMENT}` repeats the run |
| `{METRICS}` | one JSON object a line: `train` rows after each iteration, `test` rows from \
greedy episodes; the same bytes whenever the run is repeated on the same machine |
| `{TIMING}` | wall time and speed |
| `{MODEL}` | the networks' weights, readable by any safetensors reader |
| `{CHECKPOINTS}/` | everything needed to continue: `macpo resume {path}` |
| `learning_curve.png`, `episode.gif` | the result, once the run has ended |

Units: env steps, episodes and updates (gradient steps) are per seed.
"""


def _host(x: Any) -> np.ndarray:
    return np.asarray(jax.device_get(x))


# --- after a run --------------------------------------------------------------------------------


class Policy:
    """The greedy policy of a trained run. Acts for all agents, one env step after another.

    `env`, a name or a `Config`, is what it is to play instead of what it was trained on; UsageError
    if agents, actions, observations or state differ in number or size.
    """

    def __init__(
        self, directory: str | os.PathLike[str], seed: int | None = None, env: Any = None
    ) -> None:
        path = Path(directory)
        self.experiment, self.trainer = _trained(path, env)
        run = self.experiment.run
        index = 0 if seed is None else seed - run.seed
        require(
            0 <= index < run.seeds,
            f"{path} has seeds {run.seed} to {run.seed + run.seeds - 1}, not {seed}.",
        )
        self.params = _trained_params(path, self.trainer, run.seeds)[index]
        self._act = jax.jit(self.trainer.algorithm.act)
        self.reset()

    def reset(self) -> None:
        """Begin a new episode: forget what was seen and done."""
        spec = self.trainer.env.spec
        self._hidden = self.trainer.algorithm.initial_hidden(1)
        self._last_action = jnp.full((1, spec.n_agents), -1, jnp.int8)

    def act(
        self, obs: Num[Any, "N O"], avail_actions: Bool[Any, "N A"] | None = None
    ) -> Int[np.ndarray, " N"]:
        """Greedy actions of all agents; without `avail_actions` all are taken to be available."""
        spec = self.trainer.env.spec
        obs = jnp.asarray(obs)
        avail = jnp.ones((spec.n_agents, spec.n_actions), bool)
        if avail_actions is not None:
            avail = jnp.asarray(avail_actions).astype(bool)
        for name, x, size in (
            ("obs", obs, spec.obs_size),
            ("avail_actions", avail, spec.n_actions),
        ):
            require(
                x.shape == (spec.n_agents, size),
                f"act: {name} must have shape ({spec.n_agents}, {size}), not {x.shape}.",
            )
        require(bool(avail.any(-1).all()), "act: every agent needs at least one available action.")
        seen = Observation(obs[None], jnp.zeros((1, spec.state_size)), avail[None])
        self._hidden, actions = self._act(
            self.params, jax.random.key(0), self._hidden, seen, self._last_action, None
        )
        self._last_action = actions
        return np.asarray(actions[0])


def load(directory: str | os.PathLike[str], seed: int | None = None, *, env: Any = None) -> Policy:
    """The trained policy of a run directory; `seed` chooses one of several, `env` is another
    environment of the same sizes (a name or a `Config`)."""
    return Policy(directory, seed, env)


def _trained(path: Path, env: Any) -> tuple[Experiment, Trainer]:
    """The experiment of a run and its trainer; with an `env`, of that environment instead."""
    experiment = read_experiment(path)
    prepare_jax()
    if env is None:
        return experiment, make_trainer(experiment)
    trained_on = experiment.env.make().spec
    experiment = replace(experiment, env=env)
    trainer = make_trainer(experiment)
    _check_alike(trained_on, trainer.env.spec)
    return experiment, trainer


def _trained_params(path: Path, trainer: Trainer, seeds: int) -> list[Any]:
    """What every seed of a run has learned."""
    file = path / MODEL
    if not file.is_file():
        raise UsageError(f"{path} has no {MODEL} yet: the run has not reached a checkpoint.")
    like = jax.eval_shape(trainer.init).learner.params
    params = checkpoint.from_bytes(file.read_bytes(), like, file)
    return [jax.tree.map(lambda x, k=k: jnp.asarray(x[k]), params) for k in range(seeds)]


def _check_alike(trained_on: Spec, other: Spec) -> None:
    sizes = ("n_agents", "n_actions", "obs_size", "state_size")
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


def play(policy: Policy, seed: int = 0) -> tuple[list[Any], np.ndarray, np.ndarray]:
    """One greedy episode: (states of length T+1, actions [T, N], rewards [T])."""
    env = policy.trainer.env
    if is_hosted(policy.trainer):
        return _play_hosted(policy, seed)
    reset, step = jax.jit(env.reset), jax.jit(env.step)
    key = jax.random.key(seed)
    state, timestep = reset(key)
    policy.reset()
    states, actions, rewards = [state], [], []
    while not (timestep.terminated or timestep.truncated):
        action = policy.act(timestep.obs, timestep.avail_actions)
        key, step_key = jax.random.split(key)
        state, timestep = step(step_key, state, jnp.asarray(action))
        states.append(state)
        actions.append(action)
        rewards.append(float(timestep.reward))
    return states, np.stack(actions), np.asarray(rewards, np.float32)


def _play_hosted(policy: Policy, seed: int) -> tuple[list[Any], np.ndarray, np.ndarray]:
    with _pool(policy.experiment, policy.trainer, None, parallel=1) as pool:
        rollout = HostRollout(policy.trainer, pool)
        episodes = rollout.fresh_episodes(policy.params, seed, 1, keep_states=True).episodes
    length = int(episodes.length[0])
    states = [Observation(*(x[0, t] for x in episodes.encoded_state)) for t in range(length + 1)]
    return states, np.asarray(episodes.actions[0, :length]), np.asarray(episodes.reward[0, :length])


def evaluate(
    directory: str | os.PathLike[str],
    episodes: int = 320,
    seed: int = 0,
    *,
    env: Any = None,
    epsilon: float | None = None,
    workers: Workers | None = None,
) -> list[dict[str, float]]:
    """Returns of every trained seed over `episodes` fresh episodes, one row a seed.

    Greedy without an `epsilon`; with one, actions are those of training with that exploration:
    at 0 an algorithm with policies draws from them.

    Outcomes that the environment reports (`info`) are among the columns, `test_NAME_mean` each.
    `env` is another environment than that of the training, as for `load`.
    """
    require(episodes >= 1, f"episodes must be at least 1, not {episodes}.")
    require(epsilon is None or 0 <= epsilon <= 1, f"epsilon must be in [0, 1], not {epsilon}.")
    path = Path(directory)
    experiment, trainer = _trained(path, env)
    run = experiment.run
    rows: list[dict[str, float]] = []
    with ExitStack() as stack:
        play = trainer.fresh_episodes
        if is_hosted(trainer):
            pool = stack.enter_context(_pool(experiment, trainer, workers))
            play = HostRollout(trainer, pool).fresh_episodes
        for k, params in enumerate(_trained_params(path, trainer, run.seeds)):
            played = evaluation_metrics(play(params, seed, episodes, epsilon))
            metrics = {name: float(x) for name, x in played.items()}
            metrics["test_return_sem"] = metrics["test_return_std"] / episodes**0.5
            rows.append({"seed": run.seed + k, "episodes": episodes, **metrics})
    return rows
