"""How long the way is from `macpo.train` to the first loss, and how plain the code is on it.

    .venv/bin/python benchmarks/reading_path.py [--list]

Traces a real call of `macpo.train` up to the moment when the value-based loss is entered, and
counts the package's files, functions and lines on the way (a function counts once, whole, however
often it runs; nested functions belong to the one around them), and the package's frames on the
stack. The first time this is when `Trainer.check` traces an update, before a run has begun; with
the check left out, it is when the training chunk is compiled, after everything that a run writes
and opens. Then, over the whole source: uses of `Any` in 1,000 lines, and the longest function.
"""

import ast
import re
import sys
import tempfile
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from rich.console import Console

import macpo
from macpo import registry
from macpo.training import programs
from macpo.training.trainer import Trainer

PACKAGE = Path(macpo.__file__).parent
LOSS = ("value_based.py", "loss")


class Arrived(BaseException):
    """The loss has been entered."""


def lines_of(code: CodeType) -> set[tuple[str, int]]:
    numbers = [line for _, _, line in code.co_lines() if line]
    return {(code.co_filename, i) for i in range(code.co_firstlineno, max(numbers) + 1)}


def trace(*, with_check: bool) -> tuple[set[CodeType], list[str]]:
    """(code that ran before the loss, names on the stack when it was entered)"""
    seen: set[CodeType] = set()
    stack: list[str] = []

    def tracer(frame: FrameType, event: str, arg: Any) -> None:
        code = frame.f_code
        if not code.co_filename.startswith(str(PACKAGE)):
            return
        seen.add(code)
        if (Path(code.co_filename).name, code.co_name) == LOSS:
            up: FrameType | None = frame
            while up is not None:
                if up.f_code.co_filename.startswith(str(PACKAGE)):
                    stack.insert(0, up.f_code.co_name)
                up = up.f_back
            raise Arrived

    programs.forget()
    experiment = macpo.Experiment(run=macpo.Run(steps=2000, batch_size=8, buffer_size=16))
    train = macpo.train
    for kind in ("envs", "algorithms", "weighting"):  # what importing runs is not on the way
        registry.discover(kind)
    check = Trainer.check
    if not with_check:
        Trainer.check = lambda _: None
    with tempfile.TemporaryDirectory() as folder:
        sys.setprofile(tracer)
        try:
            train(experiment, Path(folder) / "run", console=Console(quiet=True))
        except Arrived:
            pass
        finally:
            sys.setprofile(None)
            Trainer.check = check
    return seen, stack


def functions_of(seen: set[CodeType]) -> set[CodeType]:
    """Without those that are nested in others."""
    return {
        code
        for code in seen
        if "<locals>" not in code.co_qualname and not code.co_name.startswith("<")
    }


def main() -> None:
    functions = set[CodeType]()
    for where, with_check in (("the first loss", True), ("that of the training chunk", False)):
        seen, stack = trace(with_check=with_check)
        functions = functions_of(seen)
        lines = set[tuple[str, int]]().union(*map(lines_of, functions))
        print(f"from macpo.train to {where}:")
        print(f"  files      {len({code.co_filename for code in functions})}")
        print(f"  functions  {len(functions)}")
        print(f"  lines      {len(lines)}")
        print(f"  frames     {len(stack)}: {' → '.join(stack)}")

    n_lines, n_any, longest = 0, 0, (0, "")
    for file in sorted(PACKAGE.rglob("*.py")):
        text = file.read_text()
        n_lines += text.count("\n")
        code = re.sub(r'""".*?"""|#[^\n]*', "", text, flags=re.S)
        imports = re.findall(r"^from typing import .*\bAny\b", code, re.M)
        n_any += len(re.findall(r"\bAny\b", code)) - len(imports)
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef) and node.end_lineno:
                size = node.end_lineno - node.lineno + 1
                longest = max(longest, (size, f"{file.relative_to(PACKAGE)}:{node.name}"))
    print(f"Any in 1,000 lines: {1000 * n_any / n_lines:.1f} ({n_any} in {n_lines})")
    print(f"longest function:   {longest[0]} lines, {longest[1]}")
    if "--list" in sys.argv:
        for code in sorted(functions, key=lambda code: (code.co_filename, code.co_firstlineno)):
            print(f"  {Path(code.co_filename).relative_to(PACKAGE)}  {code.co_qualname}")


if __name__ == "__main__":
    main()
