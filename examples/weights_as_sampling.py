"""When a weight in the loss equals a rule of sampling, and when it does not.

    python examples/weights_as_sampling.py [FIGURE.png]

Replay holds few catches, with an error of −10, and many other steps, with an error of 0.2; both
have their |δ| as weight. A batch of 32 steps pulls one value. The mean of its step is summed over
all batches there are, for weights in the loss of a uniform batch and for a batch drawn by these
weights: without an optimiser's doing (SGD), with the gradient clipped at 1, and divided by the root
of its mean square (RMSprop after a while). Prints a table and draws the figure of docs/sampling.md.
"""

import math
import sys
from typing import NamedTuple

import numpy as np

BATCH = 32
CATCH, OTHER = -10.0, 0.2  # δ
CLIP = 1.0


class MeanSteps(NamedTuple):
    """Upwards, for a learning rate of 1."""

    sgd: float
    clipped: float
    rmsprop: float


def mean_steps(catches_per_batch: float, *, by_sampling: bool) -> MeanSteps:
    """The mean step of the value, if uniform batches hold so many catches on average."""
    share = catches_per_batch / BATCH
    mean_weight = share * abs(CATCH) + (1 - share) * abs(OTHER)
    if by_sampling:  # P ∝ w, no weights
        drawn, catch, other = share * abs(CATCH) / mean_weight, CATCH, OTHER
    else:  # uniform, weights of mean one over all of replay
        drawn, catch, other = share, *(abs(d) * d / mean_weight for d in (CATCH, OTHER))
    k = np.arange(BATCH + 1)
    ways = np.array([math.comb(BATCH, i) for i in k], float)
    probability = ways * drawn**k * (1 - drawn) ** (BATCH - k)
    step = -(k * catch + (BATCH - k) * other) / BATCH
    mean = float(probability @ step)
    return MeanSteps(
        sgd=mean,
        clipped=float(probability @ step.clip(-CLIP, CLIP)),
        rmsprop=mean / math.sqrt(probability @ step**2),
    )


def main() -> None:
    print("catches in a batch   SGD: loss, sampling   clipped: loss, sampling   RMSprop: …")
    for n in (0.03, 0.1, 0.3, 1.0, 3.0):
        pairs = zip(mean_steps(n, by_sampling=False), mean_steps(n, by_sampling=True), strict=True)
        print(f"{n:18.2f}", *(f"{loss:14.3f} {sampling:7.3f}" for loss, sampling in pairs))
    if sys.argv[1:]:
        draw(sys.argv[1])


def draw(file: str) -> None:
    """Mean steps against how rare catches are."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    rare = np.geomspace(0.01, 10, 60)
    figure, panels = plt.subplots(1, 3, figsize=(9, 2.8), sharex=True, layout="constrained")
    for panel, name in zip(panels, MeanSteps._fields, strict=True):
        for by_sampling, label, style in (
            (False, "weights in the loss", "-"),
            (True, "drawn", "--"),
        ):
            steps = [getattr(mean_steps(n, by_sampling=by_sampling), name) for n in rare]
            panel.semilogx(rare, steps, style, label=label)
        panel.axhline(0, color="0.7", linewidth=0.8)
        panel.set(title={"sgd": "SGD", "rmsprop": "RMSprop"}.get(name, name))
    panels[0].set(xlabel="catches in a uniform batch", ylabel="mean step")
    panels[0].legend(frameon=False)
    figure.savefig(file, dpi=120)


if __name__ == "__main__":
    main()
