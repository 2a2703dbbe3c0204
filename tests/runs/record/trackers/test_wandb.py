"""Weights & Biases, offline."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.runs.record.conftest import TEST, TRAIN, tracked, tracked_seed
from tests.support.later import needed

needed("wandb", "needs Weights & Biases")


def history(file: Path) -> list[dict[str, Any]]:
    """The rows in a file of a run that was offline: records behind a header, in blocks."""
    from wandb.proto.wandb_internal_pb2 import Record

    rows = []
    for data in records(file.read_bytes()):
        record = Record()
        record.ParseFromString(data)
        if record.HasField("history"):
            items = record.history.item
            rows.append({item.nested_key[0]: json.loads(item.value_json) for item in items})
    return rows


def records(data: bytes) -> Iterator[bytes]:
    """In the format of LevelDB's log: a checksum, a length and a type before each piece."""
    position, pieces, block = 7, b"", 32_768
    while position < len(data):
        if block - position % block < 7:  # no room for another piece
            position += block - position % block
            continue
        length, kind = (
            int.from_bytes(data[position + 4 : position + 6], "little"),
            data[position + 6],
        )
        pieces += data[position + 7 : position + 7 + length]
        position += 7 + length
        if kind in (1, 4):  # whole, or the last piece
            yield pieces
            pieces = b""


def test_a_run_offline_keeps_the_rows_of_each_seed_and_goes_on_under_the_same_id(tmp_path: Path):
    for rows in ([TRAIN, TRAIN | {"seed": 1}, TEST], [TRAIN | {"env_steps": 3200}]):
        sink = tracked("wandb", tmp_path)
        for row in rows:
            sink.write(row)
        sink.close()
    found = [
        [
            [
                (row["_step"], row["train/return_mean"], row.get("test/test_return_mean"))
                for row in history(file)
            ]
            for file in sorted(
                tmp_path.glob(f"wandb/offline-run-*/run-{tracked_seed(tmp_path, seed).key}.wandb")
            )
        ]
        for seed in (0, 1)
    ]
    assert found == [[[(1600, 5.0, 12.5)], [(3200, 5.0, None)]], [[(1600, 5.0, None)]]]
