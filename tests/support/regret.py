"""The bound on the regret that line (17a) of MAC-PO's appendix B is, and its slope, by hand."""

import numpy as np


def boltzmann(q: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """Probabilities of all actions."""
    mass = np.exp((q - q.max(-1, keepdims=True)) / temperature)
    return mass / mass.sum(-1, keepdims=True)


def bound(q: np.ndarray, q_star: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """J of each state: E_{π*} (Q* − Q_k)₊ + E_{π_k} (Q_k − Q*)₊."""
    optimal = np.eye(q.shape[-1])[q_star.argmax(-1)]
    under, over = np.maximum(q_star - q, 0), np.maximum(q - q_star, 0)
    return (optimal * under + boltzmann(q, temperature) * over).sum(-1)


def fall(q: np.ndarray, q_star: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """How fast J falls as each single action is learned, δJ/∂Q, by central differences."""
    size = 1e-5
    one_learned = size * np.eye(q.shape[-1]) * (q - q_star)[:, None]
    before, after = (
        bound(q[:, None] + sign * one_learned, q_star[:, None], temperature) for sign in (1, -1)
    )
    return (before - after) / (2 * size)


def states(n: int, scale: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Q_k and Q* of random states with nine joint actions; Q* spreads by `scale`."""
    rng = np.random.default_rng(seed)
    return rng.normal(0, 0.6 * scale, (n, 9)), rng.normal(0, scale, (n, 9))
