"""Environments named module:factory, whatever kind the factory returns."""

import json
import pickle
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import macpo
from macpo import registry
from macpo.errors import UsageError
from macpo.experiment import Experiment, difference, digest, from_dict, to_dict
from macpo.interop.adapters.pettingzoo import PettingZoo
from macpo.interop.adapters.smac_style import SmacStyle
from macpo.interop.jaxmarl_environment import JaxMarl

SOURCE = '''
"""Environments of another project."""

from tests.support.foreign_games import Relay, Skirmish
from tests.support.riddle import Riddle
from tests.support.host_environments import HostCounting
from tests.support.toys import Counting

from macpo.errors import UsageError


def relay():
    return Relay()


def skirmish(length: int = 3, won: bool = True):
    """A battle of two."""
    return Skirmish(length, won)


def picky(n):
    if n == 0:
        raise UsageError("n must not be 0.")
    return [1 / (n - 1)]


def nothing():
    pass


def painted(render_mode=None):
    return HostCounting()


def anything(**options):
    return HostCounting(**options)


class Own:
    def __new__(cls, *args, **options):
        return Counting(*args, **options)
'''


@pytest.fixture
def theirs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of a module of another project."""
    (tmp_path / "their_games.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(tmp_path)
    yield "their_games"
    sys.modules.pop("their_games", None)


def made(name: str, **settings: Any) -> Any:
    return registry.make_config("envs", name, **settings)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("relay", PettingZoo),
        ("skirmish", SmacStyle),
        ("Riddle", JaxMarl),
        ("Counting", macpo.Environment),
        ("HostCounting", macpo.HostEnvironment),
    ],
)
def test_a_factory_may_return_any_of_the_five_kinds(theirs: str, name: str, kind: Any) -> None:
    env = macpo.make_env(f"{theirs}:{name}")
    assert kind in type(env).__mro__


def test_options_are_the_factorys_keyword_arguments(theirs: str) -> None:
    env = macpo.make_env(f"{theirs}:Own", options={"episode_limit": 2, "n_agents": 4})
    assert (env.spec.episode_limit, env.spec.n_agents) == (2, 4)


def test_the_name_and_options_survive_json(theirs: str) -> None:
    env = made(f"{theirs}:skirmish", options={"length": 2, "won": False}, info=("dead_enemies",))
    experiment = Experiment(env=env)
    data = json.loads(json.dumps(to_dict(experiment)))
    assert data["env"] == {
        "name": f"{theirs}:skirmish",
        "options": {"length": 2, "won": False},
        "team_reward": "sum",
        "episode_limit": None,
        "truncation_is_terminal": None,
        "info": ["dead_enemies"],
    }
    again = from_dict(data, trust=True)
    assert again == experiment
    assert digest(again) == digest(experiment)
    assert again.title == f"{theirs}:skirmish qmix macpo"


def test_other_options_are_another_experiment(theirs: str) -> None:
    a, b = (Experiment(env=made(f"{theirs}:skirmish", options={"length": n})) for n in (2, 3))
    assert digest(a) != digest(b)
    assert difference(to_dict(a), to_dict(b)) == ["env.options: {'length': 2} → {'length': 3}"]


def test_options_of_a_file_must_be_an_object(theirs: str) -> None:
    data = to_dict(Experiment(env=made(f"{theirs}:skirmish")))
    data["env"]["options"] = [1]
    with pytest.raises(UsageError, match=r"env.options must be an object, not \[1\]"):
        from_dict(data, trust=True)


def test_it_can_be_sent_to_another_process(theirs: str) -> None:
    env = made(f"{theirs}:skirmish", options={"length": 2})
    again = pickle.loads(pickle.dumps(env))
    assert again == env and type(again) is type(env)


def test_it_is_described_by_its_docstring_and_parameters(theirs: str) -> None:
    summary = registry.summary(registry.config_class("envs", f"{theirs}:skirmish"))
    expected = "A battle of two. Made by their_games:skirmish(length: int = 3, won: bool = True)."
    assert summary == expected


def test_a_factory_may_be_an_entry_point(theirs: str, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = registry.importlib.metadata.EntryPoint("battle", f"{theirs}:skirmish", "macpo.envs")
    monkeypatch.setattr(
        registry.importlib.metadata,
        "entry_points",
        lambda group: [entry] if group == entry.group else [],
    )
    registry.forget()
    try:
        assert registry.name_of(made("battle")) == "battle"
        assert isinstance(made("battle").make(), SmacStyle)
    finally:
        registry.forget()


# --- messages -------------------------------------------------------------------------------------


def complaint(name: str, **settings: Any) -> str:
    with pytest.raises(UsageError) as error:
        made(name, **settings).make()
    return str(error.value)


def test_a_missing_module_is_answered_with_where_it_is_searched(theirs: str) -> None:
    said = complaint("nowhere.at_all:make")
    assert said.startswith("cannot import the environment 'nowhere.at_all:make': No module named")
    assert "in the current folder or its folder on PYTHONPATH" in said


def test_a_missing_factory_is_reported(theirs: str) -> None:
    assert "module 'their_games' has no attribute 'battle'" in complaint(f"{theirs}:battle")


def test_a_module_that_fails_is_reported_with_the_line(theirs: str, tmp_path: Path) -> None:
    (tmp_path / "their_faulty.py").write_text("import math\nmath.sqrt(-1)\n")
    said = complaint("their_faulty:make")
    assert "its module raised ValueError:" in said
    assert said.endswith(f"({tmp_path / 'their_faulty.py'}, line 2).")


def test_what_cannot_be_called_is_no_factory(theirs: str) -> None:
    said = complaint("math:pi")
    assert said.startswith("'math:pi' is not an environment, but 3.14")


def test_options_that_do_not_fit_are_answered_with_the_parameters(theirs: str) -> None:
    said = complaint(f"{theirs}:skirmish", options={"lenght": 2})
    assert "takes (length: int = 3, won: bool = True)" in said
    assert "unexpected keyword argument 'lenght'" in said and "--env.options" in said
    assert "missing a required argument: 'n'" in complaint(f"{theirs}:picky")


def test_a_factory_that_fails_is_reported_with_the_line_and_its_options(theirs: str) -> None:
    said = complaint(f"{theirs}:picky", options={"n": 1})
    assert said.startswith(f"{theirs}:picky raised ZeroDivisionError: division by zero (")
    assert said.endswith(") when called with the options {'n': 1}.")
    assert "their_games.py, line " in said


def test_a_factorys_own_usage_error_is_passed_on(theirs: str) -> None:
    assert complaint(f"{theirs}:picky", options={"n": 0}) == "n must not be 0."


@pytest.mark.parametrize(
    ("name", "options", "found"),
    [
        ("nothing", {}, "None (is a `return` missing?)"),
        ("picky", {"n": 2}, "a builtins.list"),
    ],
)
def test_something_unknown_is_answered_with_what_each_kind_needs(
    theirs: str, name: str, options: Any, found: str
) -> None:
    said = complaint(f"{theirs}:{name}", options=options)
    assert said.startswith(
        f"{theirs}:{name} returned {found}, which is not an environment of a known kind"
    )
    for needed in ("macpo.Environment", "macpo.HostEnvironment", "possible_agents", "step_env"):
        assert needed in said
    assert "get_env_info" in said


def test_settings_of_adapters_are_refused_where_none_is_needed(theirs: str) -> None:
    said = complaint(f"{theirs}:Counting", team_reward="mean", episode_limit=3)
    assert said.endswith("leave out team_reward, episode_limit.")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"team_reward": "max"}, "team_reward must be one of 'sum', 'mean', not 'max'"),
        ({"episode_limit": 0}, "episode_limit must be at least 1, not 0"),
    ],
)
def test_settings_are_checked(theirs: str, settings: Any, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        made(f"{theirs}:relay", **settings)


def test_an_environment_that_cannot_be_adapted_is_reported(theirs: str) -> None:
    from tests.support.foreign_games import Skirmish

    class Silent(Skirmish):
        def get_env_info(self) -> Any:
            return {}

    from macpo.interop import factory

    with pytest.raises(
        UsageError, match="a SMAC-style environment that cannot be adapted: KeyError"
    ):
        factory.config_class("games:silent", Silent)().make()


# --- for films ------------------------------------------------------------------------------------


def test_for_films_a_factory_is_asked_for_pictures_if_it_takes_a_render_mode(theirs: str) -> None:
    assert made(f"{theirs}:painted").filmed().options == {"render_mode": "rgb_array"}


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("skirmish", {"length": 2}),  # takes none
        ("anything", {"episode_limit": 2}),  # takes all, but fails with it
        ("painted", {"render_mode": "human"}),  # has been told already
    ],
)
def test_for_films_other_factories_are_called_as_ever(
    theirs: str, name: str, options: dict[str, Any]
) -> None:
    config = made(f"{theirs}:{name}", options=options)
    assert config.filmed() == config
