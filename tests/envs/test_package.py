"""`macpo.envs` offers every configuration, and imports a game only when it is used."""

import doctest
import subprocess
import sys

import pytest

from macpo import envs, registry
from macpo.envs import smac_jax

ENVIRONMENTS = registry.discover("envs")
IMPORTS_NO_GAME = """
import sys
import macpo.envs
games = {"predator_prey", "matrix_game", "two_step", "smac", "smac_jax", "smacv2_jax"}
print(*(name for name in games if f"macpo.envs.{name}" in sys.modules))
"""


def test_every_environment_is_offered_by_the_package() -> None:
    assert {config.__name__ for config in ENVIRONMENTS.values()} <= set(envs.__all__)


@pytest.mark.parametrize("name", envs.__all__)
def test_every_public_name_is_found(name: str) -> None:
    assert getattr(envs, name).__name__ == name
    assert name in dir(envs)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match=r"'macpo\.envs' has no attribute 'PredatorPray'"):
        _ = envs.PredatorPray  # type: ignore[attr-defined]


@pytest.mark.parametrize("config", ENVIRONMENTS.values(), ids=ENVIRONMENTS)
def test_the_registry_s_config_is_the_public_class(config: type) -> None:
    module = sys.modules[config.__module__]
    assert module.Config is getattr(envs, config.__name__) is config


@pytest.mark.parametrize("config", ENVIRONMENTS.values(), ids=ENVIRONMENTS)
def test_a_configuration_s_repr_can_be_evaluated(config: type) -> None:
    assert eval(repr(config()), {config.__name__: config}) == config()


@pytest.mark.parametrize("config", ENVIRONMENTS.values(), ids=ENVIRONMENTS)
def test_the_example_of_a_configuration_holds(config: type) -> None:
    (example,) = doctest.DocTestFinder(recurse=False).find(
        config, config.__name__, globs={config.__name__: config}
    )
    assert example.examples
    assert doctest.DocTestRunner().run(example).failed == 0


def test_the_example_of_the_package_holds() -> None:
    assert doctest.testmod(envs).failed == 0


def test_importing_the_package_imports_no_game() -> None:
    done = subprocess.run(
        [sys.executable, "-c", IMPORTS_NO_GAME], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []


@pytest.mark.parametrize(
    "name",
    [
        *("SMACJax", "SMACJaxEnv", "State", "Units", "battle_map", "available_actions"),
        *("columns_of", "observe", "global_state", "reward", "visibility"),
    ],
)
def test_smac_s_interface_can_be_imported_from_one_place(name: str) -> None:
    assert getattr(smac_jax, name) and name in smac_jax.__all__
