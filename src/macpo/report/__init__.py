"""Reports on run directories: their rows, curves and tables. Nothing is trained or loaded here.

A name is imported when it is first used.
"""

from typing import TYPE_CHECKING

from macpo.lazy import lazy_names

if TYPE_CHECKING:
    from macpo.report.collection import Collection, collect
    from macpo.report.contents import Report
    from macpo.report.writing import Written, write_report

__all__ = ["Collection", "Report", "Written", "collect", "write_report"]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "Collection": "macpo.report.collection",
        "Report": "macpo.report.contents",
        "Written": "macpo.report.writing",
        "collect": "macpo.report.collection",
        "write_report": "macpo.report.writing",
    },
)
