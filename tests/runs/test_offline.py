"""Episodes out of a run's replay and into that of another; learning from them alone."""

import io
import json
import shutil
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from rich.console import Console

import macpo
from macpo import Experiment, Run, UsageError, read_replay, write_replay
from macpo.algorithms import VDN
from macpo.envs import PredatorPrey
from macpo.replay import Replay
from macpo.runs.cleaning import clean
from macpo.runs.directory import RunDirectory
from macpo.runs.episodes import CHUNK, Episode
from macpo.runs.offline import filled, pinned, read_episodes
from macpo.runs.record.moment import moment_files, read_moment
from macpo.runs.replay_file import read_about
from macpo.runs.saving import last_state
from macpo.training.host.pool import Workers
from macpo.training.player import CompiledPlayer
from macpo.training.trainer import TrainState, make_trainer
from macpo.types import Episodes
from tests.runs.conftest import SMALL, rows, train
from tests.support.sums import Config as Sums
from tests.support.torture.game import SMALLEST


def state_of(directory: Path) -> TrainState:
    """Of the run's last checkpoint."""
    files = RunDirectory(directory)
    experiment = files.read_experiment(trust=True)
    state = last_state(files, experiment, lambda: make_trainer(experiment).state_shapes).state
    assert state is not None
    return state


def said(run: Any, *arguments: Any, **options: Any) -> str:
    """What `train` or `resume` says."""
    console = Console(file=io.StringIO(), width=1000, record=True)
    run(*arguments, console=console, **options)
    return " ".join(console.export_text().split())


@pytest.fixture(scope="module")
def file(whole: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The episodes of `whole`, a run of 3,000 env steps."""
    file = tmp_path_factory.mktemp("episodes") / "whole.npz"
    macpo.export_replay(whole, file)
    return file


def offline(file: Path, updates: int = 40, **changed: Any) -> Experiment:
    """Of the same environment and networks as `whole`."""
    intervals = {"test_interval": 10, "checkpoint_interval": 10, "target_update_interval": 20}
    run = {**vars(SMALL.run), "steps": 0, "updates": updates, **intervals, **changed}
    return replace(SMALL, replay=Replay(from_file=str(file)), run=Run(**run))


@pytest.fixture(scope="module")
def learned(file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that has learned offline and was not interrupted."""
    directory = tmp_path_factory.mktemp("offline") / "learned"
    assert train(directory, offline(file)).finished
    return directory


# --- out of a run ---------------------------------------------------------------------------------


def test_a_file_has_the_episodes_of_replay_from_the_oldest_on(whole: Path, file: Path):
    replay = jax.tree.map(lambda x: x[0], state_of(whole).replay_buffer)
    n = int(replay.n_added)
    assert n == len(replay.episodes.length[replay.episodes.length > 0])  # it is not full
    found = [*read_replay(file)]
    assert [len(x.reward) for x in found] == replay.episodes.length[:n].tolist()
    for i, x in enumerate(found):
        length = len(x.reward)
        np.testing.assert_array_equal(x.reward, replay.episodes.reward[i, :length])
        np.testing.assert_array_equal(x.actions, replay.episodes.actions[i, :length])
        assert x.terminated == replay.episodes.terminated[i]
        assert x.obs.shape == (length + 1, 2, 75)


@pytest.mark.slow
def test_replay_that_has_turned_over_is_written_from_its_oldest_episode(tmp_path: Path):
    first, longer = (  # replay holds eight episodes of two env steps
        played(replace(SMALLEST, run=replace(SMALLEST.run, steps=n)), tmp_path) for n in (16, 24)
    )
    assert (len(first), len(longer)) == (8, 8)
    for a, b in zip(first[4:], longer[:4], strict=True):
        np.testing.assert_array_equal(a.obs, b.obs)
        np.testing.assert_array_equal(a.actions, b.actions)
    assert len({x.actions.tobytes() for x in (*first, *longer)}) > 4  # they can be told apart


def played(experiment: Experiment, folder: Path) -> list[Episode]:
    """The episodes that such a run has in replay at its end."""
    name = str(experiment.run.steps)
    train(folder / name, experiment)
    macpo.export_replay(folder / name, folder / f"{name}.npz")
    return [*read_replay(folder / f"{name}.npz")]


def test_a_file_tells_the_run_that_it_is_of(whole: Path, file: Path):
    about = read_about(file)
    assert about.experiment == json.loads((whole / "experiment.json").read_text())
    assert (about.seed, about.environment.name) == (0, "predator-prey")


def test_the_same_replay_goes_in_and_out_bit_for_bit(whole: Path, file: Path):
    about, env = read_about(file), SMALL.env.make()
    turns = [*read_episodes(file, about, env)]  # pyright: ignore[reportArgumentType]
    found = jax.tree.map(lambda *xs: np.concatenate(xs), *turns)
    expected = jax.tree.map(
        lambda x: x[0, : about.episodes], state_of(whole).replay_buffer.episodes
    )
    jax.tree.map(lambda a, b: np.testing.assert_array_equal(a, b, strict=True), found, expected)


def test_replay_is_filled_with_a_chunk_at_a_time_in_the_order_of_the_file(
    file: Path, tmp_path: Path
):
    some = tmp_path / "some.npz"
    write_replay(some, islice(read_replay(file), CHUNK + 30), SMALL.env.make().spec)
    experiment = offline(some, seeds=2)
    trainer, sizes = make_trainer(experiment), list[int]()
    fill = trainer.fill

    def counted(state: TrainState, episodes: Episodes) -> TrainState:
        sizes.append(len(episodes.length))
        return fill(state, episodes)

    vars(trainer)["fill"] = counted  # where a cached property has its value
    state = filled(trainer, experiment, trainer.init(), Console(quiet=True))
    assert sizes == [CHUNK, 30]
    replay, lengths = state.replay_buffer, [len(x.reward) for x in read_replay(some)]
    for k in range(2):
        assert int(replay.n_added[k]) == CHUNK + 30
        np.testing.assert_array_equal(replay.episodes.length[k, : CHUNK + 30], lengths)


def test_the_replay_of_a_run_that_has_learned_offline_is_the_file_that_it_began_with(
    file: Path, learned: Path, tmp_path: Path
):
    again = tmp_path / "again.npz"
    macpo.export_replay(learned, again)
    for a, b in zip(read_replay(file), read_replay(again), strict=True):
        jax.tree.map(np.testing.assert_array_equal, a._replace(encoded=()), b._replace(encoded=()))
        jax.tree.map(np.testing.assert_array_equal, dict(a.encoded), dict(b.encoded))


def test_only_a_run_whose_checkpoints_hold_replay_can_be_exported(whole: Path, tmp_path: Path):
    def refused(directory: Path, why: str, **options: Any) -> None:
        with pytest.raises(UsageError, match=why):
            macpo.export_replay(directory, tmp_path / "episodes.npz", **options)

    copy = shutil.copytree(whole, tmp_path / "copy")
    refused(copy, "has seeds 0 to 0, not 3", seed=3)
    clean(copy)
    refused(copy, "have been dropped, and with them its replay")
    refused(tmp_path, "is not a run directory")
    assert not (tmp_path / "episodes.npz").exists()


@pytest.mark.slow
def test_a_run_without_replay_in_its_checkpoints_says_why(file: Path, tmp_path: Path):
    experiment = offline(file, updates=10)
    macpo.train(experiment, tmp_path / "run", console=Console(quiet=True), save_replay=False)
    with pytest.raises(UsageError, match=r"with --checkpoint.no-replay: its checkpoints hold no"):
        macpo.export_replay(tmp_path / "run", tmp_path / "episodes.npz")


def test_a_run_that_learned_on_policy_has_no_replay(tmp_path: Path):
    experiment = Experiment(env="two-step", algorithm="vdac")
    files = RunDirectory(tmp_path)
    files.write_experiment(experiment)
    with pytest.raises(UsageError, match=r"learned on-policy \(vdac\), each episode once"):
        macpo.export_replay(tmp_path, tmp_path / "episodes.npz")


# --- learning offline -----------------------------------------------------------------------------


def test_a_run_that_learns_offline_plays_nothing_and_is_evaluated_by_updates(learned: Path):
    lines = [json.loads(line) for line in rows(learned).splitlines()]
    assert {(line["env_steps"], line["episodes"]) for line in lines} == {(0, 0)}
    updates = {
        kind: [line["updates"] for line in lines if line["kind"] == kind]
        for kind in ("train", "test")
    }
    assert updates == {"train": [*range(1, 41)], "test": [10, 20, 30, 40]}
    trained = next(line for line in lines if line["kind"] == "train")
    assert {"loss", "td_error_abs"} <= {*trained} and "return_mean" not in trained
    (absolute,) = (learned / "absolute.jsonl").read_text().splitlines()
    assert json.loads(absolute)["episodes"] == 0


def test_its_files_tell_of_updates(learned: Path):
    text = (learned / "README.md").read_text()
    assert "every seed has made 40 updates" in text and "--updates N` extends it to N" in text
    experiment = RunDirectory(learned).read_experiment()
    assert len(experiment.replay.from_sha256 or "") == 64
    assert Path(experiment.replay.from_file or "").is_absolute()


@pytest.mark.slow
def test_one_that_is_killed_and_resumed_without_the_file_ends_with_the_same_bytes(
    file: Path, learned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    class Killed(BaseException): ...

    chunk, n_chunks = CompiledPlayer.chunk, 0

    def third_is_killed(self: CompiledPlayer, state: TrainState, until: int) -> Any:
        nonlocal n_chunks
        n_chunks += 1
        if n_chunks == 3:
            raise Killed
        return chunk(self, state, until)

    copy = shutil.copy(file, tmp_path / "copy.npz")
    monkeypatch.setattr(CompiledPlayer, "chunk", third_is_killed)
    with pytest.raises(Killed):
        train(tmp_path / "run", offline(copy))
    copy.unlink()  # the checkpoint has it
    macpo.resume(tmp_path / "run", console=Console(quiet=True))
    for name in ("metrics.jsonl", "absolute.jsonl"):
        assert (tmp_path / "run" / name).read_bytes() == (learned / name).read_bytes()
    for name in ("params", "best"):
        loaded = [
            macpo.load(run, which="best" if name == "best" else "last").params
            for run in (tmp_path / "run", learned)
        ]
        jax.tree.map(np.testing.assert_array_equal, *loaded)


@pytest.mark.slow
def test_one_that_is_extended_equals_one_that_was_planned_longer(
    file: Path, learned: Path, tmp_path: Path
):
    train(tmp_path / "run", offline(file, updates=20))
    with pytest.raises(UsageError, match="extended with --updates N, not with --steps 100"):
        macpo.resume(tmp_path / "run", steps=100, console=Console(quiet=True))
    with pytest.raises(
        UsageError, match="has already made 20 updates; to extend it, pass --updates above"
    ):
        macpo.resume(tmp_path / "run", updates=10, console=Console(quiet=True))
    macpo.resume(tmp_path / "run", updates=40, console=Console(quiet=True))
    assert rows(tmp_path / "run") == rows(learned)


@pytest.mark.slow
def test_without_replay_in_checkpoints_the_file_is_read_again_and_must_be_the_same(
    file: Path, learned: Path, tmp_path: Path
):
    copy = shutil.copy(file, tmp_path / "copy.npz")
    experiment = offline(copy, updates=20)
    macpo.train(experiment, tmp_path / "run", console=Console(quiet=True), save_replay=False)
    write_replay(copy, [*read_replay(file)][1:], SMALL.env.make().spec)
    with pytest.raises(UsageError, match="is not the file that this experiment begins with"):
        macpo.resume(tmp_path / "run", updates=40, console=Console(quiet=True))
    shutil.copy(file, copy)
    told = said(macpo.resume, tmp_path / "run", updates=40)
    assert "saved without replay, which is read again from the file that it began with" in told
    assert rows(tmp_path / "run") == rows(learned)


@pytest.mark.slow
def test_all_seeds_begin_with_the_same_episodes(file: Path, tmp_path: Path, learned: Path):
    train(tmp_path / "two", offline(file, updates=10, seeds=2))
    first, second = state_of(tmp_path / "two").replay_buffer.episodes.reward
    np.testing.assert_array_equal(first, second)
    lines = [json.loads(line) for line in rows(tmp_path / "two").splitlines()]
    alone = [json.loads(line) for line in rows(learned).splitlines()]
    assert [line for line in lines if line["seed"] == 0] == alone[:11]


@pytest.mark.slow
def test_replay_is_recorded_at_moments_counted_in_updates(file: Path, tmp_path: Path):
    experiment = offline(file, updates=20)
    quiet = Console(quiet=True)
    macpo.train(experiment, tmp_path / "run", console=quiet, record_weights=2)
    moments = [read_moment(x) for x in moment_files(tmp_path / "run" / "replay")]
    assert [(m.about.env_steps, m.about.updates) for m in moments] == [(0, 10), (0, 20)]


@pytest.mark.slow
def test_an_environment_that_workers_play_is_learned_offline_too(tmp_path: Path):
    options = {"batch_size_run": 4, "batch_size": 8, "buffer_size": 64, "test_nepisode": 4}
    options["updates_per_iteration"] = 1
    played = Experiment(
        env=Sums(), algorithm=VDN(rnn_hidden_dim=8), run=Run(steps=60, test_interval=30, **options)
    )
    quiet, workers = Console(quiet=True), Workers(count=1)
    macpo.train(played, tmp_path / "played", console=quiet, workers=workers)
    macpo.export_replay(tmp_path / "played", tmp_path / "sums.npz", trust=True)
    assert not next(read_replay(tmp_path / "sums.npz")).encoded  # replay holds observations
    learned = replace(
        played,
        replay=Replay(from_file=str(tmp_path / "sums.npz")),
        run=Run(steps=0, updates=20, test_interval=10, **options),
    )
    macpo.train(learned, tmp_path / "learned", console=quiet, workers=workers)
    lines = [json.loads(line) for line in rows(tmp_path / "learned").splitlines()]
    assert [x["updates"] for x in lines if x["kind"] == "test"] == [10, 20]
    same = [state_of(tmp_path / name).replay_buffer for name in ("played", "learned")]
    jax.tree.map(np.testing.assert_array_equal, *same)


# --- learning on ----------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_run_that_plays_goes_on_with_the_episodes_that_it_begins_with(file: Path, tmp_path: Path):
    n = read_about(file).episodes
    experiment = offline(file, updates=0, steps=60)
    experiment = replace(experiment, replay=replace(experiment.replay, sampling="prioritized"))
    told = said(macpo.train, experiment, tmp_path / "run")
    assert f"replay begins with {n:,} episodes of {file}, 3,0" in told
    lines = [json.loads(line) for line in rows(tmp_path / "run").splitlines()]
    assert (lines[0]["episodes"], lines[0]["updates"]) == (2, 1)  # learns at once
    state = state_of(tmp_path / "run")
    n_played = int(state.iteration[0]) * 2
    assert int(state.replay_buffer.n_added[0]) == n + n_played
    never_drawn = state.priorities.value[0] == 1  # the priority of new episodes
    assert never_drawn[:n].any() and not state.priorities.value[0, n + n_played :].any()


# --- what is refused ------------------------------------------------------------------------------


def test_a_file_must_be_the_one_that_was_noted(file: Path, tmp_path: Path):
    noted = pinned(offline(file))
    assert pinned(noted) == noted
    other = tmp_path / "other.npz"
    write_replay(other, [*read_replay(file)][1:], SMALL.env.make().spec)
    moved = replace(noted, replay=replace(noted.replay, from_file=str(other)))
    with pytest.raises(UsageError, match="is not the file that this experiment begins with: its"):
        train(tmp_path / "run", moved)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"env": PredatorPrey(height=4, width=4, n_predators=3, n_prey=2, episode_limit=6)},
         "n_agents 2, not 3"),
        ({"env": "two-step"}, "another environment than the run's: name predator-prey, not two"),
        ({"run": {"buffer_size": 100}}, "episodes, and replay only 100; raise buffer_size"),
        ({"run": {"batch_size": 1999}}, "an update learns from 1,999; lower batch_size"),
        ({"algorithm": "vdac"}, "vdac learns on-policy, from the episodes that it has just played"),
        ({"algorithm": "dop"}, "dop with weighting uniform also learns from the newest episodes"),
        ({"weighting": "remern-net"}, "vdn with weighting remern-net also learns from the newest"),
        ({"replay": Replay(from_file="/dev/zero")}, "/dev/zero is not a regular file"),
        ({"replay": Replay(from_file="nowhere.npz")}, "cannot read .*nowhere.npz"),
    ],
    ids=str,
)  # fmt: skip
def test_what_does_not_fit_leaves_no_run_behind(
    file: Path, tmp_path: Path, changed: dict[str, Any], message: str
):
    experiment = offline(file)
    parts = {name: getattr(experiment, name) for name in ("env", "algorithm", "weighting")}
    run = replace(experiment.run, **changed.pop("run", {}))
    given = {**parts, "replay": experiment.replay, "run": run, **changed}
    with pytest.raises(UsageError, match=message):
        train(tmp_path / "run", Experiment(**given))
    assert not (tmp_path / "run").exists()


def test_other_settings_of_the_same_environment_are_told(file: Path):
    env = replace(SMALL.env, punishment=-2)  # pyright: ignore[reportArgumentType,reportCallIssue]
    experiment = replace(offline(file), env=env)
    trainer = make_trainer(experiment)
    told = said(filled, trainer, experiment, trainer.init())
    assert "the same environment with other settings: env.punishment: 0.0 → -2.0" in told


def test_observations_alone_do_not_fill_a_replay_of_encoded_states(file: Path, tmp_path: Path):
    bare = tmp_path / "bare.npz"
    write_replay(bare, (x._replace(encoded={}) for x in read_replay(file)), SMALL.env.make().spec)
    with pytest.raises(UsageError, match="holds observations, but replay of predator-prey holds"):
        train(tmp_path / "run", offline(bare))
    assert not (tmp_path / "run").exists()
