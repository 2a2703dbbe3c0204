"""LaBER: few steps, picked by priority, stand for all."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from macpo.weighting.laber import times_picked
from tests.support.weighting_samples import Arrays, errors, quick, raw, signals, xp

EIGHT = errors(0.5, 2, 0.1, 4, 1, 0.4, 3, 1)
NOISE = (np.arange(120) + 0.5) / 120  # between all values at which other steps are picked


def test_picks_weigh_the_mean_error_over_their_own() -> None:
    # the sums of |δ| times 3 picks / 12: .125 .625 .65 1.65 1.9 2 2.75 3; plus ½, these pass a
    # whole number at the steps 1, 3 and 6; the mean error is 1.5
    weights = raw("laber", EIGHT | {"uniform_noise": 0.5}, share=3 / 8)
    picked = weights[0] * 3 / 8
    assert picked.tolist() == pytest.approx([0, 0.75, 0, 0.375, 0, 0, 0.5, 0], rel=1e-14)


def test_another_chance_picks_others() -> None:
    weights = raw(
        "laber", EIGHT | {"uniform_noise": 0.1}, share=3 / 8
    )  # .225 .725 .75 1.75 2 2.1 2.85 3.1
    assert np.flatnonzero(weights[0]).tolist() == [3, 4, 7]


@pytest.mark.parametrize("share", [0.125, 0.25, 0.5, 1.0])
def test_over_all_chances_the_weighted_loss_is_the_plain_mean(share: float) -> None:
    delta = EIGHT["q"][0]
    weights = [raw("laber", EIGHT | {"uniform_noise": c}, share=share)[0] for c in NOISE]
    np.testing.assert_allclose(np.mean(weights, 0), 1, rtol=1e-12)
    losses = [(w * delta**2).mean() for w in weights]
    assert np.mean(losses) == pytest.approx((delta**2).mean(), rel=1e-12)


@quick
@given(signals(), st.floats(0.05, 1))
def test_as_many_are_picked_as_asked_each_within_one_of_its_share(
    batch: Arrays, share: float
) -> None:
    p = np.where(batch["mask"], np.abs(batch["q"] - batch["target"]), 0)
    if p.sum() > 0:
        n_picks = np.ceil(share * batch["mask"].sum())
        picks = times_picked(p, batch["uniform_noise"], n_picks, xp)
        assert picks.sum() == n_picks
        assert (np.abs(picks - n_picks * p / p.sum()) < 1 + 1e-9).all()


@quick
@given(signals())
def test_steps_without_error_are_never_picked(batch: Arrays) -> None:
    unsurprising = batch["q"] == batch["target"]
    if not unsurprising[batch["mask"]].all():
        assert not raw("laber", batch)[unsurprising].any()


def test_a_batch_without_error_counts_whole() -> None:
    weights = raw("laber", errors(0, 0, 0, mask=[1, 1, 0]) | {"uniform_noise": 0.5})
    assert weights.tolist() == [[1, 1, 0]]


def test_sums_made_in_parallel_pick_no_step_less_than_never() -> None:
    rng = np.random.default_rng(0)
    picked = jax.jit(lambda p, uniform_noise: times_picked(p, uniform_noise, 6400.0, jnp))
    for _ in range(30):
        p = np.abs(rng.normal(size=25_600)) * (rng.random(25_600) < 0.5)
        picks = np.asarray(picked(np.float32(p), np.float32(rng.random())))
        assert (picks >= 0).all()
        assert not picks[p == 0].any()
        assert picks.sum() == pytest.approx(6400, abs=3)
