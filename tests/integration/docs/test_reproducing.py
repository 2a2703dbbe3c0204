"""The commands of docs/reproducing.md run as printed, as far as the first run."""

import re
import shlex
from pathlib import Path

import pytest

from macpo.cli import main
from macpo.report import writing
from macpo.reproduce.figures import BUDGETS, FIGURES
from tests.support.fake_engine import install
from tests.support.paths import ROOT

PAGE = (ROOT / "docs" / "reproducing.md").read_text()


def test_every_command_of_the_page_carries_out_its_study(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    fake = install(monkeypatch)
    fake.score = lambda run: float(run.seed)
    monkeypatch.setattr(writing, "draw_figures", lambda *_: [])  # tests/report has them
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results").symlink_to(ROOT / "results")
    n_runs: list[int] = []
    for line in "".join(re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL)).splitlines():
        with pytest.raises(SystemExit) as stop:
            main(shlex.split(line, comments=True)[1:])
        assert stop.value.code == 0, line
        n_runs.append(len(fake.done))
        fake.done.clear()
    assert n_runs == [8 * 4 * 5, 6 * 2 * 5, 8 * 3 * 4, 4 * 1 * 1, 0, 0]
    assert "Table 2" in capsys.readouterr().out


def test_the_page_tells_the_figures_and_budgets_as_they_are():
    assert all(f"`{name}` | " in PAGE for name in FIGURES)
    for name, budget in BUDGETS.items():
        steps = " on Predator-Prey" if len({*budget.steps.values()}) > 1 else ""
        assert f"{budget.steps['predator-prey']:,}{steps}" in PAGE and f"`{name}`" in PAGE
