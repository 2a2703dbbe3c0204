"""The choice of an engine."""

import sys

import pytest

from macpo.errors import UsageError
from macpo.training.host import engines
from macpo.training.host.pool import Workers


def test_an_engine_whose_package_is_not_installed_is_told_with_the_extra(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.delitem(sys.modules, "macpo.training.host.engines.ray", raising=False)
    monkeypatch.setitem(sys.modules, "ray", None)
    said = r"^--workers.engine ray needs Ray \(.*\): pip install 'macpo\[ray\]'\.$"
    with pytest.raises(UsageError, match=said):
        engines.make("ray")


def test_an_unknown_engine_is_refused():
    with pytest.raises(
        UsageError, match=r"^workers: engine must be one of 'local', 'ray', not 'mars'"
    ):
        Workers(engine="mars")  # type: ignore[arg-type]
