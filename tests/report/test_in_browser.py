"""The page as a browser shows it."""

import importlib.util
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from macpo.report.writing import write_report
from tests.support.browser import Browser, chromium
from tests.support.synthetic_runs import write_replay, write_runs

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(
    PROGRAM is None or importlib.util.find_spec("websocket") is None,
    reason="needs a browser: apt-get install chromium, pip install websocket-client",
)
CURVES = "document.querySelector('[data-kind=curves]')"
SCOPE = "document.querySelector('.scope')"
POINTS = f"{SCOPE}.querySelector('.chart')"
CHOSEN = f"[...{SCOPE}.querySelectorAll('tr.chosen button')].map(each => each.textContent)"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium(str(PROGRAM), tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a method with a band and a recorded replay, and one whose seeds are lines."""
    folder = tmp_path_factory.mktemp("runs")
    write_runs(folder / "a", ["macpo"], n_seeds=5)
    write_replay(folder / "a" / "macpo-seed0", moments=3)
    write_runs(folder / "b", ["uniform"], n_seeds=2)
    return write_report([folder], folder / "report").files.page


@pytest.fixture
def page(browser: Browser, page_file: Path) -> Browser:
    """The page, newly opened in a window of a usual size."""
    browser.complaints.clear()
    browser.prefer("light")
    browser.resize(1200, 900)
    browser.open(page_file)
    browser.wait_for(f"{CURVES}.dataset.drawn")
    return browser


def lines(page: Browser) -> int:
    """How many lines of learning curves are seen."""
    paths = f"[...{CURVES}.querySelectorAll('.scatterlayer .trace .lines path')]"
    return page.run(f"{paths}.filter(path => path.style.strokeWidth != '0px').length")


def everything_is_drawn(page: Browser) -> None:
    page.resize(1200, 9000)
    page.wait_for("[...document.querySelectorAll('.chart')].every(each => each.dataset.drawn)")
    page.resize(1200, 900)


def test_every_chart_is_drawn_without_a_complaint_or_a_request(page: Browser) -> None:
    everything_is_drawn(page)
    empty = (
        "[...document.querySelectorAll('.chart')].filter(e => !e.querySelector('.trace')).length"
    )
    assert page.run(empty) == 0
    assert page.complaints == []


def test_each_seed_has_a_line_and_each_method_another(page: Browser) -> None:
    assert lines(page) == (5 + 1) + (2 + 1)
    filled = f"{CURVES}.querySelectorAll('.fills path').length"
    assert page.run(filled) == 1  # the band of five seeds; two have none


def test_the_legend_shows_and_hides_a_method_in_every_chart(page: Browser) -> None:
    everything_is_drawn(page)
    page.run("document.querySelector('.legend input').click()")
    assert lines(page) == 2 + 1
    profile = "document.querySelector('[data-kind=profile]').querySelectorAll('.trace').length"
    assert page.run(profile) == 1
    page.run("document.querySelector('.legend input').click()")
    assert lines(page) == 9


def test_the_legend_works_without_a_mouse(page: Browser) -> None:
    page.run("document.querySelector('.legend [data-shown=none]').focus()")
    for event in ("keyDown", "keyUp"):
        page.call("Input.dispatchKeyEvent", type=event, key="Enter", text="\r")
    assert lines(page) == 0
    page.run("document.querySelector('.legend [data-shown=all]').click()")
    assert lines(page) == 9


def test_a_value_is_told_under_the_mouse(page: Browser) -> None:
    x, y = page.run(
        f"(() => {{ {CURVES}.scrollIntoView(); const plot = {CURVES}.querySelector('.nsewdrag');"
        "const at = plot.getBoundingClientRect(); const end = "
        f"{CURVES}.data.at(-1).y.at(-1), axis = {CURVES}._fullLayout.yaxis;"
        "return [at.right - 1, at.top + axis.d2p(end)]; })()"
    )
    page.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
    page.wait_for(f"{CURVES}.querySelector('.hovertext')")
    told = page.run(f"{CURVES}.querySelector('.hovertext').textContent")
    assert "qmix · uniform" in told and "200,000 env steps" in told


def test_colours_follow_the_preference_for_dark(page: Browser, tmp_path: Path) -> None:
    def brightness() -> int:
        page.screenshot(tmp_path / "page.png")
        with Image.open(tmp_path / "page.png") as image:
            return sum(image.convert("RGB").getpixel((2, 2)))

    colour = f"{CURVES}.querySelector('.xtick text').style.fill"
    light, at_first = brightness(), page.run(colour)
    page.prefer("dark")
    page.wait_for(f"{colour} != '{at_first}'")
    assert light > 700 > 200 > brightness()


def test_a_narrow_window_needs_no_scrolling_sideways(page: Browser) -> None:
    page.resize(390, 800)
    page.wait_for("document.documentElement.scrollWidth <= 390")


def test_the_page_can_be_printed(page: Browser, tmp_path: Path) -> None:
    page.print(tmp_path / "page.pdf")
    assert (tmp_path / "page.pdf").read_bytes().startswith(b"%PDF")
    page.wait_for("!document.documentElement.classList.contains('printing')")
    assert page.complaints == []


# --- the replay microscope ------------------------------------------------------------------------


@pytest.fixture
def scope(page: Browser) -> Browser:
    """The page where the microscope is seen."""
    page.run(f"{POINTS}.scrollIntoView({{block: 'center'}})")
    page.wait_for(f"{POINTS}.dataset.listens")
    return page


def told(scope: Browser) -> str:
    """The chosen step in words."""
    return scope.run(f"{SCOPE}.querySelector('.found').innerText")


def press(page: Browser, key: str) -> None:
    for event in ("keyDown", "keyUp"):
        codes = {"ArrowLeft": 37, "ArrowUp": 38, "ArrowDown": 40, "Enter": 13}
        page.call(
            "Input.dispatchKeyEvent",
            type=event,
            key=key,
            code=key,
            windowsVirtualKeyCode=codes[key],
            text="\r" if key == "Enter" else "",
        )


def moved_to(scope: Browser, moment: int) -> None:
    scope.run(
        f"{SCOPE}.querySelector('input').value = {moment};"
        f"{SCOPE}.querySelector('input').dispatchEvent(new Event('input'))"
    )


def test_the_rare_catch_and_why_it_has_no_weight_are_seen_at_once(scope: Browser) -> None:
    assert scope.run(CHOSEN)[0] == "episode 2, step 7"
    assert "10.0 · e−10.0 · 1.00 = e−7.7" in told(scope)
    assert scope.run(f"{SCOPE}.querySelector('select').value") == "ln value"
    assert scope.run(f"{SCOPE}.querySelector('.found img').naturalWidth") == 432
    assert scope.complaints == []


def test_the_scrubber_goes_through_training(scope: Browser) -> None:
    output = f"{SCOPE}.querySelector('output').textContent"
    assert scope.run(output) == "3,000 env steps, 30 updates: 40 of 6,400 steps of 4 episodes"
    picture = scope.run(f"{POINTS}.data[0].x[5]")
    moved_to(scope, 0)
    assert scope.run(output).startswith("1,000 env steps, 10 updates")
    assert scope.run(f"{POINTS}.data[0].x[5]") != picture
    assert scope.run(f"{SCOPE}.querySelectorAll('.lists tbody tr').length") == 12


def test_the_scrubber_works_without_a_mouse(scope: Browser) -> None:
    scope.run(f"{SCOPE}.querySelector('input').focus()")
    press(scope, "ArrowLeft")
    output = f"{SCOPE}.querySelector('output').textContent"
    assert scope.run(output).startswith("2,000 env steps")


def test_points_have_the_colour_that_is_asked_for(scope: Browser) -> None:
    select = f"{SCOPE}.querySelector('select')"
    choices = scope.run(f"[...{select}.options].map(each => each.value)")
    assert choices[:4] == ["ln bellman", "ln value", "ln joint", "reward"]
    assert scope.run(f"{POINTS}.data[0].marker.color[27]") == -10
    scope.run(f"{select}.value = 'reward'; {select}.dispatchEvent(new Event('change'))")
    assert scope.run(f"{POINTS}.data[0].marker.color[27]") == 10


def test_a_step_that_is_clicked_in_a_list_is_shown_as_it_was(scope: Browser) -> None:
    picture = f"{SCOPE}.querySelector('.found img').src"
    first = scope.run(picture)
    scope.run(f"{SCOPE}.querySelectorAll('.lists button')[1].click()")
    assert scope.run(CHOSEN)[0] == "episode 0, step 0"
    assert told(scope).startswith("episode 0, step 0\n")
    assert scope.run(picture) != first
    ring = f"[{POINTS}.data[1].x[0], {POINTS}.data[0].x[0]]"
    x, of_step = scope.run(ring)
    assert x == of_step


def test_the_lists_work_without_a_mouse(scope: Browser) -> None:
    scope.run(f"{SCOPE}.querySelector('.lists button').focus()")
    press(scope, "ArrowDown")
    assert scope.run(CHOSEN)[0] == "episode 0, step 0"
    press(scope, "ArrowUp")
    assert scope.run(CHOSEN)[0] == "episode 2, step 7"
    scope.run(f"{SCOPE}.querySelectorAll('.lists button')[2].focus()")
    press(scope, "Enter")
    assert scope.run(CHOSEN)[0] == "episode 0, step 1"


def test_a_point_that_is_clicked_tells_its_numbers(scope: Browser) -> None:
    x, y = scope.run(
        f"(() => {{ const div = {POINTS}, axes = div._fullLayout, at = "
        "div.querySelector('.nsewdrag').getBoundingClientRect();"
        "return [at.left + axes.xaxis.d2p(div.data[0].x[20]),"
        " at.top + axes.yaxis.d2p(div.data[0].y[20])]; })()"
    )
    scope.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
    scope.wait_for(f"{POINTS}.querySelector('.hovertext')")
    under = scope.run(f"{POINTS}._hoverdata[0].customdata")  # points lie close together
    for event in ("mousePressed", "mouseReleased"):
        scope.call("Input.dispatchMouseEvent", type=event, x=x, y=y, button="left", clickCount=1)
    step = f"episode {under // 10}, step {under % 10} "
    scope.wait_for(f"{SCOPE}.querySelector('.found').innerText.startsWith('{step}')", 5)
    assert "pictures are kept of listed steps only" in told(scope)
    assert scope.complaints == []
