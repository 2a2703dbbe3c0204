"""Compiled programs, shared by the trainers of experiments that differ in seed or length only.

So a second run of a kind starts at once in the same process: one that is resumed, or another seed
in a notebook.
"""

import dataclasses
import functools
from collections.abc import Callable, Hashable
from typing import Any, Generic, Protocol, TypeAlias, TypeVar, overload

from macpo.envs.base import Environment
from macpo.envs.host_stub import HostEnvStub
from macpo.experiment import Experiment
from macpo.field_types import Dataclass

T = TypeVar("T")
Programs: TypeAlias = dict[str, Any]  # by name; of any type, like what `jax.jit` makes
MAX_KINDS = 8
"""Kinds of experiments whose programs are kept in memory: those asked for last."""
_OWN = ("macpo.types", "macpo.envs.", "macpo.algorithms.", "macpo.weighting.")
_IN_NO_PROGRAM = ("seed", "steps", "updates", "checkpoint_interval", "from_file", "from_sha256")


class HasPrograms(Protocol):
    """The owner of shared properties."""

    @property
    def programs(self) -> Programs:
        """What has been computed so far, for all owners with the same programs."""
        ...


class shared_property(Generic[T]):
    """Like `functools.cached_property`, but computed once for all owners of the same `programs`."""

    def __init__(self, method: Callable[[Any], T]) -> None:  # of any class
        self.method = method
        self.__doc__ = method.__doc__

    @overload
    def __get__(self, owner: None, _: type) -> "shared_property[T]": ...
    @overload
    def __get__(self, owner: HasPrograms, _: type) -> T: ...
    def __get__(self, owner: HasPrograms | None, _: type) -> "shared_property[T] | T":
        if owner is None:
            return self
        name = self.method.__name__
        if name not in owner.programs:
            owner.programs[name] = self.method(owner)
        return owner.programs[name]


def programs_of(experiment: Experiment, env: Environment) -> Programs:
    """What trainers of such experiments have compiled so far; empty at first.

    Custom parts share nothing, for a function that they call may have changed since. Of an
    environment that is not JAX programs know the sizes only.
    """
    game = env.spec if isinstance(env, HostEnvStub) else experiment.env
    parts = game, experiment.algorithm, experiment.weighting
    if not all(type(part).__module__.startswith(_OWN) for part in parts):
        return {}
    run, replay = experiment.run, experiment.replay
    # how far the correction of prioritised sampling has come depends on the run's end
    end = run.end if replay.sampling == "prioritized" else None
    how = _values(run), run.is_offline, end, _values(replay), replay.from_file is None
    try:
        return _remembered(*parts, *how)
    except TypeError:  # a setting without a hash
        return {}


@functools.lru_cache(maxsize=MAX_KINDS)
def _remembered(*_: Hashable) -> Programs:
    return {}


def forget() -> None:
    """Give up all programs, so that trainers made from now on trace and compile anew."""
    _remembered.cache_clear()


def _values(config: Dataclass) -> tuple[Hashable, ...]:
    """The settings that programs depend on."""
    names = (field.name for field in dataclasses.fields(config))
    return tuple(getattr(config, name) for name in names if name not in _IN_NO_PROGRAM)
