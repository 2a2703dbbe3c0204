"""Joining a Ray cluster."""

import pytest

from macpo.errors import UsageError


def test_a_cluster_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("ray")
    from macpo.cluster import connect

    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    with pytest.raises(UsageError, match=r"cannot reach a Ray cluster at '127.0.0.1:1': .*"):
        connect()


def test_a_machine_too_busy_for_a_cluster_of_its_own_is_told(monkeypatch: pytest.MonkeyPatch):
    ray = pytest.importorskip("ray")
    from macpo.cluster import connect

    def init(**_: object) -> None:
        raise Exception("The current node timed out during startup.")

    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(ray, "init", init)
    with pytest.raises(UsageError, match=r"this machine: The current .* startup\. Try again when"):
        connect()
