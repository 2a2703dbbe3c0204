"""The glossary of reports says what docs/metrics.md says."""

from macpo.report.glossary import GLOSSARY
from tests.support.paths import ROOT


def test_the_glossary_is_that_of_the_documentation() -> None:
    page = (ROOT / "docs" / "metrics.md").read_text().replace("`", "")
    rows = [
        tuple(cell.strip() for cell in line.strip("|").split("|"))
        for line in page.splitlines()
        if line.startswith("|") and not line.startswith(("| key", "|---"))
    ]
    told = [metric for metrics in GLOSSARY.values() for metric in metrics]
    assert [(row[0], row[-1]) for row in rows] == [(m.names, m.meaning) for m in told]
    assert [row[1] if len(row) == 3 else "" for row in rows] == [m.unit for m in told]
