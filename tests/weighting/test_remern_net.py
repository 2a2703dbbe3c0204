"""ReMERN as its authors' code has it."""

import numpy as np
import pytest
from hypothesis import given

from macpo import weighting
from macpo.weighting import Signals
from tests.support.weighting_samples import Arrays, fixture, quick, raw, signals, weigh


def test_weights_equal_the_worked_numbers() -> None:
    expected = [0.974327110, 1.076437454, 1.392382598, 0.556852838, 0]
    assert weigh("remern-net", fixture())[0].tolist() == pytest.approx(expected, abs=6e-10)


def test_ratio_shares_times_error_shares_sum_to_the_worked_number() -> None:
    whole, errors = raw("remern-net", fixture()), raw("discor-net", fixture())
    ratios = raw("remern-net", fixture() | {"next_error_estimate": np.zeros((1, 5))})
    shares = whole.sum() / (ratios.sum() * errors.sum())
    assert shares == pytest.approx(0.251800789, abs=6e-10)


@pytest.mark.parametrize(
    ("temperature", "expected"),
    [
        (1.0, [1.174676079, 0.606638107, 1.415278184, 0.803407629, 0]),
        (5.0, [1.035692020, 0.894770544, 1.127714974, 0.941822463, 0]),
        (7.5, [1.024119385, 0.928205833, 1.087474109, 0.960200673, 0]),
    ],
)
def test_without_errors_the_saturating_ratio_remains(
    temperature: float, expected: list[float]
) -> None:
    batch = fixture() | {"next_error_estimate": np.zeros((1, 5))}
    weights = weigh("remern-net", batch, ratio_temperature=temperature)
    assert weights[0].tolist() == pytest.approx(expected, abs=6e-10)


@quick
@given(signals())
def test_where_recent_play_and_replay_are_alike_it_is_discor(batch: Arrays) -> None:
    alike = batch | {"log_density_ratio": np.zeros_like(batch["q"])}
    expected = weigh("discor-net", batch)
    np.testing.assert_allclose(weigh("remern-net", alike), expected, rtol=1e-14)
    np.testing.assert_allclose(raw("remern-net", alike), 0.5 * raw("discor-net", batch), rtol=1e-14)


def test_logits_beyond_ten_are_cut() -> None:
    log_density_ratio = np.array([[-30.0, -10, 10, 30, 0]])
    weights = raw(
        "remern-net",
        fixture()
        | {"log_density_ratio": log_density_ratio, "next_error_estimate": 0 * log_density_ratio},
    )
    assert weights[0, 0] == weights[0, 1] < weights[0, 2] == weights[0, 3]


def test_its_temperature_moves_as_that_of_discor() -> None:
    weigh = weighting.make("remern-net")
    assert weigh.init() == {"temperature": 10}
    state = weigh.apply(weigh.init(), Signals(**fixture())).state
    assert state["temperature"] == pytest.approx(9.962125, rel=1e-14)
