"""What every environment promises; a new file in `macpo/envs` is tested without an edit here.

The promises themselves are the checks of `macpo check-env`, here with exact equality.
"""

import copy
import functools
from types import SimpleNamespace
from typing import Any

import jax
import pytest

from macpo import registry
from macpo.envs.base import Environment
from macpo.envs.host import HostEnvironment
from macpo.interop import promises
from macpo.interop.random_play import Episode, play
from macpo.interop.to_host import OnHost, on_host

N_EPISODES = 2
CONFIGS = {name: registry.make_config("envs", name) for name in registry.discover("envs")}
# healers, flyers and enemies numbered anew, none of which the default map has
CONFIGS["smac-jax on MMM2"] = registry.make_config(
    "envs", "smac-jax", map="MMM2", permute_enemies_on_reset=True
)
# rock, and a structure
CONFIGS["smac-jax on 2s_vs_1sc"] = registry.make_config("envs", "smac-jax", map="2s_vs_1sc")
# extended partial observability, shields and beams; cones and explosions
CONFIGS["smacv2-jax of Protoss"] = registry.make_config(
    "envs", "smacv2-jax", race="protoss", prob_obs_enemy=0.0, action_mask=False
)
CONFIGS["smacv2-jax of Zerg"] = registry.make_config(
    "envs", "smacv2-jax", race="zerg", conic_fov=True
)
OF_EPISODES = [*promises.BASIC, *promises.OF_EPISODES]


@functools.cache
def environment(name: str) -> Environment | HostEnvironment:
    return CONFIGS[name].make()


@functools.cache
def player(name: str) -> HostEnvironment:
    return on_host(environment(name))


@functools.cache
def traced(name: str) -> OnHost:
    """The player of an environment whose functions are traced once, whoever calls them."""
    original, copied = environment(name), copy.copy(player(name))
    assert isinstance(copied, OnHost)
    vars(copied)["env"] = SimpleNamespace(
        reset=copied.compiled_reset,
        step=copied.compiled_step,
        **{part: jax.jit(getattr(original, part)) for part in ("observe", "encode", "decode")},
    )
    return copied


@functools.cache
def random_play(name: str) -> list[Episode]:
    return [play(player(name), seed) for seed in range(N_EPISODES)]


def assert_nothing_found(findings: Any) -> None:
    assert [str(finding) for finding in findings] == []


JAX_ENVIRONMENTS = [name for name in CONFIGS if not isinstance(environment(name), HostEnvironment)]
every_environment = pytest.mark.parametrize("name", JAX_ENVIRONMENTS)


@every_environment
def test_the_spec_carries_the_registered_name(name: str) -> None:
    assert environment(name).spec.name == registry.name_of(CONFIGS[name])


@every_environment
def test_the_spec_makes_sense(name: str) -> None:
    assert_nothing_found(promises.sizes(environment(name).spec))


@every_environment
@pytest.mark.parametrize("promise", OF_EPISODES, ids=lambda promise: promise.__name__)
def test_random_play_breaks_no_promise(name: str, promise: promises.Promise) -> None:
    assert_nothing_found(promise(environment(name).spec, random_play(name)))


# Without `jit` every operation is compiled by itself, and battles have hundreds of them: those with
# most mechanics stand for the others.
WITHOUT_JIT = {name for name in JAX_ENVIRONMENTS if not name.startswith("smac")}
WITHOUT_JIT |= {"smacv2-jax of Zerg"}


@pytest.mark.parametrize(
    ("name", "promise"),
    [
        pytest.param(name, promise, id=f"{promise.__name__}-{name}")
        for promise in promises.OF_JAX
        for name in JAX_ENVIRONMENTS
        if promise is not promises.compiled or name in WITHOUT_JIT
    ],
)
def test_an_environment_breaks_no_promise(name: str, promise: promises.Promise) -> None:
    # XLA fuses the arithmetic of battles, and where kinds are drawn not alike for one and for many
    last_bits = 1e-6 if name.startswith("smac") else 0.0
    compares_programs = promise in (promises.compiled, promises.batched)
    exactly = {"tolerance": last_bits} if compares_programs else {}
    # where it is called without `jit`, as it is
    subject = player(name) if promise is promises.compiled else traced(name)
    assert_nothing_found(promise(subject, random_play(name)[0], **exactly))
