"""Sinks: JSON lines that can be cut back, a terminal display, TensorBoard by extra."""

import io
import json
import sys
from pathlib import Path

import pytest
from rich.console import Console

import macpo
from macpo.errors import UsageError
from macpo.runs.record.console import ConsoleDisplay
from macpo.runs.record.jsonl import JsonLines
from macpo.runs.record.tensorboard import TensorBoard

TRAIN = {
    "kind": "train",
    "seed": 0,
    "env_steps": 1600,
    "episodes": 8,
    "updates": 1,
    "return_mean": 5.0,
    "epsilon": 0.98,
    "weight_raw_mean": 0.25,
}
TEST = TRAIN | {"kind": "test", "test_return_mean": 12.5}


def test_rows_are_json_lines(tmp_path: Path):
    sink = JsonLines(tmp_path / "m.jsonl")
    sink.write(TRAIN)
    sink.write(TEST)
    sink.close()
    lines = (tmp_path / "m.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [TRAIN, TEST]


def test_a_file_is_cut_back_to_the_length_of_the_checkpoint(tmp_path: Path):
    sink = JsonLines(tmp_path / "m.jsonl")
    sink.write(TRAIN)
    length = sink.sync()
    sink.write(TEST)
    sink.close()
    again = JsonLines(tmp_path / "m.jsonl", length)
    again.write(TRAIN)
    again.close()
    lines = (tmp_path / "m.jsonl").read_text().splitlines()
    assert [json.loads(line)["kind"] for line in lines] == ["train", "train"]


def test_the_display_shows_win_rates_of_battles():
    console = Console(file=io.StringIO(), width=200, force_terminal=False, record=True)
    display = ConsoleDisplay(console, steps=10_000, seeds=1, done=0)
    display.write(TEST | {"battle_won_mean": 0.25, "test_battle_won_mean": 0.5})
    display.close()
    assert "won 25% · test won 50%" in console.export_text()


def test_the_display_counts_lost_episodes_once_there_is_one():
    console = Console(file=io.StringIO(), width=200, force_terminal=False, record=True)
    display = ConsoleDisplay(console, steps=10_000, seeds=1, done=0)
    display.write(TRAIN | {"episodes_lost": 0})
    display.write(TEST | {"test_episodes_lost": 0})
    assert "lost" not in console.export_text()
    display.write(TRAIN | {"episodes_lost": 2})
    display.write(TEST | {"test_episodes_lost": 1})
    display.close()
    assert "lost 3" in console.export_text()


def test_the_display_names_everything_a_user_watches():
    console = Console(file=io.StringIO(), width=200, force_terminal=False, record=True)
    display = ConsoleDisplay(console, steps=10_000, seeds=1, done=0)
    display.write(TRAIN)
    display.write(TEST)
    display.refresh()
    display.close()
    text = console.export_text()
    for part in ("env steps 1,600", "episodes 8", "updates 1", "return 5.0", "epsilon 0.98"):
        assert part in text
    assert "mean weight 0.250" in text and "env steps/s" in text and "left" in text


def test_tensorboard_writes_a_folder_for_each_seed(tmp_path: Path):
    pytest.importorskip("tensorboardX")
    sink = TensorBoard(tmp_path)
    sink.write(TRAIN)
    sink.write(TRAIN | {"seed": 1})
    sink.close()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["seed0", "seed1"]
    assert all(any(p.glob("events.out.*")) for p in tmp_path.iterdir())


def test_without_tensorboardx_the_flag_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(UsageError, match=r"pip install 'macpo\[tensorboard\]'"):
        TensorBoard(tmp_path)


@pytest.mark.slow
def test_losing_an_optional_sink_never_loses_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def fail(self: TensorBoard, row: object) -> None:
        raise OSError("no space left on the tensorboard")

    monkeypatch.setattr(TensorBoard, "write", fail)
    console = Console(file=io.StringIO(), record=True, width=120)
    run = macpo.Run(steps=40, batch_size=8, test_interval=20, test_nepisode=2)
    experiment = macpo.Experiment(env="two-step", run=run)
    result = macpo.train(experiment, tmp_path / "run", console=console, tensorboard=True)
    assert result.finished
    assert "TensorBoard stopped: no space left" in console.export_text()
    assert (tmp_path / "run" / "metrics.jsonl").stat().st_size > 0
