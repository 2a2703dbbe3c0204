"""A Markdown extension: doctests stand as code, also where nobody has put a fence around them."""

from markdown import Markdown
from markdown.extensions import Extension
from markdown.preprocessors import Preprocessor


class _Fenced(Preprocessor):
    def run(self, lines: list[str]) -> list[str]:
        found: list[str] = []
        in_fence = in_doctest = False
        for line in lines:
            if line.startswith("```"):
                in_fence = not in_fence
            begins = line.startswith(">>> ") and not in_fence and not in_doctest
            ends = in_doctest and not line.strip()
            if begins or ends:
                found.append("```pycon" if begins else "```")
                in_doctest = begins
            found.append(line)
        return [*found, "```"] if in_doctest else found


class Doctests(Extension):
    """Fences around paragraphs that begin with `>>>`."""

    def extendMarkdown(self, md: Markdown) -> None:
        """Before the fences are read (superfences has the priority 25)."""
        md.preprocessors.register(_Fenced(md), "doctests", 27)


def makeExtension(**settings: object) -> Doctests:
    """As Python-Markdown asks for it."""
    return Doctests(**settings)
