"""How fast a run goes, and how long what is left will take."""

from dataclasses import dataclass


@dataclass
class Pace:
    """Speed since the run began to learn; env steps before the first updates are much cheaper.

    Times are in seconds, of any clock; env steps are those that every seed has played.
    """

    steps: int
    """Env steps to play."""
    env_steps: int
    now: float
    learns: bool = False

    def note(self, env_steps: int, learns: bool, now: float) -> None:
        """Take note of the end of a chunk; `learns` says whether every seed has made updates."""
        if learns and not self.learns:
            self.env_steps, self.now, self.learns = env_steps, now, True

    def speed(self, env_steps: int, now: float) -> float:
        """Env steps a second."""
        return (env_steps - self.env_steps) / max(now - self.now, 1e-9)

    def seconds_left(self, env_steps: int, now: float) -> float | None:
        """Seconds to the end; None before a chunk with updates has been timed."""
        speed = self.speed(env_steps, now)
        return max(self.steps - env_steps, 0) / speed if self.learns and speed > 0 else None


def clock(seconds: float) -> str:
    """`3:07`, or `2:03:07` from an hour on."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
