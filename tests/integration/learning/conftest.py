"""Networks of a few neurons."""

import pytest

from macpo.kernels import shard


@pytest.fixture(autouse=True)
def one_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sharing their batches takes longer than it saves, and longer to compile."""
    monkeypatch.setattr(shard, "MIN_EPISODES", 1_000_000)
