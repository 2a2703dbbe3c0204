"""What the commands say that hand episodes to others."""

from pathlib import Path
from types import SimpleNamespace

import pytest

import macpo
from tests.support.command_line import run


def test_export_replay_tells_what_is_in_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    asked: list[object] = []

    def export_replay(*given: object, trust: bool) -> SimpleNamespace:
        asked.extend([*given, trust])
        (tmp_path / "hunt.npz").write_bytes(b"0" * 250_000)
        return SimpleNamespace(episodes=1200, steps=60_000)

    monkeypatch.setattr(macpo, "export_replay", export_replay)
    assert run("export-replay", "runs/hunt", str(tmp_path / "hunt.npz"), "--seed", "3") == 0
    assert asked == [Path("runs/hunt"), tmp_path / "hunt.npz", 3, False]
    told = " ".join(capsys.readouterr().out.split())
    assert told.endswith("hunt.npz: 1,200 episodes, 60,000 env steps, 0.2 MB")
