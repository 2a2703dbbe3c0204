"""What random play earned, in words: whoever knows the game sees whether it is read rightly.

An environment can keep every promise and still be misread, such as one that seems to pay nothing.
"""

from collections.abc import Sequence

import numpy as np

from macpo.interop.random_play import Episode
from macpo.types import Spec


def earnings(spec: Spec, episodes: Sequence[Episode]) -> tuple[str, ...]:
    """Returns, lengths and ends of these episodes, and how often actions were taken."""
    if not any(episode.actions for episode in episodes):
        return ("no step was played",)
    rewards = [[float(step.reward) for step in episode.timesteps[1:]] for episode in episodes]
    returns, lengths = [sum(row) for row in rewards], [len(row) for row in rewards]
    last = [episode.timesteps[-1] for episode in episodes]
    terminated = sum(bool(np.any(step.terminated)) for step in last)
    truncated = sum(bool(np.any(step.truncated)) for step in last)
    unrewarded = "" if any(map(any, rewards)) else "; no step was rewarded"
    return (
        f"{len(episodes)} episodes of random actions: return {_range(returns)}, length "
        f"{_range(lengths)}{unrewarded}",
        f"ends: {terminated} terminated, {truncated} truncated",
        *_actions(spec, episodes),
    )


def _actions(spec: Spec, episodes: Sequence[Episode]) -> tuple[str, ...]:
    """How often each action was available and taken, as shares of all choices of the agents."""
    before = [step for episode in episodes for step in episode.timesteps[:-1]]
    taken = np.stack([actions for episode in episodes for actions in episode.actions])
    available = np.stack([step.observation.avail_actions for step in before]).mean((0, 1))
    chosen = np.bincount(taken.reshape(-1), minlength=spec.n_actions) / taken.size
    shares = zip(available, chosen, strict=True)
    each = [f"{action}: {a:.0%}, {t:.0%}" for action, (a, t) in enumerate(shares)]
    return (f"actions, available and taken in so many choices of an agent: {'; '.join(each)}",)


def _range(numbers: Sequence[float]) -> str:
    """Least, mean and largest."""
    return f"{min(numbers):g} to {max(numbers):g} (mean {np.mean(numbers):g})"
