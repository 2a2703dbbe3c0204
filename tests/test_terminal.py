"""What a terminal shows, and what it may never do to the work behind it."""

import io
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from macpo.terminal import (
    LastingStream,
    command,
    lasting_output,
    make_console,
    say,
    stdout_console,
)

MARKUP = "a[seed1]b [/x] [red]c[/red] :smile: http://x.y/" + "long" * 50


def shown(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@pytest.mark.parametrize("width", [20, 80])
def test_a_line_is_printed_as_it_is_whatever_the_width(width: int):
    console = Console(file=io.StringIO(), width=width)
    say(console, MARKUP, "yellow")
    assert shown(console) == MARKUP + "\n"


def test_numbers_and_paths_are_not_coloured_by_guess():
    console = Console(file=io.StringIO(), width=80, force_terminal=True)
    say(console, "3.5 s in /tmp/x 'quoted'")
    assert shown(console) == "3.5 s in /tmp/x 'quoted'\n"


@pytest.mark.parametrize("path", ["runs/plain", "my runs/a b", "it's", "a;b", "$HOME", "a[seed1]b"])
def test_a_command_can_be_pasted_into_a_shell(path: str):
    line = command("macpo", "resume", Path(path))
    assert shlex.split(line) == ["macpo", "resume", path]
    echoed = subprocess.run(["sh", "-c", f"printf %s {command(path)}"], capture_output=True)
    assert echoed.stdout.decode() == path


# --- streams that fail ----------------------------------------------------------------------------


def text_stream(encoding: str) -> tuple[io.TextIOWrapper, io.BytesIO]:
    raw = io.BytesIO()
    return io.TextIOWrapper(raw, encoding=encoding), raw


@pytest.mark.parametrize(
    ("encoding", "written"),
    [
        ("ascii", "8.0 +- 0.5 - 2x3 -> ?"),
        ("latin-1", "8.0 ± 0.5 · 2×3 -> ?"),
        ("utf-8", "8.0 ± 0.5 · 2×3 → 雪"),
    ],
)
def test_what_an_encoding_lacks_is_written_as_something_similar(encoding: str, written: str):
    stream, raw = text_stream(encoding)
    lasting = LastingStream(stream)
    text = "8.0 ± 0.5 · 2×3 → 雪"
    assert lasting.write(text) == len(text)
    lasting.flush()
    assert raw.getvalue().decode(encoding) == written


class Broken(io.StringIO):
    """Fails in `write` and `flush`, as a stream with a full disk or without a reader does."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def write(self, text: str) -> int:
        raise self.error

    def flush(self) -> None:
        raise self.error


ERRORS = [BrokenPipeError(32, "Broken pipe"), OSError(28, "No space left"), OSError(5, "I/O error")]


@pytest.mark.parametrize("error", [*ERRORS, ValueError("I/O operation on closed file")], ids=str)
def test_what_cannot_be_written_is_dropped(error: Exception):
    lasting = LastingStream(Broken(error))
    assert lasting.write("lost") == 4
    lasting.flush()
    lasting.settle()


@pytest.mark.parametrize("error", ERRORS, ids=str)
def test_a_display_goes_on_without_its_terminal(error: Exception, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "stdout", Broken(error))
    console = make_console()
    say(console, "lost")
    with console.status("lost too"):
        pass


def test_a_pipe_is_not_drawn_over_although_a_notebook_asks_for_colours(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setattr(sys, "stdout", printed := io.StringIO())
    for console in (make_console(), stdout_console()):
        with console.status("compiling"):
            say(console, "a line", style="bold")
    assert printed.getvalue() == "a line\na line\n"


def test_writing_goes_on_once_there_is_space_again():
    class Disk(io.StringIO):
        full = True

        def write(self, text: str) -> int:
            if self.full:
                raise OSError(28, "No space left")
            return super().write(text)

    disk = Disk()
    lasting = LastingStream(disk)
    lasting.write("lost")
    disk.full = False
    lasting.write("kept")
    assert disk.getvalue() == "kept"


def test_everything_else_is_the_streams_own():
    stream, _ = text_stream("latin-1")
    lasting = LastingStream(stream)
    assert lasting.encoding == "latin-1" and not lasting.isatty()


def test_output_within_is_lasting_and_afterwards_as_before(monkeypatch: pytest.MonkeyPatch):
    own, err = Broken(ERRORS[0]), io.StringIO()
    monkeypatch.setattr(sys, "stdout", own)
    monkeypatch.setattr(sys, "stderr", err)
    with lasting_output():
        print("lost")
        print("kept", file=sys.stderr)
    assert (sys.stdout, sys.stderr) == (own, err) and err.getvalue() == "kept\n"


def test_a_program_started_without_streams_has_none(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "stdout", None)
    with lasting_output():
        print("nowhere")
        say(make_console(), "nowhere")
    assert sys.stdout is None


# --- processes ------------------------------------------------------------------------------------

WRITER = """
from macpo.terminal import lasting_output
with lasting_output():
    for _ in range({lines}):
        print("x" * 1000)
    open({file!r}, "w").write("done")
"""


def unread(popen: "subprocess.Popen[bytes]") -> None:
    """Close the pipe before anything is read."""
    assert popen.stdout is not None
    popen.stdout.close()


def read_a_line(popen: "subprocess.Popen[bytes]") -> None:
    assert popen.stdout is not None
    popen.stdout.readline()
    popen.stdout.close()


@pytest.mark.parametrize("lines", [1, 1000], ids=["within the pipe", "beyond the pipe"])
@pytest.mark.parametrize("reader", [unread, read_a_line])
def test_a_pipe_that_nobody_reads_ends_neither_the_work_nor_the_process(
    lines: int, reader: Callable[["subprocess.Popen[bytes]"], None], tmp_path: Path
):
    code = WRITER.format(lines=lines, file=str(tmp_path / "done"))
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    reader(process)
    assert process.stderr is not None
    said = process.stderr.read()
    process.stderr.close()
    assert (process.wait(), said) == (0, b"")
    assert (tmp_path / "done").read_text() == "done"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk_ends_neither_the_work_nor_the_process(tmp_path: Path):
    code = WRITER.format(lines=100, file=str(tmp_path / "done"))
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run([sys.executable, "-c", code], stdout=full, stderr=subprocess.PIPE)
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert (tmp_path / "done").read_text() == "done"
