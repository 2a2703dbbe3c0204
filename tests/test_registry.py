"""Plug-ins are found by their place, or by an entry point of another distribution."""

import ast
import importlib
import importlib.metadata
import inspect
import itertools
import re
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

from macpo import registry, weighting
from macpo.errors import UsageError
from macpo.experiment import Experiment, from_dict, to_dict

KINDS: tuple[registry.Kind, ...] = get_args(registry.Kind)
PLUGINS = [(kind, name) for kind in KINDS for name in registry.discover(kind)]
every_plugin = pytest.mark.parametrize(("kind", "name"), PLUGINS)


# --- discovery ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_every_module_with_a_config_is_a_plug_in(kind: registry.Kind) -> None:
    folder = Path(registry.__file__).parent / kind
    with_config = {
        registry.canonical(file.stem)
        for file in folder.glob("*.py")
        if re.search(r"^(class Config\b|Config = )", file.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert set(registry.discover(kind)) >= with_config
    assert with_config


def test_helper_modules_are_no_plug_ins() -> None:
    assert not {"base", "value-based"} & {name for _, name in PLUGINS}


def test_names_are_sorted() -> None:
    names = list(registry.discover("weighting"))
    assert names == sorted(names)


@pytest.mark.parametrize("name", ["predator-prey", "predator_prey", "Predator-Prey", " two-step "])
def test_hyphens_underscores_case_and_spaces_around_do_not_matter(name: str) -> None:
    assert registry.make_config("envs", name).make().spec.name == registry.canonical(name)


@every_plugin
def test_a_configuration_knows_its_name(kind: registry.Kind, name: str) -> None:
    assert registry.name_of(registry.make_config(kind, name)) == name


@pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind, name in PLUGINS if kind != "envs"]
)
def test_messages_call_a_configuration_by_the_same_name(kind: registry.Kind, name: str) -> None:
    assert registry.module_name(registry.make_config(kind, name)) == name


@every_plugin
def test_a_configuration_is_frozen(kind: registry.Kind, name: str) -> None:
    options = registry.config_class(kind, name).__dataclass_params__
    assert options.frozen


@every_plugin
def test_a_configuration_is_described_in_one_line(kind: registry.Kind, name: str) -> None:
    summary = registry.summary(registry.config_class(kind, name))
    assert 10 < len(summary) < 100
    assert summary.endswith(".")


@every_plugin
def test_every_setting_is_explained_below_itself(kind: registry.Kind, name: str) -> None:
    owners = [c for c in registry.config_class(kind, name).__mro__ if c is not object]
    for owner in owners:
        (source,) = ast.parse(textwrap.dedent(inspect.getsource(owner))).body
        assert isinstance(source, ast.ClassDef)
        for statement, below in itertools.pairwise(source.body):
            of_class = "ClassVar" in ast.unparse(statement)
            if isinstance(statement, ast.AnnAssign) and not of_class:
                assert isinstance(below, ast.Expr), ast.unparse(statement)


# --- messages -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "typo", "noun", "meant"),
    [
        ("envs", "predatorprey", "environment", "predator-prey"),
        ("algorithms", "qmxi", "algorithm", "qmix"),
        ("weighting", "macpo_aprox", "weighting", "macpo-approx"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest_and_all_known(
    kind: registry.Kind, typo: str, noun: str, meant: str
) -> None:
    with pytest.raises(UsageError) as error:
        registry.make_config(kind, typo)
    known = ", ".join(registry.discover(kind))
    assert str(error.value) == (f"unknown {noun} {typo!r}; did you mean {meant!r}? Known: {known}.")


def test_a_name_like_no_other_gets_no_guess() -> None:
    with pytest.raises(UsageError, match="unknown algorithm 'xyzzy'; nothing similar is known"):
        registry.config_class("algorithms", "xyzzy")


def test_an_unknown_option_is_answered_with_the_nearest_and_all_known() -> None:
    with pytest.raises(UsageError) as error:
        registry.make_config("envs", "two_step", reward_scael=2.0)
    assert str(error.value) == (
        "environment 'two-step' has no option 'reward_scael'; did you mean 'reward_scale'? "
        "Options: reward_scale."
    )


# --- plug-ins of others ---------------------------------------------------------------------------

THROW_AWAY = '''
"""A weighting of somebody else."""

from dataclasses import dataclass

from macpo.weighting.factors import Factor, bellman
from macpo.weighting.weighting import Weighting


@dataclass(frozen=True)
class Config(Weighting):
    """The TD error to some power."""

    power: float = 1.0
    """Its exponent."""

    def factors(self) -> tuple[Factor, ...]:
        """The error."""
        return (bellman(self.power),)
'''


COMMON_OPTIONS = {"normalise": "mean", "clip": 0.0, "nonfinite": "propagate", "on_policy": 0.0}


@pytest.fixture
def td_power(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The import path of a weighting in a package of somebody else."""
    package = tmp_path / "somebody_else"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "td_power.py").write_text(THROW_AWAY)
    monkeypatch.syspath_prepend(tmp_path)
    yield "somebody_else.td_power:Config"
    for module in ("somebody_else", "somebody_else.td_power"):
        sys.modules.pop(module, None)


@pytest.fixture
def entry_point(td_power: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The same package declaring an entry point."""
    entry = importlib.metadata.EntryPoint("td_power", td_power, "macpo.weighting")

    def entry_points(*, group: str) -> list[importlib.metadata.EntryPoint]:
        return [entry] if group == entry.group else []

    monkeypatch.setattr(importlib.metadata, "entry_points", entry_points)
    registry.forget()
    yield
    registry.forget()


@pytest.fixture
def broken_entry_point(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An installed weighting whose module is gone."""
    entry = importlib.metadata.EntryPoint("gone", "nowhere_at_all:Config", "macpo.weighting")
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda *, group: [entry])
    registry.forget()
    yield
    registry.forget()


@pytest.mark.usefixtures("broken_entry_point")
def test_an_installed_plug_in_that_cannot_be_imported_is_named() -> None:
    with pytest.raises(
        UsageError, match=r"the installed weighting 'gone' \(nowhere_at_all:Config\)"
    ):
        registry.discover("weighting")


@pytest.mark.usefixtures("broken_entry_point")
def test_a_plug_in_is_had_beside_one_that_cannot_be_imported() -> None:
    assert registry.config_class("weighting", "per") is weighting.PER


def test_a_plug_in_whose_import_fails_is_not_taken_for_unknown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(name: str) -> None:
        raise AttributeError("jax has no attribute of that name")

    package = importlib.import_module("macpo.envs.smac_jax")
    monkeypatch.setattr(package, "__getattr__", fail)
    registry.forget()
    with pytest.raises(AttributeError, match="of that name"):
        registry.config_class("envs", "smac-jax")
    registry.forget()


@pytest.mark.usefixtures("entry_point")
def test_an_entry_point_adds_a_weighting_under_its_name() -> None:
    assert "td-power" in registry.discover("weighting")
    assert "td-power" not in registry.discover("algorithms")
    assert registry.summary(registry.config_class("weighting", "td_power")) == (
        "The TD error to some power."
    )


@pytest.mark.usefixtures("entry_point")
def test_a_weighting_from_an_entry_point_weighs() -> None:
    weigh = weighting.make("td-power", power=2.0)
    q, mask = np.array([[1.0, -2.0, 3.0, 9.0]]), np.array([[1, 1, 1, 0]])
    weights = weigh(q=q, target=0 * q, mask=mask)  # 1, 4, 9 over their mean
    np.testing.assert_allclose(weights, [[3 / 14, 12 / 14, 27 / 14, 0]], rtol=1e-12)


@pytest.mark.usefixtures("entry_point")
def test_an_experiment_with_a_weighting_from_an_entry_point_survives_json() -> None:
    experiment = Experiment(weighting=registry.make_config("weighting", "td-power"))
    data: Any = to_dict(experiment)
    assert data["weighting"] == {"name": "td-power", "power": 1.0} | COMMON_OPTIONS
    assert from_dict(data) == experiment


@pytest.mark.usefixtures("entry_point")
def test_a_weighting_from_an_entry_point_is_refused_wrong_options() -> None:
    with pytest.raises(UsageError, match=r"no option 'pwoer'; did you mean 'power'\?"):
        weighting.make("td-power", pwoer=2.0)


def test_without_the_entry_point_the_weighting_is_unknown() -> None:
    with pytest.raises(UsageError, match="unknown weighting 'td-power'"):
        weighting.make("td-power")


def test_an_import_path_names_a_weighting_without_an_entry_point(td_power: str) -> None:
    weights = weighting.make(td_power, power=0.0)(
        q=np.ones((1, 2)), target=np.zeros((1, 2)), mask=np.ones((1, 2))
    )
    assert weights.tolist() == [[1, 1]]
    assert registry.name_of(registry.make_config("weighting", td_power)) == td_power


def test_an_experiment_with_an_import_path_survives_json(td_power: str) -> None:
    experiment = Experiment(weighting=td_power)
    data: Any = to_dict(experiment)
    assert data["weighting"] == {"name": td_power, "power": 1.0} | COMMON_OPTIONS
    assert from_dict(data, trust=True) == experiment


def test_an_import_path_that_leads_nowhere_is_refused(td_power: str) -> None:
    with pytest.raises(UsageError, match="cannot import the weighting 'nowhere:Config'"):
        weighting.make("nowhere:Config")
    with pytest.raises(UsageError, match="cannot import the weighting"):
        weighting.make(f"{td_power}uration")


def test_a_module_that_ends_the_program_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a_script.py").write_text("raise SystemExit(5)\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UsageError, match=r"'a_script:Config': its module raised SystemExit: 5"):
        registry.make_config("weighting", "a_script:Config")


@pytest.mark.parametrize("path", ["dataclasses:dataclass", "macpo.experiment:Run", "math:pi"])
def test_an_import_path_to_something_else_is_refused(path: str) -> None:
    with pytest.raises(UsageError, match=f"'{path}' is not a weighting"):
        registry.make_config("weighting", path)


def test_what_is_called_as_a_factory_of_environments_must_make_one() -> None:
    with pytest.raises(
        UsageError, match=r"macpo\.experiment:Run returned a macpo\.experiment\.Run, which"
    ):
        registry.make_config("envs", "macpo.experiment:Run").make()
    with pytest.raises(UsageError, match="'math:pi' is not an environment, but 3"):
        registry.make_config("envs", "math:pi")
