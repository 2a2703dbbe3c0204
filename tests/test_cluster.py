"""Joining a Ray cluster."""

import pytest

from macpo.errors import UsageError


def test_a_cluster_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("ray")
    from macpo.cluster import connect

    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    with pytest.raises(UsageError, match=r"cannot reach a Ray cluster at '127.0.0.1:1': .*"):
        connect()


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            "The current node timed out during startup. This could happen because some of the "
            "raylet failed to startup or the GCS has become overloaded.",
            "The current node timed out during startup",
        ),
        ("no space left\nfor sessions", "no space left"),
        ("", "Exception('')"),
    ],
)
def test_a_cluster_that_does_not_start_on_this_machine_is_told(
    said: str, told: str, monkeypatch: pytest.MonkeyPatch
):
    ray = pytest.importorskip("ray")
    from macpo.cluster import connect

    def init(**_: object) -> None:
        raise Exception(said)

    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(ray, "init", init)
    with pytest.raises(UsageError) as refused:
        connect()
    assert str(refused.value).startswith(f"cannot start a Ray cluster on this machine: {told}; ")
