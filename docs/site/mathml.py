"""A Markdown extension: formulas in LaTeX, `$x$` and `$$x$$`, become MathML, which browsers draw
without a script."""

import re
import unicodedata
from xml.etree.ElementTree import Element

from latex2mathml.converter import convert
from markdown import Markdown
from markdown.extensions import Extension
from markdown.inlinepatterns import InlineProcessor

IN_LINE = r"\$(?![\s$])([^$]+?)(?<!\s)\$(?!\d)"
ON_ITS_OWN = r"\$\$([^$]+?)\$\$"


LETTER = re.compile(r'<mi mathvariant="([a-z-]+)">([A-Za-z])</mi>')


def mathml(latex: str, display: str) -> str:
    """A formula as MathML; its bold and script letters are characters, as browsers ask for them."""
    return LETTER.sub(_character, convert(latex, display=display))


def _character(letter: re.Match[str]) -> str:
    """The letter 𝐮 in place of u with the attribute `bold`."""
    case = "CAPITAL" if letter[2].isupper() else "SMALL"
    name = f"{letter[1].upper()} {case} {letter[2].upper()}"
    for full in (f"MATHEMATICAL {name}", name):  # ℬ and a few others are older
        try:
            return f"<mi>{unicodedata.lookup(full)}</mi>"
        except KeyError:
            continue
    return letter[0]


class _Formula(InlineProcessor):
    def __init__(self, pattern: str, md: Markdown, display: str) -> None:
        super().__init__(pattern, md)
        self.display = display

    def handleMatch(self, m, data) -> tuple[Element | str, int, int]:
        """A formula stands for itself: no other extension looks into it."""
        made = mathml(m.group(1).strip(), self.display)
        return self.md.htmlStash.store(made), m.start(0), m.end(0)


class Formulas(Extension):
    """Formulas between dollars, but not in code."""

    def extendMarkdown(self, md: Markdown) -> None:
        """After code between backticks (190) and before escapes such as `\\,` (180)."""
        md.inlinePatterns.register(_Formula(ON_ITS_OWN, md, "block"), "formula_block", 186)
        md.inlinePatterns.register(_Formula(IN_LINE, md, "inline"), "formula", 185)


def makeExtension(**settings: object) -> Formulas:
    """As Python-Markdown asks for it."""
    return Formulas(**settings)
