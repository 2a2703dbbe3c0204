"""results/regret.md tells the thresholds of the library's weights and the studies on disk."""

import json
import re

import numpy as np
import pytest

from macpo import weighting
from tests.support.paths import ROOT

PAGE = (ROOT / "results" / "regret.md").read_text()
STUDIES = sorted((ROOT / "results" / "studies").glob("regret-*.toml"))
GAMES = [(10.0, 0.5), (10.0, 1.5), (10.0, 2.0), (10.0, 4.0), (1.0, 0.2)]
"""Rewards of a capture and costs of a failure, as in the columns of the table."""


def row(label: str) -> list[float]:
    """The numbers of the first line that begins with this label."""
    (line,) = re.findall(rf"^\| {re.escape(label)} \|(.*)\|$", PAGE, re.M)
    return [float(cell) for cell in line.split("|")]


def threshold(weigh: weighting.Weighting, capture: float, failure: float) -> float:
    """The p at which p · capture · w(capture) = (1 − p) · failure · w(−failure)."""
    one, target = np.ones((1, 2)), np.array([[capture, -failure]])
    signals = {
        "q": 0 * one,
        "target": target,
        "q_star": target,  # it learns the same targets
        "q_star_greedy": 0 * one,  # to do neither
        "is_greedy": one < 0,
        "pi_taken": np.full((1, 2, 2), 0.5),
        "mask": one,
    }
    weights = weigh(**{name: signals[name] for name in (*weigh.needs, "mask")})
    gain, loss = (np.abs(target) * weights)[0]
    return float(loss / (gain + loss))


@pytest.mark.parametrize(
    ("label", "weights"),
    [
        ("uniform", [weighting.Uniform()]),
        ("PER", [weighting.PER()]),
        ("MAC-PO", [weighting.MacPO()]),
        ("MAC-PO, value temperature 10", [weighting.MacPO(value_temperature=10.0)]),
        ("CW-QMIX, OW-QMIX", [weighting.CWQMIX(), weighting.OWQMIX()]),
        ("macpo-regret, root of the error", [weighting.make("macpo-regret", exponent=0.5)]),
        (
            "macpo-regret, PER × CW-QMIX",
            [weighting.make("macpo-regret"), weighting.PER().times(weighting.CWQMIX())],
        ),
    ],
)
def test_the_thresholds_are_those_of_the_weights(label: str, weights: list[weighting.Weighting]):
    for weigh in weights:
        computed = [float(f"{threshold(weigh, *game):.3g}") for game in GAMES]
        assert row(label) == computed


def test_every_study_of_the_page_has_its_command():
    commands = re.findall(
        r"^macpo sweep results/studies/(\S+)\.toml --out studies/(\S+)$", PAGE, re.M
    )
    assert commands == [(file.stem, file.stem) for file in STUDIES]


def test_every_link_of_the_page_leads_to_a_file():
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", PAGE)
    assert links
    assert all((ROOT / "results" / link).exists() for link in links)


@pytest.mark.parametrize(
    ("row", "method", "final"),
    [
        ("`macpo-regret`, seed 0", "macpo-regret", "Of the first, the final score is\n{:.1f}"),
        (r"the root of \|δ\|, seed 0", "macpo-regret root of error", "of the second {:.1f}"),
    ],
)
def test_what_is_told_of_the_runs_so_far_is_in_the_records(
    row: str, method: str, final: str
) -> None:
    records = json.loads((ROOT / "results" / "records" / "regret-a.json").read_text())
    evaluations = records["predator-prey"]["punishment=-2"][method]["seed_0"]
    steps = [e for name, e in evaluations.items() if name.startswith("step_")]
    at = {round(e["step_count"] / 1e4) * 10: round(e["test_return_mean"][0]) for e in steps}
    (cells,) = re.findall(rf"^\| {re.escape(row)} \|(.*)\|$", PAGE, re.M)
    assert [int(x.replace("−", "-")) for x in cells.split("|")] == [
        at[k] for k in range(40, 300, 20)
    ]
    score = np.mean([e["test_return_mean"][0] for e in steps[-3:]])
    assert final.format(score) in PAGE
