"""What a film may be asked for."""

from dataclasses import dataclass

from macpo.bounds import NonNegativeInt, PositiveInt, check_fields

SLOWER = 4
"""Times as long as usual that a slow film takes."""


@dataclass(frozen=True)
class FilmOptions:
    """How to film an episode; what an environment's pictures cannot show is refused."""

    width: PositiveInt | None = None
    """Pixels of a picture from left to right; default: the environment's own."""
    agent: NonNegativeInt | None = None
    """An agent to mark and whose actions to show."""
    slow: bool = False
    """At a quarter of the speed."""

    def __post_init__(self) -> None:
        check_fields(self, "")

    def words(self) -> list[str]:
        """What is asked for, as parts of a file's name.

        >>> FilmOptions(agent=3, slow=True).words()
        ['agent3', 'slow']
        """
        width = [] if self.width is None else [f"{self.width}px"]
        agent = [] if self.agent is None else [f"agent{self.agent}"]
        return [*width, *agent, *(["slow"] if self.slow else [])]


USUAL = FilmOptions()
"""Nothing asked for."""
