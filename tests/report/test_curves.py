"""Learning curves as files, and the numbers in them."""

from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from PIL import Image

from macpo.errors import UsageError
from macpo.report import curves
from macpo.report.curves import (
    DIAGNOSTICS,
    draw_learning_curve,
    mean_and_range,
)
from macpo.report.style import PALETTE
from tests.report.conftest import MakeRun, Row


def share(file: Path, color: str) -> float:
    """The share of pixels that have exactly this colour."""
    with Image.open(file) as image:
        pixels = np.asarray(image.convert("RGB"))
    return float((pixels == np.rint(255 * np.array(to_rgb(color)))).all(-1).mean())


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures that are saved from now on, as objects."""
    figures: list[Figure] = []
    monkeypatch.setattr(curves, "save", lambda figure, file: figures.append(figure))
    return figures


def without_tests(rows: list[Row]) -> list[Row]:
    return [row for row in rows if row["kind"] == "train"]


def test_mean_and_range_are_taken_over_the_kth_values_of_all_seeds() -> None:
    first = (np.array([100, 200, 300]), np.array([1.0, 2.0, 3.0]))
    second = (np.array([110, 220]), np.array([5.0, 0.0]))
    band = mean_and_range({0: first, 1: second})
    np.testing.assert_array_equal(band.env_steps, [105, 210])
    np.testing.assert_array_equal(band.mean, [3, 1])
    np.testing.assert_array_equal(band.low, [1, 0])
    np.testing.assert_array_equal(band.high, [5, 2])


def test_the_learning_curve_shows_returns_and_all_diagnostics(
    make_run: MakeRun, two_seeds: list[Row], tmp_path: Path
) -> None:
    file = tmp_path / "curve.png"
    draw_learning_curve(make_run(two_seeds), file)
    assert share(file, "white") > 0.5
    assert share(file, PALETTE[0]) > 1e-3  # the greedy return
    for _, _, color in DIAGNOSTICS:
        assert share(file, color) > 1e-4


def test_before_the_first_evaluation_the_training_return_is_drawn_alone(
    make_run: MakeRun, two_seeds: list[Row], tmp_path: Path
) -> None:
    file = tmp_path / "curve.png"
    draw_learning_curve(make_run(without_tests(two_seeds)), file)
    assert share(file, PALETTE[0]) == 0
    assert share(file, "white") < 0.98


def test_before_the_first_update_there_are_no_weights_to_draw(
    make_run: MakeRun, two_seeds: list[Row], tmp_path: Path
) -> None:
    file = tmp_path / "curve.png"
    draw_learning_curve(make_run([row for row in two_seeds if row["updates"] == 0]), file)
    colors = {metric: color for metric, _, color in DIAGNOSTICS}
    assert share(file, colors["epsilon"]) > 1e-4
    assert share(file, colors["f_mean"]) == 0


def test_a_run_with_one_row_of_each_kind_can_be_drawn(
    make_run: MakeRun, two_seeds: list[Row], tmp_path: Path
) -> None:
    train, test = two_seeds[3], two_seeds[2]
    file = tmp_path / "curve.png"
    draw_learning_curve(make_run([train, test]), file)
    assert share(file, PALETTE[0]) > 1e-5


def test_a_diverged_run_can_be_drawn(
    make_run: MakeRun, two_seeds: list[Row], tmp_path: Path
) -> None:
    file = tmp_path / "curve.png"
    rows = [row | ({"f_mean": "nan"} if "f_mean" in row else {}) for row in two_seeds]
    draw_learning_curve(make_run(rows), file)
    assert share(file, PALETTE[0]) > 1e-3


def test_the_largest_return_is_marked_if_it_is_known(
    make_run: MakeRun, two_seeds: list[Row], drawn: list[Figure]
) -> None:
    run = make_run(two_seeds)
    draw_learning_curve(run, run / "without.png")
    draw_learning_curve(run, run / "with.png", return_bounds=(0.0, 40.0))
    without, marked = (figure.axes[0] for figure in drawn)
    (line,) = [x for x in marked.lines if x.get_label() == "largest possible return"]
    assert set(np.asarray(line.get_ydata())) == {40.0}
    assert marked.get_ylim()[1] >= 40 > without.get_ylim()[1]


def panels(figure: Figure) -> dict[str, Axes]:
    """The axes of a learning curve by what they show."""
    return {axes.get_title("left") or axes.get_ylabel(): axes for axes in figure.axes}


def test_quantities_of_different_scales_have_a_panel_each(
    make_run: MakeRun, two_seeds: list[Row], drawn: list[Figure]
) -> None:
    run = make_run([row | ({"f_mean": 1.0003} if "f_mean" in row else {}) for row in two_seeds])
    draw_learning_curve(run, run / "curve.png")
    found = panels(drawn[0])
    assert list(found) == ["return of an episode", *(label for _, label, _ in DIAGNOSTICS)]
    low, high = found["joint term f, mean"].get_ylim()
    assert low <= 1.0003 <= high and high - low < 0.2  # f is not flattened by what goes from 0 to 1
    assert len({axes.get_ylim() for axes in found.values()}) == len(found)


def test_battles_have_a_panel_of_win_rates(
    make_run: MakeRun, two_seeds: list[Row], drawn: list[Figure]
) -> None:
    rates = {"test": {"test_battle_won_mean": 0.5}, "train": {"battle_won_mean": 0.25}}
    run = make_run([row | rates[row["kind"]] for row in two_seeds])
    draw_learning_curve(run, run / "curve.png")
    won = panels(drawn[0])["battles won"]
    assert won.get_ylim()[0] <= 0 and won.get_ylim()[1] >= 1
    greedy, *_, training = won.lines
    assert set(np.asarray(greedy.get_ydata())) == {0.5}
    assert set(np.asarray(training.get_ydata())) == {0.25}
    assert [text.get_text() for text in won.texts] == ["50%"]


def test_the_same_run_is_drawn_the_same_and_leaves_matplotlib_alone(
    make_run: MakeRun, two_seeds: list[Row], tmp_path: Path
) -> None:
    run, before = make_run(two_seeds), dict(matplotlib.rcParams)
    draw_learning_curve(run, tmp_path / "a.png")
    draw_learning_curve(run, tmp_path / "b.png")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert dict(matplotlib.rcParams) == before


@pytest.mark.parametrize(("ending", "magic"), [(".svg", b"<?xml"), (".pdf", b"%PDF")])
def test_the_ending_chooses_the_format(
    make_run: MakeRun, two_seeds: list[Row], tmp_path: Path, ending: str, magic: bytes
) -> None:
    file = tmp_path / f"curve{ending}"
    draw_learning_curve(make_run(two_seeds), file)
    assert file.read_bytes().startswith(magic)


def test_an_unknown_ending_is_refused(make_run: MakeRun, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"one of \.png, \.svg, \.pdf"):
        draw_learning_curve(make_run([]), tmp_path / "curve.jpeg")


def test_a_run_without_metrics_is_a_usage_error(make_run: MakeRun, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="has no metrics yet"):
        draw_learning_curve(make_run([]), tmp_path / "curve.png")


def test_a_failed_drawing_leaves_no_file_behind(make_run: MakeRun, two_seeds: list[Row]) -> None:
    run = make_run(two_seeds)
    with pytest.raises(UsageError, match="cannot write"):
        draw_learning_curve(run, run / "nowhere" / "curve.png")
    assert sorted(file.name for file in run.iterdir()) == ["experiment.json", "metrics.jsonl"]
