"""Joining a Ray cluster."""

import pytest

from macpo.errors import UsageError


def test_a_cluster_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("ray")
    from macpo.cluster import connect

    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    with pytest.raises(UsageError, match=r"cannot reach a Ray cluster at '127.0.0.1:1': .*"):
        connect()
