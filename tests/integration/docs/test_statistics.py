"""The examples of docs/statistics.md give the numbers printed there."""

import doctest
import re

from macpo import statistics
from tests.support.paths import ROOT

PAGE = (ROOT / "docs" / "statistics.md").read_text()
EXAMPLES = "\n".join(re.findall(r"```python\n(.*?)```", PAGE, re.S))


def test_the_examples_give_the_numbers_printed_there():
    test = doctest.DocTestParser().get_doctest(EXAMPLES, {}, "docs/statistics.md", None, 0)
    told: list[str] = []
    doctest.DocTestRunner().run(test, out=told.append)
    assert "".join(told) == ""


def test_every_function_has_its_question():
    told = re.findall(r"`(\w+)`", PAGE.split("## Scores")[0])
    functions = {name for name in statistics.__all__ if name.islower()}
    assert set(told) >= functions - {"aligned", "fewest_pairs"}
