"""The paper's figures: which methods are trained on which tasks, and what is claimed of them.

Sections 5.1 to 5.3 and Appendix E. Every method has the settings of the preset `paper` (Table 2),
the actor-critics those of their own papers. The study of a figure is frozen: its digest is tested.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple, TypeAlias

from macpo import presets, registry
from macpo.errors import UsageError, nearest, require, shown
from macpo.experiment import Experiment
from macpo.field_types import Settings
from macpo.learners.value_based import ValueBased
from macpo.reproduce.claims import Claim, above_all
from macpo.study.study import Study

EnvName: TypeAlias = Literal["predator-prey", "smac-jax", "smac"]
BudgetName: TypeAlias = Literal["smoke", "laptop", "paper"]
MAPS = ("3s_vs_5z", "5m_vs_6m", "MMM2")
REPLAY = ("MAC-PO Approximation", "PER", "DisCor", "ReMERN", "PSER")
"""What Figure 1 compares MAC-PO with."""
ALGORITHMS = ("QMIX", "CW-QMIX", "OW-QMIX", "QPLEX", "VDAC", "FOP", "DOP")
"""What Figures 2 and 3 compare MAC-PO with; the paper does not say which WQMIX it means."""
TERMS = {
    "without joint action probability": 0.18,
    "without Bellman error": 0.15,
    "without value enhancement": 0.10,
}
"""Figure 4: by how much the share of battles won falls on MMM2 without a term."""
METHODS: Mapping[str, tuple[str, str]] = {
    "MAC-PO": ("qmix", "macpo"),
    "MAC-PO Approximation": ("qmix", "macpo-approx"),
    "PER": ("qmix", "per"),
    "DisCor": ("qmix", "discor"),
    "ReMERN": ("qmix", "remern"),
    "PSER": ("qmix", "pser"),
    "QMIX": ("qmix", "uniform"),
    "CW-QMIX": ("cwqmix", "uniform"),
    "OW-QMIX": ("owqmix", "uniform"),
    "QPLEX": ("qplex", "uniform"),
    "VDAC": ("vdac", "uniform"),
    "FOP": ("fop", "uniform"),
    "DOP": ("dop", "uniform"),
    "without joint action probability": ("qmix", "macpo-no-joint"),
    "without Bellman error": ("qmix", "macpo-no-bellman"),
    "without value enhancement": ("qmix", "macpo-no-value"),
}
"""Algorithm and weighting of each method, by the paper's names."""


class Budget(NamedTuple):
    """How much is trained; nothing else depends on it."""

    steps: Mapping[EnvName, int]
    """Env steps of a seed."""
    seeds: Callable[[int], int]
    """Of each arm, given the paper's number."""


BUDGETS: Mapping[BudgetName, Budget] = {
    # updates begin after 128 episodes
    "smoke": Budget(dict.fromkeys(("predator-prey", "smac-jax", "smac"), 30_000), lambda _: 1),
    "laptop": Budget(dict.fromkeys(("predator-prey", "smac-jax", "smac"), 300_000), lambda _: 5),
    # the paper does not tell how long it trains: as long as Weighted QMIX's and SMAC's papers do
    "paper": Budget(
        {"predator-prey": 1_000_000, "smac-jax": 2_000_000, "smac": 2_000_000}, lambda n: n
    ),
}


@dataclass(frozen=True)
class Figure:
    """A figure of the paper."""

    title: str
    methods: tuple[str, ...]
    tasks: Mapping[EnvName, tuple[str, ...]]
    """Of each environment on which it can be made; the first is the paper's, if need be a model of
    it."""
    seeds: int
    """In the paper."""
    claims: Callable[[tuple[str, ...]], list[Claim]]
    """Of these tasks."""


def _on_maps(*shares: float) -> Mapping[str, float]:
    """Shares of battles by which MAC-PO is above the second best, on each map."""
    return dict(zip(MAPS, shares, strict=True))


FIGURES: Mapping[str, Figure] = {
    "fig1": Figure(
        "Figure 1: MAC-PO and other experience replay schemes",
        ("MAC-PO", *REPLAY),
        {"smac-jax": MAPS, "smac": MAPS, "predator-prey": ("punishment=0", "punishment=-2")},
        4,
        lambda tasks: [
            *above_all("MAC-PO", REPLAY, tasks, by=_on_maps(0.10, 0.06, 0.04)),
            *[Claim("DisCor", "PER", task) for task in tasks],
            *[Claim("ReMERN", "PER", task) for task in tasks],
            *[Claim("PSER", "PER", task) for task in tasks],
        ],
    ),
    "fig2": Figure(
        "Figure 2: MAC-PO and other algorithms on Predator-Prey",
        ("MAC-PO", *ALGORITHMS),
        {"predator-prey": tuple(f"punishment={p}" for p in ("0", "-0.5", "-1.5", "-2"))},
        4,
        lambda tasks: [
            *above_all("MAC-PO", ALGORITHMS, tasks, "area"),
            *above_all("MAC-PO", ("QMIX", "QPLEX", "VDAC", "FOP", "DOP"), tasks),
            *[
                Claim("MAC-PO", w, task, relation="alike")
                for task in tasks
                for w in ALGORITHMS[1:3]
            ],
        ],
    ),
    "fig3": Figure(
        "Figure 3: MAC-PO and other algorithms on StarCraft's maps",
        ("MAC-PO", *ALGORITHMS),
        {"smac-jax": MAPS, "smac": MAPS},
        4,
        lambda tasks: above_all("MAC-PO", ALGORITHMS, tasks, by=_on_maps(0.11, 0.04, 0.16)),
    ),
    "fig4": Figure(
        "Figure 4: MAC-PO without one of its terms",
        ("MAC-PO", *TERMS),
        {
            "smac-jax": MAPS[2:],
            "smac": MAPS[2:],
            "predator-prey": ("punishment=0", "punishment=-2"),
        },
        3,
        lambda tasks: [
            Claim("MAC-PO", term, task, by=by if task in MAPS else None)
            for task in tasks
            for term, by in TERMS.items()
        ],
    ),
}


def score_range(env: EnvName) -> float:
    """From the worst to the best result: a return on Predator-Prey, else a share of battles won."""
    return 40.0 if env == "predator-prey" else 1.0


class Plan(NamedTuple):
    """A figure that is about to be made."""

    figure: Figure
    study: Study
    env: EnvName
    tasks: tuple[str, ...]
    budget: BudgetName


def plan(
    name: str,
    budget: BudgetName = "laptop",
    env: EnvName | None = None,
    tasks: tuple[str, ...] = (),
    seeds: int | None = None,
    seeds_together: int = 1,
) -> Plan:
    """The study of a figure; `tasks` chooses among its own, and `seeds` replaces the budget's.

    Raises UsageError for a figure, an environment or a task that there is not, and as
    `macpo.Study` does.
    """
    if name not in FIGURES:
        known = ", ".join([*FIGURES, "table2"])
        raise UsageError(f"unknown figure {shown(name)}; {nearest(name, FIGURES)} Known: {known}.")
    figure = FIGURES[name]
    env = env or next(iter(figure.tasks))
    envs = ", ".join(figure.tasks)
    require(env in figure.tasks, f"{name} is made on {envs}, not on {shown(env)}.")
    for task in tasks:
        known = ", ".join(figure.tasks[env])
        require(task in figure.tasks[env], f"{name} has no task {shown(task)}; it has {known}.")
    tasks = tasks or figure.tasks[env]
    of_budget = BUDGETS[budget]
    arms = {
        arm_name(method, task): experiment(method, env, task, of_budget.steps[env])
        for task in tasks
        for method in figure.methods
    }
    n_seeds = seeds or of_budget.seeds(figure.seeds)
    study = Study(f"{figure.title} ({budget})", arms, n_seeds, seeds_together)
    return Plan(figure, study, env, tasks, budget)


def arm_name(method: str, task: str) -> str:
    """How a study calls a method on a task.

    >>> arm_name("MAC-PO", "MMM2")
    'MAC-PO MMM2'
    """
    return f"{method} {task}"


def task_settings(env: EnvName, task: str) -> Settings:
    """The settings of an environment that make it a figure's task.

    >>> task_settings("predator-prey", "punishment=-2")
    {'punishment': -2.0}
    """
    if env == "predator-prey":
        return {"punishment": float(task.removeprefix("punishment="))}
    return {"map": task}


def experiment(method: str, env: EnvName, task: str, steps: int) -> Experiment:
    """A method on a task: with the settings of the preset `paper`, or as its own paper has them."""
    algorithm, weighting = METHODS[method]
    game = registry.make_config("envs", env, **task_settings(env, task))
    found = Experiment(game, algorithm, weighting)
    if isinstance(found.algorithm, ValueBased):
        found = presets.paper(found)
    return replace(found, run=replace(found.run, steps=steps))
