"""What plug-ins and presets say of themselves, without importing them."""

import pytest

from macpo import presets, registry
from macpo.cli.described import described_plugins, described_presets


@pytest.mark.parametrize("kind", list(registry.NOUN))
def test_plugins_say_in_their_source_what_they_say_when_imported(kind: registry.Kind):
    found = described_plugins(kind)
    assert {name: each.summary for name, each in found.items()} == {
        name: registry.summary(plugin) for name, plugin in registry.discover(kind).items()
    }
    assert list(found) == list(registry.discover(kind))


def test_algorithms_say_what_is_about_them():
    for name, plugin in registry.discover("algorithms").items():
        defaults = plugin.about._field_defaults
        assert {**defaults, **described_plugins("algorithms")[name].about} == plugin.about._asdict()


def test_presets_say_in_their_source_what_they_say_when_imported():
    assert {name: each.summary for name, each in described_presets().items()} == {
        name: registry.summary(preset) for name, preset in presets.known().items()
    }
