"""Which algorithms are timed at which batch."""

from macpo import registry
from macpo.bench.algorithms import contenders


def test_every_algorithm_is_timed_at_its_own_batch_and_with_replay_at_the_common_one():
    found = contenders()
    for name, config in registry.discover("algorithms").items():
        sizes = {size for size, names in found.items() if name in names}
        assert config.schedule.get("batch_size", 128) in sizes
        assert (128 in sizes) == (not config.about.on_policy)
