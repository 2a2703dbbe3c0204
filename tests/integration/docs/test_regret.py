"""results/regret.md tells the thresholds of the library's weights and the studies on disk."""

import functools
import json
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from macpo import presets, weighting
from macpo.algorithms import CWQMIX, OWQMIX, QMIX
from macpo.cli.studies import experiments_of
from macpo.envs import PredatorPrey, SMACJax
from macpo.experiment import Experiment, Run
from macpo.replay.priority import Replay
from macpo.study.file import read
from macpo.weighting import PER, MacPO, MacPORegret, Uniform
from tests.support.paths import ROOT

PAGE = (ROOT / "results" / "regret.md").read_text()
STUDIES = sorted((ROOT / "results" / "studies").glob("regret-*.toml"), key=lambda file: file.stem)
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
        ("`macpo-regret`, seed 0", "macpo-regret", "Of the first, the final score is {:.1f}"),
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
    assert final.format(score) in " ".join(PAGE.split())


# --- what the studies would train -----------------------------------------------------------------

SCHEMES = {"CW-QMIX": (CWQMIX(), Uniform()), "OW-QMIX": (OWQMIX(), Uniform())}
"""Algorithm and weighting of the arms that are called so; all others are QMIX with a weighting."""
WEIGHTINGS = {
    "macpo-regret": MacPORegret(),
    "macpo-regret root of error": MacPORegret(exponent=0.5),
    "macpo-regret batch 64": MacPORegret(),
    "MAC-PO": MacPO(),
    "macpo": MacPO(),
    "per": PER(),
    "cwqmix": weighting.CWQMIX(),
}
DRAWN = Replay("prioritized", "weights", aggregate="max", new_priority_quantile=1.0, per_alpha=1.0)


@functools.cache
def arms(study: str) -> dict[str, Experiment]:
    found = read(ROOT / "results" / "studies" / f"regret-{study}.toml")
    return experiments_of(found.arms, trust=False)


def pymarl(arm: str, env: Any = None, /, **run: Any) -> Experiment:
    """The arm of this name, with PyMARL's schedule over 300k env steps."""
    algorithm, weigh = SCHEMES.get(arm, (QMIX(), None))
    if arm == "PER x CW-QMIX":
        algorithm, weigh = CWQMIX(), PER()
    env = PredatorPrey(punishment=-2.0) if env is None else env
    usual = presets.pymarl(Experiment(env, algorithm, weigh or WEIGHTINGS[arm]))
    return replace(usual, run=replace(usual.run, steps=300_000, **run))


def default(arm: str, /, **run: Any) -> Experiment:
    """The same with the schedule and the optimiser of `macpo train`."""
    as_pymarl = pymarl(arm)
    algorithm = type(as_pymarl.algorithm)()
    return replace(as_pymarl, algorithm=algorithm, run=Run(steps=300_000, **run))


LITTLE = {"epsilon_start": 0.1, "epsilon_finish": 0.1}


def test_study_a_has_six_arms_at_punishment_minus_two_one_with_twice_the_batch() -> None:
    names = ["macpo-regret", "macpo-regret root of error", "PER x CW-QMIX", "CW-QMIX", "OW-QMIX"]
    for study, scheduled in {"a": pymarl, "a-default": default}.items():
        expected = {name: scheduled(name) for name in names}
        larger = {"macpo-regret batch 64": scheduled("macpo-regret batch 64", batch_size=64)}
        assert arms(study) == expected | larger


def test_study_b_has_those_with_little_exploration_throughout() -> None:
    names = ["macpo-regret", "macpo-regret root of error", "PER x CW-QMIX", "CW-QMIX", "OW-QMIX"]
    for study, scheduled in {"b": pymarl, "b-default": default}.items():
        assert arms(study) == {name: scheduled(name, **LITTLE) for name in names}


@pytest.mark.parametrize(("study", "run"), [("c-at-a", {}), ("c-at-b", LITTLE)])
def test_study_c_has_each_scheme_in_the_loss_and_as_sampling(
    study: str, run: dict[str, Any]
) -> None:
    drawn, uncorrected = DRAWN, replace(DRAWN, per_beta=0.0, per_beta_finish=0.0)
    expected = {}
    for name in ("cwqmix", "macpo", "macpo-regret", "per"):
        usual = pymarl(name, **run)
        running = replace(usual.weighting, normalise="ema")
        expected |= {
            f"loss {name}": replace(usual, weighting=running),
            f"sampling {name}": replace(usual, replay=uncorrected),
            f"sampling corrected {name}": replace(usual, replay=drawn),
        }
    for name in ("macpo", "per"):
        expected |= {f"loss mean of a batch {name}": pymarl(name, **run)}
    if study == "c-at-b":
        for name in ("cwqmix", "macpo-regret"):
            for norm in (100.0, 0.0):
                usual = pymarl(name, **run)
                clipped = replace(usual.algorithm, grad_norm_clip=norm)
                arm = f"clipping {name} grad-norm-clip={norm:.0f}"
                expected |= {arm: replace(usual, algorithm=clipped)}
    assert arms(study) == expected


def test_study_d_has_mac_po_in_other_units_with_longer_exploration_and_as_in_table_2() -> None:
    in_units = PredatorPrey(capture_reward=1.0, punishment=-0.2)
    usual = presets.paper(Experiment(PredatorPrey(punishment=-2.0)))
    table_2 = {
        f"Table 2 batch-size-run={n}": replace(
            usual, run=replace(usual.run, steps=1_000_000, batch_size_run=n)
        )
        for n in (8, 1)
    }
    longer = pymarl("MAC-PO")
    annealed = {
        f"annealed over {n / 1e6:g}M": replace(
            longer, run=replace(longer.run, steps=n, epsilon_anneal_time=n)
        )
        for n in (1_000_000, 1_500_000)
    }
    assert arms("d") == {"capture 1": pymarl("MAC-PO", in_units), **annealed, **table_2}


def test_study_e_has_four_schemes_at_three_milder_punishments() -> None:
    assert arms("e") == {
        f"{name} punishment={punishment:g}": pymarl(name, PredatorPrey(punishment=punishment))
        for name in ("CW-QMIX", "OW-QMIX", "macpo-regret", "MAC-PO")
        for punishment in (0.0, -0.5, -1.5)
    }


def test_study_f_has_five_schemes_on_three_battles_over_a_million_env_steps() -> None:
    found = arms("f")
    maps = [SMACJax(map=name) for name in ("MMM2", "3s_vs_5z", "5m_vs_6m")]
    assert sorted({repr(e.env) for e in found.values()}) == sorted(map(repr, maps))
    assert len(found) == 15
    assert {e.run.steps for e in found.values()} == {1_000_000}


def test_study_g_has_twelve_hunters_of_whom_three_must_catch_at_minus_four() -> None:
    env = PredatorPrey(
        height=12, width=12, n_predators=12, n_prey=12, n_catchers=3, punishment=-4.0
    )
    names = ["CW-QMIX", "OW-QMIX", "macpo-regret", "PER x CW-QMIX", "MAC-PO"]
    steps = {e.run.steps for e in arms("g").values()}
    assert len(steps) == 1
    run = {"steps": steps.pop()}
    expected = {name: pymarl(name, env) for name in names}
    assert arms("g") == {k: replace(e, run=replace(e.run, **run)) for k, e in expected.items()}


@pytest.mark.parametrize(
    ("study", "seeds"),
    [
        *(("a", 5), ("b", 8), ("c-at-a", 5), ("c-at-b", 5), ("d", 3), ("e", 5), ("f", 3), ("g", 5)),
        *(("a-default", 5), ("b-default", 8)),
    ],
)
def test_a_study_has_as_many_seeds_as_the_page_says(study: str, seeds: int) -> None:
    assert read(ROOT / "results" / "studies" / f"regret-{study}.toml").seeds == seeds
