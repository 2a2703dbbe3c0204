"""Writes one page per weighting, from its module and from measured runs.

    python docs/weightings/make.py

A page holds the module's own text (rule, source, choices), an example, the signals that the
weighting reads, a picture of its weights, its options with their reasons, and, if
`results/weightings.csv` has it, what its weights were like during those runs. `--check` writes
nothing; it fails if a page is out of date.
"""

import csv
import dataclasses
import inspect
import re
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np

from macpo import registry, weighting
from macpo.weighting import MEANING, Weighting

HERE = Path(__file__).resolve().parent
RUNS = HERE.parents[1] / "results" / "weightings.csv"
SHORT = {
    "mean raw weight": "raw",
    "ESS share": "ESS",
    "largest weight": "max.",
    "share below 0.001": "< 0.001",
    "mean abs. TD error": "error",
    "mean gap to Q*": "gap",
}
"""Columns of that file under names short enough for a page."""
GAPS = (0.0, 1.0, 4.0)
EPISODE = np.array([0.2, 0.1, 0.3, 0.1, 0.2, 0.4, 0.1, 4.0, 0.3, 0.2, 1.5, 0.1, 0.2, 0.3, 1.0])


def flag(name: str, default: object) -> str:
    """A setting's flag with its default."""
    words = f"--weighting.{name.replace('_', '-')}"
    return f"`{words}` (off)" if default is False else f"`{words} {default}`"


def page(name: str) -> str:
    """The page of one weighting."""
    config = registry.config_class("weighting", name)
    module = sys.modules[config.__module__]
    default = config()
    first, _, rest = (inspect.getdoc(module) or "").partition("\n")
    signals = [f"| `{n}` | {MEANING[n]} |" for n in ("mask", *default.needs)]
    options = [
        item(f"{flag(f.name, f.default)}: {reason(config, f.name)}")
        for f in dataclasses.fields(config)
    ]
    return "\n".join(
        [
            f"# `{name}`: {first.partition(':')[2].strip() or first}",
            "",
            f"**{registry.summary(config)}**",
            "",
            rest.strip(),
            "",
            f"![weights]({name}.png)",
            "",
            caption(default),
            "",
            *example(config),
            "| signal | what it is |",
            "|---|---|",
            *signals,
            "",
            "Options with their defaults:",
            "",
            *options,
            "",
            *measured(name),
            "Written by `python docs/weightings/make.py`.",
            "",
        ]
    )


def example(config: type[Any]) -> list[str]:
    """The example in the docstring, with the sentence above it."""
    _, _, text = (inspect.getdoc(config) or "").partition("\n")
    before, _, code = text.partition(">>>")
    return [
        "## Example",
        "",
        *([before.strip(), ""] if before.strip() else []),
        "```pycon",
        f">>> from macpo.weighting import {config.__name__}",
        f">>> {code.strip()}",
        "```",
        "",
        "## Signals and options",
        "",
    ]


def reason(config: type[Any], field: str) -> str:
    """The sentence under a field of a dataclass or of one it inherits from."""
    for cls in config.__mro__:
        if field in inspect.get_annotations(cls):
            text = inspect.getsource(cls)
            found = re.search(rf'\n    {field}: [^\n]*\n    """(.*?)"""', text, re.DOTALL)
            if found:
                return re.sub(r"\s+", " ", found.group(1))
    return ""


def wrapped(text: str, indent: str = "") -> str:
    """Text in lines of at most 100 characters."""
    return textwrap.fill(
        text, 100, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def item(text: str) -> str:
    """An item of a Markdown list."""
    return wrapped(f"* {text}", indent="  ")


def reads_gap(of: Weighting) -> bool:
    """Whether the size of |Q_tot − Q*| enters a weight."""
    return any(factor.name == "value" for factor in of.factors())


def caption(of: Weighting) -> str:
    """What the picture shows."""
    left = "Left: weight of a step against its TD error"
    if reads_gap(of):
        left += ", for three gaps |Q_tot − Q*|"
    return wrapped(
        f"{left}, before normalisation. Right: weights of mean one (black) along an episode with "
        "these TD errors (grey), whose gaps are as large as its errors."
    )


def signals(delta: np.ndarray, gap: np.ndarray) -> dict[str, np.ndarray]:
    """One episode [1, T] with these TD errors and gaps, of two agents."""
    q = np.zeros((1, delta.size))
    like = np.ones_like(q)
    return {
        "q": q,
        "target": delta[None],
        "q_star": q - gap[None],
        "pi_taken": np.stack([0.9 * like, 0.6 * like], -1),
        "is_greedy": np.arange(delta.size)[None] % 2 == 0,
        "q_star_greedy": like,
        "q_of_target_net": q + 0.5 * delta[None],
        "dq_tot_dq": np.stack([0.8 * like, 0.2 * like], -1),
        "error_estimate": np.abs(delta)[None],
        "next_error_estimate": np.roll(np.abs(delta), -1)[None],
        "log_density_ratio": np.linspace(-1, 1, delta.size)[None],
        "uniform_noise": 0.5,
        "mask": np.ones((1, delta.size), bool),
    }


def draw(name: str, file: Path) -> None:
    """The picture of one weighting."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    raw = weighting.make(name, normalise="none")
    used = weighting.make(name, normalise="mean")
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3), layout="constrained")
    delta = np.linspace(0, 8, 161)
    for gap in GAPS if reads_gap(raw) else GAPS[:1]:
        # each error in an episode of its own, for weightings that look along time
        given = {
            k: v if k == "uniform_noise" else np.moveaxis(v, 0, 1)
            for k, v in signals(delta, np.full_like(delta, gap)).items()
        }
        weights = raw(**given)[:, 0]
        for i, w in enumerate(weights.T if weights.ndim > 1 else [weights]):
            agent = f"agent {i + 1}" if weights.ndim > 1 else f"gap {gap:g}"
            left.plot(delta, w, label=agent)
    if len(left.lines) > 1:
        left.legend(frameon=False)
    left.set(xlabel="|δ|", ylabel="raw weight", ylim=(0, None))
    weights = used(**signals(EPISODE, EPISODE))[0]
    steps = np.arange(EPISODE.size)
    right.bar(steps, EPISODE, color="0.85")
    right.plot(steps, weights, marker=".", color="black")
    right.set(xlabel="env step", ylabel="weight, |δ|", ylim=(0, None))
    for axis in (left, right):
        axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(file, dpi=110, metadata={"Software": None})
    plt.close(figure)


def measured(name: str) -> list[str]:
    """What the weights were like during committed runs."""
    if not RUNS.is_file():
        return []
    with RUNS.open() as handle:
        rows = [row for row in csv.DictReader(handle) if row["weighting"] == name]
    if not rows:
        return []
    columns = [c for c in rows[0] if c not in ("weighting", "run") and any(r[c] for r in rows)]
    return [
        "## During a run",
        "",
        wrapped(
            "Means over all seeds and over the updates in each span of env steps: the mean raw "
            "weight, the effective sample size as a share of the batch, the largest weight, the "
            "share of weights below 0.001, mean and standard deviation of f (where there is one), "
            "the mean |δ| and the mean gap |Q_tot − Q*|. All are on "
            "PyMARL's schedule; [the results](../../results/README.md) have the commands."
        ),
        "",
        f"|{'|'.join(SHORT.get(c, c) for c in columns)}|",
        f"|{'---|' * len(columns)}",
        *(f"|{'|'.join(row[c] for c in columns)}|" for row in rows),
        "",
    ]


def main(check: bool) -> None:
    """Write all pages and the index, or compare them with what is there."""
    names = weighting.available()
    index = [
        "# Weightings",
        "",
        wrapped(
            "One page each, here with the signals that each needs besides `mask`. "
            "`macpo list weightings` has the same names; [how to add one](../own_weighting.md)."
        ),
        "",
    ]
    for name in names:
        config = registry.config_class("weighting", name)
        needs = ", ".join(f"`{n}`" for n in config().needs) or "nothing"
        index.append(item(f"[`{name}`]({name}.md): {registry.summary(config)} Needs {needs}."))
    pages = {HERE / f"{name}.md": page(name) for name in names}
    pages[HERE / "README.md"] = "\n".join([*index, ""])
    if check:
        stale = [p.name for p, text in pages.items() if not p.is_file() or p.read_text() != text]
        sys.exit(f"out of date: {', '.join(stale)}; run {Path(__file__).name}" if stale else 0)
    for file, text in pages.items():
        file.write_text(text)
    for name in names:
        draw(name, HERE / f"{name}.png")


if __name__ == "__main__":
    main("--check" in sys.argv[1:])
