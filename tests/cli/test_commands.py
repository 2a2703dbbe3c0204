"""The command line: every mistake gets one clear sentence and status 2."""

import dataclasses
import io
import itertools
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import get_type_hints

import jax
import pytest

import macpo
from macpo import registry
from macpo.bounds import Bounds, bounds_of
from macpo.cli import COMMANDS, commands, lists, main
from macpo.experiment import PARTS, Experiment, Run, to_dict
from macpo.render import frames
from macpo.report import curves, table, writing
from macpo.runs import policy
from macpo.runs.directory import RunDirectory
from macpo.training.host.pool import Workers
from tests.support.counting import begin, counting, interrupted
from tests.support.synthetic_runs import write_runs


def run(*arguments: str) -> int:
    """The exit status."""
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    return int(stop.value.code or 0)


def complaint(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """What is said on stderr, on one line, by a command that exits with status 2."""
    assert run(*arguments) == 2
    said = capsys.readouterr().err
    assert "Traceback" not in said
    return " ".join(said.replace("│", " ").split())


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]):
    main(["--help"])
    text = capsys.readouterr().out
    names = (
        "train",
        "resume",
        "evaluate",
        "render",
        "runs",
        "clean",
        "report",
        "check-env",
        "bench",
        "list",
        "doctor",
    )
    for name in names:
        assert name in COMMANDS and f"  {name} " in text


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]):
    assert run(command, "--help") == 0
    assert "usage: macpo " + command in capsys.readouterr().out


@pytest.mark.parametrize("pipe", ["--help | true", "list | head -1", "train --help | head -1"])
def test_a_reader_who_has_seen_enough_gets_no_complaint(pipe: str):
    shell = f"{sys.executable} -m macpo {pipe}; exit ${{PIPESTATUS[0]}}"
    ended = subprocess.run(["bash", "-c", shell], capture_output=True)
    assert (ended.returncode, ended.stderr) == (0, b"")


@pytest.mark.parametrize("arguments", [["list"], ["train", "--help"], ["no-such-command"]])
def test_a_terminal_without_unicode_is_shown_similar_characters(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch
):
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setattr(sys, "stderr", stream)
    assert run(*arguments) in (0, 2)
    assert len(raw.getvalue()) > 50 and raw.getvalue().isascii()


def test_train_help_documents_every_knob_of_the_chosen_parts(capsys: pytest.CaptureFixture[str]):
    assert run("train", "--env", "two-step", "--weighting", "owqmix", "--help") == 0
    text = capsys.readouterr().out
    assert "--weighting.alpha" in text and "--algorithm.mixing-embed-dim" in text
    assert "--steps INT" in text and "--env.punishment" not in text
    for kind in PARTS.values():
        for name in registry.discover(kind):
            assert name in text.replace("\n", " ")


def test_no_flag_of_any_plugin_lacks_its_sentence(capsys: pytest.CaptureFixture[str]):
    for names in itertools.zip_longest(*map(registry.discover, PARTS.values())):
        chosen = [(f"--{part}", name) for part, name in zip(PARTS, names, strict=True) if name]
        assert run("train", *itertools.chain(*chosen), "--help") == 0
        lines = [line.strip("│ ") for line in capsys.readouterr().out.splitlines()]
        for line, following in itertools.pairwise(lines):
            part_of_a_matrix = re.match(r"--[\w.-]+\.\d+ ", line)
            if line.startswith("--") and not part_of_a_matrix:
                _, *beside = re.split(r"\s{2,}", line, maxsplit=1)
                sentence = beside[0] if beside else following
                assert sentence and not sentence.startswith("(default"), line


@pytest.mark.parametrize(
    ("command", "flag", "what"),
    [
        ("resume", "--steps", "invalid literal for int()"),
        ("evaluate", "--epsilon", "could not convert string to float"),
    ],
)
def test_a_number_that_may_be_none_is_refused_as_a_number(
    command: str, flag: str, what: str, capsys: pytest.CaptureFixture[str]
):
    said = complaint(capsys, command, "nowhere", flag, "many")
    assert f"Error parsing {flag}: {what}" in said
    assert "typing." not in said and "<class" not in said
    assert "nowhere is not a run directory" in complaint(capsys, command, "nowhere", flag, "None")


@pytest.mark.parametrize(
    "command",
    [["{}"], ["list", "{}"], ["train", "--{}"], ["train", "--preset", "{}"], ["resume", "r", "{}"]],
)
def test_a_long_word_is_cut_in_the_message(command: list[str], capsys: pytest.CaptureFixture[str]):
    said = complaint(capsys, *(word.format("x" * 5000) for word in command))
    assert "xxxxx" in said and len(said) < 2000


def test_help_shows_the_bounds_of_settings(capsys: pytest.CaptureFixture[str]):
    assert run("train", "--algorithm", "coma", "--help") == 0
    text = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "a run that learns offline. (default: 300000; at least 0)" in text
    assert "Exploration once annealed. (default: 0.01; between 0 and 1)" in text
    for flag, bounds in flags_with_bounds("coma").items():
        _, described = text.split(f" {flag} ", 1)
        assert f"; {bounds})" in described.split(" --")[0], flag


def test_help_breaks_lines_only_where_the_terminal_ends(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("COLUMNS", "300")
    assert run("check-env", "foraging", "--help") == 0
    assert "what finds no place in the grid is left out. (default: 2;" in capsys.readouterr().out


def test_an_example_in_a_docstring_is_no_help_for_flags(capsys: pytest.CaptureFixture[str]):
    assert run("check-algorithm", "qmix", "--help") == 0
    assert ">>>" not in capsys.readouterr().out


def flags_with_bounds(algorithm: str) -> dict[str, Bounds]:
    """The bounded settings of an algorithm, of a run and of workers, by flag."""
    configs = {
        "algorithm.": registry.config_class("algorithms", algorithm),
        "": Run,
        "workers.": Workers,
    }
    return {
        f"--{prefix}{name.replace('_', '-')}": bounds
        for prefix, config in configs.items()
        for name, hint in get_type_hints(config, include_extras=True).items()
        if (bounds := bounds_of(hint))
    }


@pytest.mark.parametrize("plug_in", ["qmix", "coma"])
def test_bounds_add_no_flag_and_take_none_away(plug_in: str, capsys: pytest.CaptureFixture[str]):
    assert run("train", "--algorithm", plug_in, "--help") == 0
    shown = set(re.findall(r"--algorithm\.([\w-]+)", capsys.readouterr().out))
    fields = dataclasses.fields(registry.config_class("algorithms", plug_in))
    expected = {
        flag.replace("_", "-")
        for field in fields
        for flag in ([field.name, f"no_{field.name}"] if field.type is bool else [field.name])
    }
    assert shown == expected


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["trian"], "unknown command 'trian'; did you mean 'train'?"),
        (["train", "--env", "predator-pray"], "did you mean 'predator-prey'?"),
        (["train", "--weighting", "macpo_aprox"], "did you mean 'macpo-approx'?"),
        (["train", "--algorithm", "qmiks"], "unknown algorithm 'qmiks'; did you mean 'qmix'?"),
        (["train", "--preset", "pymarl3"], "unknown preset 'pymarl3'; did you mean"),
        (["train", "--env"], "--env needs a value"),
        (["train", "--env.punishment", "2"], "must be 0 or negative, not 2.0"),
        (["train", "--env.punishmen", "-2"], "Perhaps you meant: --env.punishment FLOAT"),
        (["train", "--weigthing", "per"], "Perhaps you meant: --weighting NAME"),
        (["train", "--algoritm", "vdn"], "Perhaps you meant: --algorithm"),
        (["train", "--presett", "pymarl"], "Perhaps you meant: --preset NAME"),
        (["train", "--stepz", "5"], "Perhaps you meant: --steps INT"),
        (["evaluate", "run", "--envv", "two-step"], "Perhaps you meant: --env NAME"),
        (["render", "run", "--envv", "two-step"], "Perhaps you meant: --env NAME"),
        (["resume", "run", "--step", "5"], "Perhaps you meant: --steps"),
        (["bench", "--round", "3"], "Perhaps you meant: --rounds INT"),
        (["train", "--steps", "many"], "INT"),
        (["train", "--batch-size", "9000"], "batch_size (9000 episodes) is larger than"),
        (["train", "--seeds", "0"], "seeds must be at least 1, not 0"),
        (["train", "--env.n-prey", "99"], "need 107 cells but a 10×10 grid has 100"),
        (["train", "--algorithm.gamma", "1.5"], "gamma must be between 0 and 1"),
        (["train", "--config", "nowhere.json"], "cannot read an experiment from nowhere.json"),
        (["resume", "nowhere"], "nowhere is not a run directory"),
        (["evaluate", "nowhere"], "nowhere is not a run directory"),
        (["render", "nowhere"], "nowhere is not a run directory"),
        (["render", "nowhere", "--out", "film.avi"], "the ending must be .gif or .mp4"),
        (["render", "nowhere", "--out="], "the ending must be .gif or .mp4"),
        (["render", "nowhere", "--agent", "-1"], "agent must be at least 0, not -1"),
        (["render", "nowhere", "--width", "0"], "width must be at least 1, not 0"),
        (["report", "nowhere", "--films", "-1"], "films must be at least 0, not -1"),
        (["bench", "--rounds", "0"], "rounds must be at least 1, not 0"),
        (["evaluate", "nowhere", "---"], "'---' is no flag of macpo evaluate"),
        (["check-env"], "needs an environment first, but got nothing"),
        (["check-env", "--seed"], "needs an environment first, but got --seed"),
        (["check-env", "predator-pray"], "did you mean 'predator-prey'?"),
        (["check-env", "two-step", "--episodes", "0"], "episodes must be at least 1, not 0"),
        (["check-env", "two-step", "--seed", "-1"], "seed must be at least 0, not -1"),
        (["train", "--env", "nowhere:make"], "cannot import the environment 'nowhere:make'"),
        (["train", "--env", "math:floor"], "missing a required argument"),
        (["train", "--env", "json:loads", "--env.options", "{"], "'{' is not JSON"),
        (["train", "--env", "json:loads", "--env.options", "[1]"], "'[1]' is not a JSON object"),
        (["train", "--seed", "2147483648"], "seed must be at most 2,147,483,647, not 2147483648"),
        (["train", "--steps", "10000000000"], "steps must be at most 2,147,483,647"),
        (
            ["train", "--checkpoint-interval", "10000000000"],
            "checkpoint_interval must be at most 2,147,483,647, not 10000000000",
        ),
        (["train", "--env.height", "1000000"], "cells, but they are numbered in 16 bits"),
        (
            ["train", "--algorithm.optim-eps", "inf"],
            "optim_eps must be above 0 and finite, not inf",
        ),
        (["train", "--env", "two-step", "--env.reward-scale", "1e308"], "must be at most 3.4"),
        (["evaluate", "nowhere", "--episodes", "9" * 400], "episodes must be at most"),
        (["clean"], "needs at least one run directory"),
        (["clean", "nowhere"], "nowhere is not a run directory"),
        (["runs", "nowhere"], "There is no directory nowhere."),
        (["runs", __file__], "is a file; `macpo runs` lists the runs of a folder"),
        (["list", "weighting"], "did you mean 'weightings'?"),
        (["doctor", "now"], "takes no arguments"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_input_gets_one_clear_sentence(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
):
    assert said in complaint(capsys, *arguments)


def test_options_nested_without_end_are_refused(capsys: pytest.CaptureFixture[str]):
    options = '{"x":' * 100_000
    said = complaint(capsys, "train", "--env", "json:loads", "--env.options", options)
    assert "it is nested too deep" in said and len(said) < 2000


def test_a_buffer_beyond_the_memory_is_refused_with_advice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    out = str(tmp_path / "run")
    said = complaint(capsys, "train", "--buffer-size", "900000000", "--out", out)
    assert "lower --buffer-size (now 900,000,000 episodes" in said
    assert not (tmp_path / "run").exists()


def test_a_directory_that_cannot_be_made_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "file").write_text("")
    small = ("train", "--env", "two-step", "--algorithm", "vdn", "--algorithm.rnn-hidden-dim", "8")
    said = complaint(capsys, *small, "--out", str(tmp_path / "file" / "run"))
    assert "cannot create" in said and "choose another place" in said


def test_an_edited_experiment_file_is_checked(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    data = to_dict(Experiment(run=Run(steps=10)))
    data["run"]["stepz"] = 1
    (tmp_path / "experiment.json").write_text(json.dumps(data))
    said = complaint(capsys, "train", "--config", str(tmp_path / "experiment.json"))
    assert "unknown setting run.stepz; did you mean 'steps'?" in said


def test_chosen_parts_are_explained_with_their_flags(capsys: pytest.CaptureFixture[str]):
    assert run("train", "--algorithm", "vdn", "--help") == 0
    text = " ".join(capsys.readouterr().out.replace("│", " ").split())
    for flag, default in {"--env": "predator-prey", "--algorithm": "vdn"}.items():
        _, described = text.split(f" {flag} NAME ", 1)
        assert described.split(" --")[0].strip().endswith(f"(default: {default})")


@pytest.mark.parametrize("command", ["evaluate", "render"])
def test_the_other_environment_brings_its_flags(command: str, capsys: pytest.CaptureFixture[str]):
    assert run(command, "--env", "two-step", "--help") == 0
    assert "--env.reward-scale" in capsys.readouterr().out
    assert run(command, "--help") == 0
    text = capsys.readouterr().out
    assert "--env NAME" in text and "--env.reward-scale" not in text


@pytest.mark.parametrize("command", ["evaluate", "render"])
def test_flags_of_an_environment_that_is_not_named_change_that_of_the_run(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    env = macpo.envs.PredatorPrey(n_prey=5)
    RunDirectory(tmp_path).write_experiment(macpo.Experiment(env=env))
    assert run(command, str(tmp_path), "--env.n-predators", "6", "--help") == 0
    text = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "they move at random. (default: 5;" in text
    said = complaint(capsys, command, str(tmp_path), "--env.punishment", "3")
    assert "did you mean -3" in said or "punishment must be 0 or negative" in said


def test_flags_of_an_environment_without_a_run_are_refused(capsys: pytest.CaptureFixture[str]):
    said = complaint(capsys, "evaluate", "nowhere", "--env.n-predators", "6")
    assert "there is no run directory among the arguments" in said


@pytest.mark.parametrize("command", [["train"], ["check-env", "two-step"], ["bench", "env"]])
def test_the_64_bit_mode_of_jax_is_refused_in_a_sentence(
    command: list[str], capsys: pytest.CaptureFixture[str]
):
    with jax.enable_x64(True):
        assert "unset JAX_ENABLE_X64" in complaint(capsys, *command)


@pytest.mark.parametrize("name", ["a[seed1]b", "a[/x]b", "a:smile:b"])
def test_a_finished_run_is_told_and_drawn_with_the_largest_return(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    env = registry.make_env("predator-prey")
    drawn = []
    monkeypatch.setattr(
        macpo, "load", lambda run, trust: SimpleNamespace(trainer=SimpleNamespace(env=env))
    )
    monkeypatch.setattr(policy, "play", lambda policy: ([], [], []))
    monkeypatch.setattr(frames, "animate", lambda *args: None)
    monkeypatch.setattr(table, "print_summary", lambda *args: None)
    monkeypatch.setattr(curves, "draw_learning_curve", lambda *args: drawn.append(args))
    run = RunDirectory(tmp_path / name)
    run.path.mkdir(parents=True)
    run.metrics.touch()
    assert commands._finish(macpo.RunResult(run.path, finished=True), trust=False) is None
    assert drawn == [(run.path, run.learning_curve, env.spec.return_bounds)]
    assert env.spec.return_bounds is not None and env.spec.return_bounds[1] == 40
    assert capsys.readouterr().out.splitlines() == [
        f"curve: {run.learning_curve}",
        f"episode: {run.episode}",
        f"everything else: {run.readme}",
    ]


@pytest.mark.parametrize("words", [["train", "--steps", "10"], ["resume", "my run"]])
def test_a_run_is_told_the_command_that_asks_for_it(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    told = list[list[str]]()

    def act(*args: object, command_line: list[str], **options: object) -> macpo.RunResult:
        told.append(command_line)
        return macpo.RunResult(tmp_path, finished=True)

    monkeypatch.setattr(macpo, words[0], act)
    assert run(*words) == 0
    assert told == [["macpo", *words]]


def test_list_explains_every_plugin_in_a_line(capsys: pytest.CaptureFixture[str]):
    assert run("list") == 0
    text = capsys.readouterr().out
    for kind in PARTS.values():
        for name in registry.discover(kind):
            assert name in text
    assert "macpo-official" in text


# --- environments of one's own --------------------------------------------------------------------

OWN = """
from dataclasses import dataclass
from pathlib import Path

from tests.support.host_environments import HostCounting
from tests.support.toys import Counting


def make(n_agents: int = 2):
    'Counts.'
    return Counting(n_agents=n_agents)


class Crooked(HostCounting):
    def step(self, actions):
        return super().step(actions)._replace(info={})

    def close(self):
        print("closed")


@dataclass(frozen=True)
class Kept:
    folder: Path = Path("games")

    def make(self):
        return Counting()
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of a module in the current folder."""
    (tmp_path / "own_games.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    yield "own_games"
    sys.modules.pop("own_games", None)


def test_a_sound_environment_of_the_current_folder_gets_status_0(
    own: str, capsys: pytest.CaptureFixture[str]
):
    assert run("check-env", f"{own}:make", "--env.options", '{"n_agents": 3}') == 0
    first, *checks, last = capsys.readouterr().out.splitlines()
    assert first.startswith("own_games:make (JAX): 3 agents, 3 actions, observations of 2")
    earned = [line for line in checks if line.startswith("      ")]
    assert all(line.startswith("ok    ") for line in checks if line not in earned)
    assert [line.split()[0] for line in earned] == ["3", "ends:", "actions,"]
    assert len(checks) > 10 and last == "nothing wrong"


def test_an_environment_whose_settings_no_run_could_keep_is_refused(
    own: str, capsys: pytest.CaptureFixture[str]
):
    assert run("check-env", f"{own}:Kept") == 2
    assert "which a file cannot hold" in capsys.readouterr().err


def test_a_broken_environment_gets_status_1_and_is_closed(
    own: str, capsys: pytest.CaptureFixture[str]
):
    assert run("check-env", f"{own}:Crooked", "--episodes", "2", "--seed", "5") == 1
    lines = capsys.readouterr().out.splitlines()
    at = lines.index("WRONG Info has the same names at every step, each with one number or None")
    assert lines[at + 1] == (
        "      seed 5, step 1: expected info ['clock'] as at the first reset, found []"
    )
    assert lines[at + 4].startswith("      and ") and lines[at + 4].endswith(" more")
    assert lines[-2:] == ["closed", "1 wrong"]


def test_help_shows_the_factory_and_its_parameters(own: str, capsys: pytest.CaptureFixture[str]):
    assert run("train", "--env", f"{own}:make", "--help") == 0
    text = capsys.readouterr().out
    assert "Counts. Made by own_games:make(n_agents: int = 2)." in text
    for flag in ("--env.options JSON", "--env.team-reward {sum,mean}", "--env.episode-limit"):
        assert flag in text


def test_list_says_how_to_name_an_environment_of_ones_own(capsys: pytest.CaptureFixture[str]):
    assert run("list", "environments") == 0
    assert "module:factory" in capsys.readouterr().out


@pytest.mark.slow
def test_a_run_on_an_environment_of_ones_own_is_resumed(own: str, tmp_path: Path):
    small = ["--batch-size", "8", "--buffer-size", "16", "--test-nepisode", "4"]
    small += ["--algorithm", "vdn", "--algorithm.rnn-hidden-dim", "8"]
    name = ["--env", f"{own}:make", "--env.options", '{"n_agents": 3}']
    out = str(tmp_path / "run")
    assert run("train", *name, *small, "--steps", "100", "--out", out) == 0
    data = json.loads((tmp_path / "run" / "experiment.json").read_text())
    assert data["env"]["name"] == f"{own}:make" and data["env"]["options"] == {"n_agents": 3}
    assert run("resume", out, "--steps", "200", "--trust") == 0
    assert run("evaluate", out, "--episodes", "8", "--trust") == 0


@pytest.mark.parametrize("error", [MemoryError("no room"), RuntimeError("RESOURCE_EXHAUSTED: 8")])
def test_memory_that_runs_out_is_told_in_a_sentence(
    error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def fail(_: list[str]) -> int:
        raise error

    monkeypatch.setitem(lists.RUN, "list", fail)
    said = complaint(capsys, "list")
    assert said.startswith("macpo: memory ran out: ")
    assert said.rstrip().endswith("Choose a smaller environment or batch.")


# --- episodes -------------------------------------------------------------------------------------


def test_export_replay_tells_what_is_in_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    asked: list[object] = []

    def export_replay(*given: object, trust: bool) -> SimpleNamespace:
        asked.extend([*given, trust])
        (tmp_path / "hunt.npz").write_bytes(b"0" * 250_000)
        return SimpleNamespace(episodes=1200, steps=60_000)

    monkeypatch.setattr(macpo, "export_replay", export_replay)
    assert run("export-replay", "runs/hunt", str(tmp_path / "hunt.npz"), "--seed", "3") == 0
    assert asked == [Path("runs/hunt"), tmp_path / "hunt.npz", 3, False]
    told = " ".join(capsys.readouterr().out.split())
    assert told.endswith("hunt.npz: 1,200 episodes, 60,000 env steps, 0.2 MB")


def test_a_run_that_learns_offline_needs_a_file_that_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    two_step = ("train", "--env", "two-step", "--steps", "0", "--updates", "4")
    assert "need episodes to learn from: name their file" in complaint(capsys, *two_step)
    said = complaint(capsys, *two_step, "--replay.from", "nowhere.npz")
    assert "cannot read" in said and "nowhere.npz: No such file or directory" in said
    assert not [*tmp_path.iterdir()]


# --- report ---------------------------------------------------------------------------------------


def test_a_report_ends_with_its_scores_and_the_place_of_its_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    write_runs(tmp_path / "runs", n_seeds=2, n_evaluations=2)
    out = tmp_path / "report"
    assert run("report", str(tmp_path / "runs"), str(tmp_path / "absent"), "--out", str(out)) == 0
    said = capsys.readouterr().out
    assert "qmix · macpo" in said and "95% interval" in said
    assert f"There is no directory {tmp_path / 'absent'}." in said
    assert said.splitlines()[-1] == f"report: {out / 'index.html'}" and out.is_dir()


def test_a_report_on_nothing_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    said = complaint(capsys, "report", str(tmp_path), "--out", str(tmp_path / "report"))
    assert "there is nothing to report on" in said
    assert "at least one directory" in complaint(capsys, "report")


def test_ctrl_c_ends_a_watched_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    write_runs(tmp_path / "runs", ["macpo"], n_seeds=1, n_evaluations=2)
    monkeypatch.setattr(writing.time, "sleep", interrupt)
    out = tmp_path / "report"
    assert run("report", "--watch", str(tmp_path / "runs"), "--out", str(out)) == 130
    assert (out / "index.html").exists()


# --- evaluate -------------------------------------------------------------------------------------


def test_outcomes_of_battles_stand_whole_in_80_columns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    outcomes = {"battle_won": 0.25, "dead_allies": 4.0, "dead_enemies": 2.5}
    means = {f"test_{name}_mean": value for name, value in outcomes.items()}
    row = {"seed": 0, "episodes": 320, "test_return_mean": 19.5, "test_return_sem": 0.25}
    monkeypatch.setattr(
        "macpo.evaluate", lambda *_, **__: [{**row, "test_ep_length_mean": 25.5, **means}]
    )
    monkeypatch.setenv("COLUMNS", "80")
    assert run("evaluate", str(tmp_path)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    words = " ".join(lines).split()
    assert {*outcomes, "320", "25.5", "0.25", "4", "2.5"} <= {*words}
    assert [line for line in lines if "19.50 ± 0.25" in line]


# --- runs -----------------------------------------------------------------------------------------


def test_the_names_of_runs_can_be_copied_from_80_columns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    write_runs(tmp_path, ["macpo"], n_seeds=1, n_evaluations=2)
    name = "predator-prey_qmix_macpo_216981e2c845"
    (tmp_path / "macpo-seed0").rename(tmp_path / name)
    monkeypatch.setenv("COLUMNS", "80")
    assert run("runs", str(tmp_path)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.startswith(f" {name} ")]
    assert max(map(len, lines)) <= 80


# --- clean ----------------------------------------------------------------------------------------


def test_a_run_that_is_refused_leaves_the_checkpoints_of_all_that_are_given(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    with counting():
        begin(tmp_path / "first")
    interrupted(tmp_path / "second", at_chunk=4)
    both = [str(tmp_path / name) for name in ("first", "second")]
    assert "second is not finished" in complaint(capsys, "clean", *both)
    assert len([*tmp_path.glob("*/checkpoints/*.safetensors")]) == 3
    assert run("clean", *both, "--force") == 0
    said = capsys.readouterr().out.splitlines()
    assert [line.rsplit(":", 1)[1].split(",")[0] for line in said[:2]] == [
        " 2 checkpoints",
        " 1 checkpoint",
    ]
    assert said[2].endswith(" MB freed; the runs can not be extended any more")
    assert not [*tmp_path.glob("*/checkpoints/*.safetensors")]


def test_a_run_that_is_given_twice_is_counted_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    with counting():
        begin(tmp_path / "first")
    capsys.readouterr()
    same = str(tmp_path / "first"), str(tmp_path / "first" / ".." / "first")
    assert run("clean", *same, "--dry-run") == 0
    assert len(capsys.readouterr().out.splitlines()) == 2
