"""Studies written in a file of TOML: the flags of `macpo train` for all arms, and for each arm.

name = "factors"
seeds = 5

[all]                     # for every arm
preset = "pymarl"
env = "predator-prey"
"env.punishment" = [0, -2]  # several values: an arm for each

[arms.macpo]
weighting = "macpo"

[arms.no-value]
weighting = "macpo-no-value"
"""

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from macpo.errors import UsageError, nearest, require, shown
from macpo.field_types import Settings
from macpo.study import grid

_SECTIONS = ("name", "seeds", "seeds_together", "all", "arms")


class StudyFile(NamedTuple):
    """What a file says of a study."""

    name: str
    seeds: int | list[int] | None
    seeds_together: int
    arms: list[grid.Arm]


def read(file: Path) -> StudyFile:
    """The study in a file, its arms as flags; UsageError, which names the file, without one."""
    try:
        data = tomllib.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise UsageError(f"cannot read a study from {file}: {why}.") from error
    try:
        return _study(data, file.stem)
    except UsageError as error:
        raise UsageError(f"{file}: {error}") from error


def _study(data: Settings, default_name: str) -> StudyFile:
    for section in data:
        hint = nearest(section, _SECTIONS)
        require(section in _SECTIONS, f"a study has no {shown(section)}; {hint}")
    name, seeds = data.get("name", default_name), data.get("seeds")
    together = data.get("seeds_together", 1)
    if not isinstance(name, str):
        raise UsageError(f"name must be text, not {shown(name)}.")
    if not (seeds is None or isinstance(seeds, int | list)):
        raise UsageError(f"seeds must be a number or a list of numbers, not {shown(seeds)}.")
    if not isinstance(together, int):
        raise UsageError(f"seeds_together must be a number, not {shown(together)}.")
    shared = [*_flags(_table(data, "all"))]
    named = _table(data, "arms")
    # of a flag given twice the last value counts, and only that may be varied
    arms = [
        arm
        for name in (named or {"": {}})
        for own in [[*_flags(_table(named, name))]]
        for arm in grid.arms(_joined(shared, own), name)
    ]
    return StudyFile(name, seeds, together, arms)


def _table(data: Settings, name: str) -> Settings:
    table = data.get(name, {})
    if not isinstance(table, Mapping):
        raise UsageError(f"[{name}] must be a table of flags and their values.")
    return table


class _Setting(NamedTuple):
    flag: str
    words: list[str]


def _joined(shared: list[_Setting], own: list[_Setting]) -> list[str]:
    """All as arguments; an arm's own settings replace the shared ones."""
    replaced = {setting.flag for setting in own}
    settings = [setting for setting in shared if setting.flag not in replaced] + own
    return [word for setting in settings for word in setting.words]


def _flags(table: Settings, prefix: str = "") -> Iterator[_Setting]:
    """A setting for each entry; those of inner tables have the table's name in front."""
    for key, value in table.items():
        name = f"{prefix}{key}".replace("_", "-")
        if isinstance(value, Mapping):
            yield from _flags(value, f"{name}.")
        elif isinstance(value, bool):
            *parts, last = name.split(".")
            words = [f"--{'.'.join([*parts, last if value else f'no-{last}'])}"]
            yield _Setting(f"--{name}", words)
        else:
            values = value if isinstance(value, list) else [value]
            require(bool(values), f"{name} has no value.")
            for item in values:
                plain = isinstance(item, str | int | float) and not isinstance(item, bool)
                require(plain, f"{name} must be text or numbers, not {shown(item)}.")
            yield _Setting(f"--{name}", [f"--{name}", *map(str, values)])
