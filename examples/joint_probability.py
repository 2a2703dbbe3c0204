"""Section 4.3 of MAC-PO in numbers: Eq. (6)'s policies, f in Cases 1 to 3, and ε_k of Eq. (2).

    python examples/joint_probability.py

Three agents with three actions each, in a state that replay holds with every joint action equally
often. The text gives levels to joint actions (α_l, α_m, α_h: low, medium, high) as consequences of
f. Here f itself stands beside them: in the limit of large values, which the text assumes, and for
values of 10.
"""

import numpy as np

from macpo.weighting.factors import joint_probability

BEST = (0, 0, 0)  # ū; the second large value, if there is one, lies elsewhere
CASES = {  # large values, and joint actions with the level that the text gives them
    "1: one large value": (
        [BEST],
        {
            "ū": (BEST, "low"),
            "one agent deviates": ((1, 0, 0), "high"),
            "two deviate": ((1, 1, 0), "low"),
        },
    ),
    "2: a second, one agent away": (
        [BEST, (1, 0, 0)],
        {
            "ū, ū′": (BEST, "low"),
            "this agent deviates from both": ((2, 0, 0), "high"),
            "another one deviates": ((0, 1, 0), "medium"),
            "both deviate": ((2, 1, 0), "low"),
        },
    ),
    "3: a second, two agents away": (
        [BEST, (1, 1, 0)],
        {
            "ū, ū″": (BEST, "medium"),
            "one of the two as in ū, one as in ū″": ((1, 0, 0), "medium"),
            "one of the two deviates from both": ((2, 0, 0), "medium"),
            "the third agent deviates": ((0, 0, 1), "low"),
            "both of the two deviate": ((2, 2, 0), "low"),
        },
    ),
}


def policies(q: np.ndarray) -> np.ndarray:
    """π_a(u_a) ∝ exp(E_{u_−a ~ μ} Q(u_a, u_−a)) under uniform μ, [agents, actions]: Eq. (6).

    >>> policies(np.array([[2.0, 0.0], [0.0, 0.0]])).round(3)  # means 1 and 0, for both agents
    array([[0.731, 0.269],
           [0.731, 0.269]])
    """
    others = [tuple(b for b in range(q.ndim) if b != a) for a in range(q.ndim)]
    mean = np.stack([q.mean(axis=axes) for axes in others])
    mass = np.exp(mean - mean.max(-1, keepdims=True))
    return mass / mass.sum(-1, keepdims=True)


def taken(large: list[tuple[int, ...]], size: float, actions: tuple[int, ...]) -> np.ndarray:
    """Each agent's probability of its action where these joint actions are worth `size`."""
    q = np.zeros((3, 3, 3))
    for joint_action in large:
        q[joint_action] = size
    return policies(q)[np.arange(3), list(actions)]


def f(pi: np.ndarray) -> float:
    """Eq. (7)."""
    return float(joint_probability(pi, np))


def neglected(pi: np.ndarray) -> float:
    """ε_k / E_k of Eq. (2), in units of ε_0 / d^π_k(s): Σ_i (1 − π_i) / f.

    Both have the factors |δ|, exp(−|Q_k − Q*|) and Π_i π_i. E_k has d^π_k(s) · f besides, and ε_k,
    summed over agents as the main term of Eq. (24) is, ε_0 · Σ_i (1 − π_i).

    >>> neglected(np.array([0.5, 0.5]))  # 1 / 1.5
    0.6666666666666666
    """
    return float((1 - pi).sum()) / f(pi)


if __name__ == "__main__":
    print("| case | joint action | level in the text | π | f | f for values of 10 |")
    print("|---|---|---|---|---|---|")
    for case, (large, rows) in CASES.items():
        for name, (actions, level) in rows.items():
            pi = taken(large, 1e6, actions)
            numbers = ", ".join(f"{x:.3g}" for x in pi)
            real = f(taken(large, 10, actions))
            print(f"| {case} | {name} | {level} | {numbers} | {f(pi):.2f} | {real:.2f} |")
    print("\n| probabilities | ε_k / E_k, in units of ε_0 / d(s) |\n|---|---|")
    for name, pi in {
        "both agents 1": np.ones(2),
        "both agents 0.5": np.full(2, 0.5),
        "three agents 1/3": np.full(3, 1 / 3),
        "eight agents 1/6": np.full(8, 1 / 6),
    }.items():
        print(f"| {name} | {neglected(pi):.2f} |")
