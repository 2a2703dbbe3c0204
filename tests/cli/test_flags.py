"""Flags and their help; every mistake gets one clear sentence and status 2."""

import dataclasses
import itertools
import re
from typing import get_type_hints

import pytest

from macpo import registry
from macpo.bounds import Bounds, bounds_of
from macpo.experiment import PARTS, Run
from macpo.training.host.pool import Workers
from tests.support.command_line import complaint, run


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
