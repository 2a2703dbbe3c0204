"""When a weight in the loss equals a rule of sampling, and when it does not.

    python examples/weights_as_sampling.py [FIGURE.png]

Replay holds few catches, with an error of −10, and many other steps, with an error of 0.2; both
have their |δ| as weight. A batch of 32 steps pulls one value. The mean of its step is summed over
all batches there are, for weights in the loss of a uniform batch and for a batch drawn by these
weights: without an optimiser's doing (SGD), with the gradient clipped at 1, and divided by the root
of its mean square (RMSprop after a while). Weights in the loss have mean one over all of replay, or
over each batch. Prints a table and draws the figure of docs/sampling.md.
"""

import math
import sys
from typing import Literal, NamedTuple, TypeAlias

import numpy as np

BATCH = 32
CATCH, OTHER = -10.0, 0.2  # δ
CLIP = 1.0
Way: TypeAlias = Literal["loss", "batch", "sampling"]
"""Weights in the loss, of mean one over replay or over each batch; or none, and drawn by them."""
LABELS: dict[Way, tuple[str, str]] = {
    "loss": ("in the loss, replay's mean is one", "-"),
    "batch": ("in the loss, each batch's mean is one", ":"),
    "sampling": ("drawn", "--"),
}


class MeanSteps(NamedTuple):
    """Upwards, for a learning rate of 1."""

    sgd: float
    clipped: float
    rmsprop: float


def mean_steps(catches_per_batch: float, way: Way) -> MeanSteps:
    """The mean step of the value, if uniform batches hold so many catches on average."""
    k = np.arange(BATCH + 1)  # catches in a batch
    share, error = catches_per_batch / BATCH, np.array([CATCH, OTHER])
    mean_weight = np.array([share, 1 - share]) @ abs(error)
    drawn, weight = share, abs(error) / mean_weight
    if way == "sampling":  # P ∝ w, no weights
        drawn, weight = share * weight[0], np.ones(2)
    n = np.stack([k, BATCH - k])
    step = -(weight * error) @ n / BATCH
    if way == "batch":
        step = step / (weight @ n / BATCH)
    ways = np.array([math.comb(BATCH, i) for i in k], float)
    probability = ways * drawn**k * (1 - drawn) ** (BATCH - k)
    mean = float(probability @ step)
    return MeanSteps(
        sgd=mean,
        clipped=float(probability @ step.clip(-CLIP, CLIP)),
        rmsprop=mean / math.sqrt(probability @ step**2),
    )


def main() -> None:
    print("catches in a batch   SGD: loss, each batch, sampling   clipped: …   RMSprop: …")
    for n in (0.03, 0.1, 0.3, 1.0, 3.0):
        ways = zip(*(mean_steps(n, way) for way in LABELS), strict=True)
        print(f"{n:18.2f}", *("   " + " ".join(f"{step:7.3f}" for step in steps) for steps in ways))
    if sys.argv[1:]:
        draw(sys.argv[1])


def draw(file: str) -> None:
    """Mean steps against how rare catches are."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    rare = np.geomspace(0.01, 10, 60)
    figure, panels = plt.subplots(1, 3, figsize=(9, 3), sharex=True, layout="constrained")
    for panel, name in zip(panels, MeanSteps._fields, strict=True):
        for way, (label, style) in LABELS.items():
            steps = [getattr(mean_steps(n, way), name) for n in rare]
            panel.semilogx(rare, steps, style, label=label)
        panel.axhline(0, color="0.7", linewidth=0.8)
        panel.set(title={"sgd": "SGD", "rmsprop": "RMSprop"}.get(name, name))
    panels[0].set(xlabel="catches in a uniform batch", ylabel="mean step")
    lines, labels = panels[0].get_legend_handles_labels()
    figure.legend(lines, labels, loc="outside upper center", ncols=3, frameon=False)
    figure.savefig(file, dpi=120)


if __name__ == "__main__":
    main()
