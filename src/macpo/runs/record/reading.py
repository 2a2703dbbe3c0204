"""Rows of metrics read back from JSON lines: each is checked, and an error names its line."""

import os
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias, cast

from macpo.errors import UsageError, require
from macpo.field_types import JsonObject, Unchecked
from macpo.runs.files import parse_json

Row: TypeAlias = JsonObject
"""As `macpo.runs.record.Row`; what JSON holds beside numbers and words is refused."""


def read_rows(file: Path) -> list[Row]:
    """All rows of a file in the order written; UsageError, which names it, for a broken line."""
    return [_checked(value, where) for value, where in _values(file)]


def read_sound_rows(file: Path) -> tuple[list[Row], list[str]]:
    """The rows that can be read, and a sentence about each of the others.

    Raises UsageError if the file cannot be read.
    """
    rows, reasons = list[Row](), list[str]()
    for value, where in _values(file):
        try:
            rows.append(_checked(value, where))
        except UsageError as error:
            reasons.append(str(error))
    return rows, reasons


def _values(file: Path) -> Iterator[tuple[Unchecked, str]]:
    """What every line holds, the line itself if it is not JSON, and where it is.

    A last line without its newline is left out.
    """
    with _told(file):
        data = file.read_bytes()
    lines = data.split(b"\n")[:-1]
    for i, value in enumerate(_parsed(lines), 1):
        yield value, f"line {i} of {file}"


def _parsed(lines: Sequence[bytes]) -> Sequence[Unchecked]:
    """What each line holds, or the lines as they are if that must be found one by one.

    Parsed at once, each as an array of one item, they take half the time. Without brackets of their
    own no value can reach into the next line: a string would hold a line break, an object would
    end in a bracket.
    """
    if not lines or any(b"[" in line or b"]" in line for line in lines):
        return lines
    try:
        values = parse_json(b"[[" + b"],\n[".join(lines) + b"]]")
    except ValueError:
        return lines
    is_sound = all(len(value) == 1 for value in values)
    return [value for (value,) in values] if is_sound else lines


def read_end(file: Path, n_bytes: int) -> tuple[list[Row], bool]:
    """(the rows within the last `n_bytes` of a file, whether these are all of them)

    Raises UsageError as `read_rows` does.
    """
    with _told(file), file.open("rb") as handle:
        size = handle.seek(0, os.SEEK_END)
        handle.seek(max(size - n_bytes, 0))
        lines = handle.read().split(b"\n")
    is_whole, where = size <= n_bytes, f"a line near the end of {file}"
    whole_lines = lines[:-1] if is_whole else lines[1:-1]
    return [_checked(value, where) for value in _parsed(whole_lines)], is_whole


def _checked(value: Unchecked, where: str) -> Row:
    """The row that a line holds, or is; UsageError, which tells where it is, for anything else."""
    try:
        row = parse_json(value) if isinstance(value, bytes) else value
    except ValueError as error:
        raise UsageError(
            f"{where} is not JSON ({error}); remove the line, or take the file from a backup."
        ) from error
    require(
        has_fields(row, {"kind": str, "seed": int, "env_steps": int}),
        f"{where} is not a row of metrics; expected an object with kind, seed and env_steps.",
    )
    try:
        for name, value in row.items():
            # numbers that JSON cannot represent are written as "nan", "inf" or "-inf"
            if type(value) is not float and name != "kind":
                row[name] = _number(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise UsageError(f"{where} holds a metric that is not a number ({error}).") from error
    return row


def _number(value: Unchecked) -> int | float:
    """The number; TypeError, ValueError or OverflowError for anything else."""
    if not isinstance(value, int):
        return float(value)
    if abs(value) >= 2**63:
        raise OverflowError("an integer beyond 64 bits")
    return value


def has_fields(data: object, fields: Mapping[str, type]) -> bool:
    """Whether JSON data is an object with these fields, each of its type."""
    if not isinstance(data, dict):
        return False
    values = cast(Row, data)
    return all(isinstance(values.get(name), kind) for name, kind in fields.items())


@contextmanager
def _told(file: Path) -> Generator[None]:
    try:
        yield
    except OSError as error:
        raise UsageError(
            f"cannot read {file}: {error.strerror or error}; give the directory of a run that "
            "`macpo train` made."
        ) from error
