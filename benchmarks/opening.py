"""How long a browser takes to open a report on 100 runs with 300 evaluations each.

    .venv/bin/python benchmarks/opening.py [FILE]

Needs Chromium and the group dev. From the order to open the page to all of its first charts being
drawn; the first time in a browser that has just begun, and the median of four more.
"""

import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # the tests drive the same browser

from macpo.bench.answers import write_runs
from macpo.bench.measure import machine
from macpo.report.writing import write_report
from macpo.runs.files import write_json
from tests.support.browser import Browser, chromium

DRAWN = "[...document.querySelectorAll('[data-kind=curves]')].some(each => each.dataset.drawn)"


def seconds_to_open(browser: Browser, page: Path) -> float:
    start = time.perf_counter()
    browser.open(page)
    browser.wait_for(DRAWN)
    return time.perf_counter() - start


def main() -> None:
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        sys.exit("opening.py: there is no chromium; install it, for instance with apt-get.")
    before = machine()
    with tempfile.TemporaryDirectory() as folder:
        write_runs(Path(folder) / "runs")
        page = write_report([Path(folder) / "runs"], Path(folder) / "report").files.page
        megabytes = page.stat().st_size / 1e6
        with chromium(program, Path(folder) / "profile") as browser:
            browser.resize(1200, 900)
            first, *others = (seconds_to_open(browser, page) for _ in range(5))
        assert browser.complaints == []
    found = {
        "megabytes": round(megabytes, 2),
        "first_s": round(first, 2),
        "then_s": round(statistics.median(others), 2),
    }
    print(found)
    for file in sys.argv[1:2]:
        write_json(Path(file), {"machine": before, "results": found})


main()
