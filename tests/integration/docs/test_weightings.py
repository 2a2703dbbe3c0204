"""The pages of the weightings say what the code says."""

import subprocess
import sys

from macpo import weighting
from tests.support.paths import ROOT

DOCS = ROOT / "docs" / "weightings"


def test_pages_are_those_that_the_modules_make():
    done = subprocess.run(
        [sys.executable, str(DOCS / "make.py"), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_every_weighting_has_a_page_with_a_picture():
    for name in weighting.available():
        assert f"![weights]({name}.png)" in (DOCS / f"{name}.md").read_text()
        assert (DOCS / f"{name}.png").is_file()
