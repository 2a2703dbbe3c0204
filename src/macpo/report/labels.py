"""What differs between settings, and the shortest labels that tell them apart."""

import json
from collections.abc import Sequence

from macpo.errors import shortened
from macpo.field_types import Json, Settings

OFFLINE = "offline"
"""The setting of a task that says from which episodes runs learn, which play none."""


def flat(experiment: Settings, *sections: str) -> Settings:
    """The settings of some sections of an experiment, by dotted name.

    >>> flat({"env": {"name": "two-step"}, "run": {"seeds": 3}}, "env", "run")
    {'env.name': 'two-step', 'run.seeds': 3}
    """
    return {
        f"{section}.{name}": value
        for section in sections
        for name, value in experiment[section].items()
    }


def same(settings: Settings) -> str:
    """Text that is equal for equal settings."""
    return json.dumps(settings, sort_keys=True)


def differing(settings: Sequence[Settings]) -> list[str]:
    """The names of what is not the same in all, as they come.

    >>> differing([{"lr": 0.1, "clip": 0}, {"lr": 0.2, "clip": 0}])
    ['lr']
    """
    names = list(dict.fromkeys(name for each in settings for name in each))
    return [name for name in names if _variety(name, settings) > 1]


def tell_apart(settings: Sequence[Settings], always: Sequence[str]) -> list[str]:
    """A label for each: what it has of `always`, then as few others as tell it from the rest.

    >>> tell_apart([{"name": "qmix", "lr": 0.1}, {"name": "qmix", "lr": 0.2}], ["name"])
    ['qmix, lr=0.1', 'qmix, lr=0.2']
    """
    labels = [
        " · ".join(in_words(each[name]) for name in always if name in each) for each in settings
    ]
    while True:
        groups: dict[str, list[int]] = {}
        for i, label in enumerate(labels):
            groups.setdefault(label, []).append(i)
        alike = [group for group in groups.values() if len(group) > 1]
        splits = [(group, differing([settings[i] for i in group])) for group in alike]
        if not any(names for _, names in splits):
            return labels
        for group, names in splits:
            members = [settings[i] for i in group]
            best = max(names, key=lambda name: _variety(name, members), default=None)
            for i in group if best else []:
                short = str(best).rpartition(".")[2]
                labels[i] += f", {short}={in_words(settings[i].get(str(best)))}"


def in_words(value: Json) -> str:
    """A setting's value as experiment.json has it, without the quotes of text."""
    if isinstance(value, float):
        return f"{value:g}"
    return shortened(value if isinstance(value, str) else json.dumps(value))


def _variety(name: str, settings: Sequence[Settings]) -> int:
    """How many values a setting has."""
    return len({json.dumps(each.get(name), sort_keys=True) for each in settings})


def unit_of(task: Settings) -> str:
    """Over what the curves of a task with these settings are drawn, in words."""
    return "updates" if OFFLINE in task else "env steps"
