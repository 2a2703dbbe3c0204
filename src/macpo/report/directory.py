"""A report's directory: the page, its data, figures and tables."""

import os
import re
from collections.abc import Collection, Sequence
from pathlib import Path

from macpo.errors import UsageError, require
from macpo.field_types import Json
from macpo.report.contents import FORMAT
from macpo.runs.files import disk_errors, list_directory, read_json, remove_leftovers
from macpo.study.directory import PLAN

_OURS = re.compile(r"(curves|profile|improvement|overall|scores|seeds|runs|differences)\b.*\.\w+")


class ReportDirectory:
    """The files of a report; the directory need not exist yet."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        require(os.fspath(path) != "", "the name of the report's directory is empty; give it one.")
        self.path = Path(path)
        self.page = self.path / "index.html"
        """The report itself."""
        self.data = self.path / "data.json"
        """Every number in it."""
        self.figures = self.path / "figures"
        """The folder of pictures, as PNG and SVG."""
        self.tables = self.path / "tables"
        """The folder of tables, as Markdown, LaTeX and CSV."""

    @classmethod
    def default(cls, paths: Sequence[Path]) -> "ReportDirectory":
        """In a study, if the report is on one; else under reports/, named after the first path."""
        first = paths[0]
        if len(paths) == 1 and (first / PLAN).is_file():
            return cls(first / "report")
        more = f"_and_{len(paths) - 1}_more" if len(paths) > 1 else ""
        return cls(Path("reports") / f"{first.resolve().name or 'all'}{more}")

    def require_ours(self) -> None:
        """UsageError if there is anything but a report, which is then replaced."""
        with disk_errors(self.path, "read"):
            is_other = os.path.lexists(self.path) and not self.path.is_dir()
        require(not is_other, f"{self.path} is a file; choose another --out.")
        there = [file.name for file in list_directory(self.path)]
        if not there:
            return
        data: Json = None
        if self.data.is_file():
            try:
                data = read_json(self.data, "a report")
            except UsageError:
                data = None
        require(
            isinstance(data, dict) and data.get("format") == FORMAT,
            f"{self.path} holds {', '.join(there[:3])}{' and more' * (len(there) > 3)}, but no "
            "report of macpo that could be replaced; choose another --out.",
        )

    def make(self) -> None:
        """Make the directory and its folders, unless they are there."""
        for folder in (self.figures, self.tables):
            with disk_errors(folder, "create"):
                folder.mkdir(parents=True, exist_ok=True)

    def remove_others(self, written: Collection[Path]) -> None:
        """Remove what earlier reports have left: other figures and tables, halves of files."""
        for folder in (self.figures, self.tables):
            remove_leftovers(folder)
            for file in list_directory(folder):
                if file not in written and _OURS.fullmatch(file.name):
                    with disk_errors(file):
                        file.unlink()
