"""Prioritised sampling of episodes: numbers by hand, and what the draws promise on average.

The recurring example is four episodes of one step with |δ| = ½, 2, 1/10, 4.
"""

import functools
import math
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from macpo.errors import UsageError
from macpo.replay import priority
from macpo.replay.priority import Priorities, Replay

TD = np.array([0.5, 2.0, 0.1, 4.0])
ROWS = np.arange(4)
PLAIN = Replay(sampling="prioritized", per_epsilon=0.0)  # alpha 0.6, P ∝ |δ|^0.6 exactly
LINEAR = Replay(sampling="prioritized", per_alpha=1.0, per_epsilon=0.0)

# each of many small operations would be a program of its own
add = jax.jit(priority.add, static_argnames="config")
update_priorities = jax.jit(priority.update_priorities, static_argnames="config")
probabilities = jax.jit(priority.probabilities, static_argnames="config")
importance = jax.jit(priority.importance)
draw = jax.jit(priority.draw, static_argnames=("batch_size", "config"))
sum_tree = jax.jit(priority.sum_tree)
find = jax.jit(priority.find)


def table(*values: float) -> Priorities:
    return Priorities(np.array(values, np.float32), np.float32(max(1.0, *values)))


def after_update(config: Replay) -> Priorities:
    """The table of the example, in a buffer of six with four episodes."""
    p = add(priority.init(6), ROWS, config)
    return update_priorities(p, ROWS, TD[:, None], np.ones((4, 1), bool), config)


def one_episode(td_error: list[float], mask: list[int], config: Replay) -> float:
    """The priority of an episode with these errors; its row held 9 before."""
    td, valid = np.array([td_error]), np.array([mask], bool)
    return update_priorities(table(9.0), np.array([0]), td, valid, config).value.item()


@functools.partial(jax.jit, static_argnames=("n", "batch_size", "config"))
def many(p: Priorities, n: int, batch_size: int, config: Replay, beta: float = 0.4):
    """n batches from a full buffer: leaves [n, batch_size]."""
    keys = jax.random.split(jax.random.key(1), n)
    return jax.vmap(lambda key: priority.draw(key, p, p.value.size, batch_size, config, beta))(keys)


def share(p: Priorities, config: Replay) -> np.ndarray:
    return np.asarray(probabilities(p, p.value.size, config), np.float64)


def undivided(probability: np.ndarray, beta: float) -> np.ndarray:
    """(N P)^−β: the library's importance with its division by the maximum taken back."""
    n = (probability > 0).sum()
    relative = np.asarray(importance(probability, beta))
    return relative * (n * probability[probability > 0].min()) ** -beta


# --- an episode's priority ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "td_error", "mask", "expected"),
    [
        (Replay(), [0.5, 2, 0.1, 4, 7], [1, 1, 1, 1, 0], 3.300001),  # 6.6 / 2 + 1e-6
        (Replay(), [1, 1], [1, 1], 1.414214562),  # 2 / √2 + 1e-6
        (Replay(aggregate="mean"), [0.5, 2, 0.1, 4, 7], [1, 1, 1, 1, 0], 1.650001),
        (Replay(aggregate="max"), [0.5, 2, 0.1, 4, 7], [1, 1, 1, 1, 0], 4.000001),
        (Replay(aggregate="sum"), [0.5, 2, 0.1, 4, 7], [1, 1, 1, 1, 0], 6.600001),
        # 0.9 · 4 + 0.1 · 1.65
        (Replay(aggregate="r2d2", per_epsilon=0.0), [0.5, 2, 0.1, 4, 7], [1, 1, 1, 1, 0], 3.765),
        (Replay(aggregate="r2d2", per_epsilon=0.0), [1, 1], [1, 1], 1.0),
    ],
)
def test_priority_of_an_episode_is_the_aggregate_of_its_valid_steps_plus_epsilon(
    config, td_error, mask, expected
):
    assert one_episode(td_error, mask, config) == pytest.approx(expected, rel=2e-7)


@pytest.mark.parametrize("how", ["sqrt_len", "mean", "max", "r2d2", "sum"])
@pytest.mark.parametrize("junk", [1e30, np.inf, np.nan])
def test_content_of_padding_changes_no_priority(how, junk):
    assert one_episode([3.0, junk], [1, 0], Replay(aggregate=how)) == pytest.approx(3.000001)


@pytest.mark.parametrize("how", ["sqrt_len", "mean", "max", "r2d2", "sum"])
def test_the_sign_of_an_error_does_not_matter(how):
    config = Replay(aggregate=how)
    assert one_episode([-3.0, 1.0], [1, 1], config) == one_episode([3.0, 1.0], [1, 1], config)


@pytest.mark.parametrize("how", ["sqrt_len", "mean", "max", "r2d2", "sum"])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_an_episode_with_a_non_finite_error_keeps_its_priority(how, bad):
    assert one_episode([3.0, bad], [1, 1], Replay(aggregate=how)) == 9.0


def test_a_non_finite_error_spoils_no_other_episode():
    td = np.array([[np.nan], [2.0]])
    p = update_priorities(table(9, 9, 9), np.array([0, 2]), td, np.ones((2, 1), bool), PLAIN)
    assert p.value.tolist() == [9, 9, 2]
    assert p.largest == 9


def test_an_episode_without_valid_steps_has_priority_epsilon():
    assert one_episode([7.0], [0], Replay()) == pytest.approx(1e-6)


# --- the table ------------------------------------------------------------------------------------


@pytest.mark.parametrize("quantile", [None, 0.5, 1.0])
def test_an_empty_buffer_has_no_priorities_and_gives_new_episodes_1(quantile):
    config = Replay(new_priority_quantile=quantile)
    p = add(priority.init(3), np.array([1]), config)
    assert p.value.tolist() == [0, 1, 0]


def test_new_episodes_get_the_largest_priority_so_far_even_if_it_is_gone():
    p, one = table(1, 1, 1, 0), np.ones((1, 1), bool)
    for error in (5.0, 0.5):  # row 0 has 5, then ½
        p = update_priorities(p, np.array([0]), np.array([[error]]), one, PLAIN)
    assert add(p, np.array([2, 3]), PLAIN).value.tolist() == [0.5, 1, 5, 5]


def test_after_one_outlier_the_largest_so_far_all_but_fills_the_next_batch_with_a_new_episode():
    p, one = table(1, 1, 1, 1, 0), np.ones((1, 1), bool)
    for error in (1e6, 1.0):  # drawn again, row 0 is as before
        p = update_priorities(p, np.array([0]), np.array([[error]]), one, PLAIN)
    outlasting = share(add(p, np.array([4]), PLAIN), PLAIN)[4]
    # 1e6^0.6 / (1e6^0.6 + 4)
    assert outlasting == pytest.approx(0.9989963, rel=1e-6)
    present = replace(PLAIN, new_priority_quantile=1.0)
    assert share(add(p, np.array([4]), present), present)[4] == pytest.approx(1 / 5)


@pytest.mark.parametrize(
    ("quantile", "expected"), [(0.0, 0.1), (0.25, 0.1), (0.26, 0.5), (0.5, 0.5), (1.0, 4.0)]
)
def test_a_quantile_gives_new_episodes_a_stored_one_of_that_rank(quantile, expected):
    config = replace(PLAIN, new_priority_quantile=quantile)  # of 0.1, 0.5, 2, 4
    p = add(after_update(PLAIN), np.array([4, 5]), config)
    np.testing.assert_allclose(p.value, [*TD, expected, expected], rtol=1e-6)


def test_an_episode_that_is_overwritten_has_no_say_in_the_quantile():
    config = replace(PLAIN, new_priority_quantile=1.0)
    assert add(table(9, 2, 3), np.array([0]), config).value.tolist() == [3, 2, 3]
    assert add(table(9, 2), ROWS[:2], config).value.tolist() == [1, 1]


def test_a_quantile_is_a_share():
    with pytest.raises(UsageError, match="new_priority_quantile must be between 0 and 1"):
        Replay(new_priority_quantile=2.0)


def test_a_new_episode_is_as_likely_as_the_likeliest_old_one():
    p = add(after_update(PLAIN), np.array([4]), PLAIN)
    probability = share(p, PLAIN)
    assert probability[4] == probability[3] == probability.max()  # alpha was applied once to both


def test_of_two_errors_for_one_row_the_last_counts():
    rows, td = np.array([2, 0, 2, 0, 2]), np.array([[8.0], [7.0], [6.0], [5.0], [4.0]])
    p = update_priorities(table(1, 1, 1), rows, td, np.ones((5, 1), bool), PLAIN)
    assert p.value.tolist() == [5, 1, 4]
    assert p.largest == 5


def test_of_two_errors_for_one_row_the_last_finite_one_counts():
    rows, td = np.array([0, 0]), np.array([[8.0], [np.nan]])
    assert update_priorities(table(1.0), rows, td, np.ones((2, 1), bool), PLAIN).value.tolist() == [
        8
    ]


# --- probabilities --------------------------------------------------------------------------------


def test_probability_is_proportional_to_priority_to_the_power_alpha():
    expected = [0.139658449, 0.320850571, 0.053172526, 0.486318454, 0, 0]
    np.testing.assert_allclose(share(after_update(Replay()), Replay()), expected, rtol=2e-6)


def test_probability_by_rank_depends_on_the_order_of_priorities_alone():
    config = Replay(order="rank", per_alpha=0.7)  # ranks 3 2 4 1
    expected = [0.188555642, 0.250439838, 0.154163804, 0.406840717, 0, 0]
    p = after_update(config)
    np.testing.assert_allclose(share(p, config), expected, rtol=2e-6)
    np.testing.assert_array_equal(
        share(p._replace(value=np.asarray(p.value) ** 3 * 100), config), share(p, config)
    )


def test_of_equal_priorities_the_lower_row_ranks_first():
    config = Replay(order="rank", per_alpha=1.0)  # 1, ½, ⅓ over 11/6
    np.testing.assert_allclose(share(table(0, 7, 7, 7), config), [0, 6 / 11, 3 / 11, 2 / 11])


@pytest.mark.parametrize("order", ["proportional", "rank"])
def test_alpha_zero_makes_all_stored_episodes_equally_likely(order):
    config = Replay(order=order, per_alpha=0.0)
    assert share(table(5, 0.1, 0, 3, 1), config).tolist() == [0.25, 0.25, 0, 0.25, 0.25]


@pytest.mark.parametrize("order", ["proportional", "rank"])
def test_without_any_priority_all_stored_episodes_are_equally_likely(order):
    config, p = Replay(order=order), priority.init(6)
    assert probabilities(p, 4, config).tolist() == [0.25] * 4 + [0, 0]
    drawn = draw(jax.random.key(0), p, 4, 16, config, 0.4)
    assert np.bincount(drawn.rows).tolist() == [4, 4, 4, 4]
    assert drawn.importance.tolist() == [1] * 16


def test_priorities_whose_power_is_no_float32_are_still_proportional():
    config = Replay(per_alpha=2.0, per_epsilon=0.0)
    np.testing.assert_allclose(share(table(1e30, 2e30), config), [0.2, 0.8], rtol=2e-6)


# --- importance -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "beta", "expected"),
    [
        (Replay(), 0.4, [0.679591648, 0.487252180, 1, 0.412578524]),
        (Replay(), 1.0, [0.380732615, 0.165723645, 1, 0.109336847]),
        (Replay(per_alpha=1.0), 1.0, [0.200001600, 0.050000475, 1, 0.025000244]),
        (Replay(order="rank", per_alpha=0.7), 0.5, [0.904214448, 0.784584098, 1, 0.615572207]),
    ],
)
def test_a_draw_counts_n_p_to_the_power_minus_beta_relative_to_the_rarest_stored_episode(
    config, beta, expected
):
    drawn = draw(jax.random.key(0), after_update(config), 4, 64, config, beta)
    assert set(drawn.rows.tolist()) == {0, 1, 2, 3}
    np.testing.assert_allclose(drawn.importance, np.array(expected)[drawn.rows], rtol=4e-6)


def test_importance_is_relative_to_the_rarest_episode_even_if_it_is_not_in_the_batch():
    drawn = draw(jax.random.key(0), table(1, 1e-4), 2, 2, LINEAR, 1.0)
    assert drawn.rows.tolist() == [0, 0]
    np.testing.assert_allclose(drawn.importance, 1e-4, rtol=2e-6)


def test_beta_grows_linearly_to_1_at_the_runs_end_and_stays():
    beta = [float(priority.beta_at(np.array(t), 1000, Replay())) for t in (0, 500, 1000, 1008)]
    assert beta == pytest.approx([0.4, 0.7, 1.0, 1.0], rel=1e-6)
    assert max(beta) <= 1.0


def test_beta_ends_where_it_is_told_to():
    config = Replay(per_beta=0.5, per_beta_finish=0.1)
    beta = [float(priority.beta_at(np.array(t), 1000, config)) for t in (0, 500, 1000, 1008)]
    assert beta == pytest.approx([0.5, 0.3, 0.1, 0.1], rel=1e-6)


# --- the tree -------------------------------------------------------------------------------------


def test_a_query_finds_the_leaf_in_whose_share_it_lies():
    tree = sum_tree(np.array([5.0, 20.0, 1.0, 40.0]))  # tenths: bounds are exact floats
    queries = np.array([0, 4.9, 5, 24.9, 25, 25.9, 26, 65.9])
    assert find(tree, queries).tolist() == [0, 0, 1, 1, 2, 2, 3, 3]


def test_every_level_of_the_tree_is_the_sum_of_the_one_below():
    tree = sum_tree(np.array([1.0, 2.0, 3.0, 4.0, 5.0]))
    assert [level.tolist() for level in tree] == [
        [1, 2, 3, 4, 5, 0, 0, 0],
        [3, 7, 5, 0],
        [10, 5],
        [15],
    ]


@pytest.mark.parametrize("capacity", [1, 2, 3, 7, 8, 9])
def test_leaves_keep_their_order_at_any_capacity(capacity):
    tree = sum_tree(np.ones(capacity))
    queries = np.arange(capacity) + 0.5
    assert find(tree, queries).tolist() == list(range(capacity))


@pytest.mark.parametrize("u", [0.0, 0.3, 1.0, 3.0, 3.5])
def test_no_query_finds_a_leaf_of_zero_not_even_one_at_the_total_or_above(u):
    tree = sum_tree(np.array([0.0, 1.0, 0.0, 0.0, 2.0, 0.0, 0.0]))
    assert find(tree, np.array([u])).item() == (1 if u < 1 else 4)


def test_a_million_random_updates_leave_no_drift_and_no_draw_of_a_zero():
    capacity, batch_size, n = 50, 200, 5000  # 5000 batches of 200 are a million updates

    def step(i, carry):
        p, n_bad = carry
        key = jax.random.fold_in(jax.random.key(0), i)
        row_key, td_key, draw_key = jax.random.split(key, 3)
        rows = jax.random.randint(row_key, (batch_size,), 0, capacity)
        td = jnp.exp(8 * jax.random.normal(td_key, (batch_size, 1)))
        td = jnp.where(td < 1e-3, 0.0, td)  # a fifth of the episodes; others range up to 1e15
        p = priority.update_priorities(p, rows, td, np.ones(td.shape, bool), LINEAR)
        drawn = priority.draw(draw_key, p, capacity, 16, LINEAR, 0.4)
        return p, n_bad + (p.value[drawn.rows] == 0).sum()

    start = (table(*[1.0] * capacity), np.array(0))
    p, n_bad = jax.jit(lambda: jax.lax.fori_loop(0, n, step, start))()
    assert n_bad == 0
    assert (np.asarray(p.value) == 0).any()
    total = sum_tree(p.value)[-1].item()
    assert total == pytest.approx(np.asarray(p.value, np.float64).sum(), rel=1e-6)


def test_total_of_ten_thousand_leaves_is_exact_to_a_millionth():
    leaves = np.exp(3 * np.random.default_rng(0).normal(size=10_000)).astype(np.float32)
    total = sum_tree(leaves)[-1].item()
    assert total == pytest.approx(np.asarray(leaves, np.float64).sum(), rel=1e-6)


# --- draws ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["proportional", "rank"])
def test_independent_draws_have_the_stated_frequencies(order):
    config = Replay(order=order, per_epsilon=0.0)
    p = table(*TD, 1.0, 3.0, 0.7)
    counts = np.bincount(many(p, 20_000, 1, config).rows.ravel(), minlength=7)
    expected = share(p, config)
    assert scipy.stats.chisquare(counts, 20_000 * expected / expected.sum()).pvalue > 1e-4


def test_stratified_draws_have_the_stated_frequencies():
    p = table(*TD, 1.0, 3.0, 0.7)
    counts = np.bincount(many(p, 2_000, 10, PLAIN).rows.ravel(), minlength=7)
    expected = share(p, PLAIN)
    assert scipy.stats.chisquare(counts, 20_000 * expected / expected.sum()).pvalue > 1e-4


def test_equally_likely_episodes_come_equally_often_in_a_stratified_batch():
    rows = many(table(*[1.0] * 8), 100, 16, PLAIN).rows
    assert (np.sort(rows, axis=1) == np.repeat(np.arange(8), 2)).all()


def test_numbers_in_a_stratified_batch_vary_less_than_those_of_independent_draws():
    p = table(*TD)
    counts = (np.asarray(many(p, 1_000, 10, PLAIN).rows)[..., None] == range(4)).sum(1)
    probability = share(p, PLAIN)
    assert (counts.var(0) < 10 * probability * (1 - probability)).all()


def test_probability_of_a_draw_is_that_of_its_row():
    drawn = draw(jax.random.key(0), table(*TD), 4, 32, PLAIN, 0.4)
    np.testing.assert_array_equal(drawn.probability, share(table(*TD), PLAIN)[drawn.rows])


@pytest.mark.parametrize("order", ["proportional", "rank"])
def test_rows_without_an_episode_or_without_priority_are_never_drawn(order):
    p = table(0, 3, 0, 0, 1e-6, 2, 0, 0, 0)
    drawn = many(p, 1_000, 16, Replay(order=order))
    assert set(np.unique(drawn.rows)) == {1, 4, 5}


def test_a_buffer_of_one_episode_draws_it_every_time():
    drawn = draw(jax.random.key(0), add(priority.init(5), ROWS[:1], PLAIN), 1, 8, PLAIN, 0.4)
    assert drawn.rows.tolist() == [0] * 8
    assert drawn.importance.tolist() == [1] * 8


def test_the_newest_episode_can_be_drawn():
    assert 3 in draw(jax.random.key(0), table(1, 1, 1, 1), 4, 4, PLAIN, 0.4).rows.tolist()


def test_the_same_key_draws_the_same_rows_and_another_key_others():
    p = table(*range(1, 101))
    first, again, other = (draw(jax.random.key(k), p, 100, 32, PLAIN, 0.4) for k in (0, 0, 1))
    np.testing.assert_array_equal(first.rows, again.rows)
    assert (np.asarray(first.rows) != np.asarray(other.rows)).any()


@pytest.mark.parametrize("order", ["proportional", "rank"])
def test_seeds_side_by_side_draw_what_each_draws_alone(order):
    config = Replay(order=order)
    keys = jax.random.split(jax.random.key(3), 3)
    tables = [table(*TD, 0), table(1, 2, 3, 4, 5), priority.init(5)]
    n_filled, beta = np.array([4, 5, 2]), np.array([0.4, 0.7, 1.0])
    stacked = jax.tree.map(lambda *x: np.stack(x), *tables)
    together = jax.jit(jax.vmap(lambda k, p, n, b: priority.draw(k, p, n, 16, config, b)))(
        keys, stacked, n_filled, beta
    )
    together = jax.device_get(together)
    for i, p in enumerate(tables):
        alone = draw(keys[i], p, n_filled[i], 16, config, beta[i])
        np.testing.assert_array_equal(together.rows[i], alone.rows)
        np.testing.assert_allclose(together.importance[i], alone.importance, rtol=2e-6)


# --- what a learner gets on average ---------------------------------------------------------------
# A table of values, one for each episode: a draw of row i adds weight · slope of the loss at δ_i to
# the gradient at i, so its expectation is P · weight · slope.


@pytest.mark.parametrize("batch_size", [1, 50], ids=["independent", "stratified"])
def test_average_gradient_of_draws_is_the_expected_one(batch_size):
    # loss δ², alpha 0.6, beta 0.4, weights (N P)^−0.4; bounds are five standard errors of 1e5 draws
    drawn = many(table(*TD), 100_000 // batch_size, batch_size, PLAIN)
    rows, probability = (np.asarray(x).ravel() for x in (drawn.rows, drawn.probability))
    gradient = (4 * probability.astype(np.float64)) ** -0.4 * 2 * TD[rows]
    estimate = np.bincount(rows, gradient) / 100_000
    expected = [0.176285337, 1.161496159, 0.019752269, 2.981388500]
    assert (abs(estimate - expected) <= [0.006918, 0.026719, 0.001318, 0.048448]).all()


def test_expected_gradient_of_prioritised_draws_with_partial_correction():
    probability = share(table(*TD), PLAIN)
    expected = [0.176285337, 1.161496159, 0.019752269, 2.981388500]
    gradient = probability * undivided(probability, 0.4) * 2 * TD
    np.testing.assert_allclose(gradient, expected, rtol=4e-6)


def test_prioritised_squared_errors_are_uniform_errors_to_the_power_2_plus_alpha_minus_alpha_beta():
    # loss ½ δ², importance divided by its maximum: η · |δ|^1.36 with
    # η = min|δ|^0.24 / Σ|δ|^0.6.   Source: Fujimoto et al. 2020
    probability = share(table(*TD), PLAIN)
    gradient = probability * np.asarray(importance(probability, 0.4)) * TD
    expected = [0.047455241, 0.312669679, 0.005317224, 0.802576728]
    np.testing.assert_allclose(gradient, expected, rtol=4e-6)
    np.testing.assert_allclose(gradient, 0.121810570 * TD**1.36, rtol=4e-6)


@pytest.mark.parametrize("order", ["proportional", "rank"])
@pytest.mark.parametrize("alpha", [0.3, 0.6, 1.0])
def test_with_beta_1_prioritised_draws_are_unbiased_for_the_uniform_loss(order, alpha):
    probability = share(table(*TD), Replay(order=order, per_alpha=alpha))
    gradient = probability * undivided(probability, 1.0) * 2 * TD
    np.testing.assert_allclose(gradient, [0.25, 1, 0.05, 2], rtol=4e-6)  # 2 |δ| / 4


def test_absolute_errors_drawn_with_alpha_1_and_no_correction_are_squared_errors_drawn_uniformly():
    probability = share(table(*TD), LINEAR)
    gradient = probability * undivided(probability, 0.0) * 1.0  # the slope of |δ|
    np.testing.assert_allclose(gradient, TD / 4 / TD.mean(), rtol=4e-6)  # of ½ δ² / mean|δ|
    expected = [0.075757576, 0.303030303, 0.015151515, 0.606060606]
    np.testing.assert_allclose(gradient, expected, rtol=4e-6)


def test_lap_drawn_by_priority_is_pal_drawn_uniformly():
    config = Replay(per_alpha=0.4, per_epsilon=0.0)
    probability = share(table(*np.maximum(TD, 1)), config)  # priority max(|δ|, 1)
    lap = probability * np.minimum(TD, 1)  # slope of the Huber loss
    pal = np.where(TD <= 1, TD, TD**0.4) / np.mean(np.maximum(TD, 1) ** 0.4) / 4
    np.testing.assert_allclose(lap, pal, rtol=4e-6)
    np.testing.assert_allclose(lap, [0.098802337, 0.260740931, 0.019760467, 0.344049721], rtol=4e-6)


# --- the settings ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("sampling", "Prioritized"),
        ("order", "ranked"),
        ("aggregate", "median"),
        ("per_alpha", -0.1),
        ("per_alpha", math.nan),
        ("per_alpha", math.inf),
        ("per_beta", -0.1),
        ("per_beta_finish", 1.1),
        ("per_beta", 1.5),
        ("per_beta", math.nan),
        ("per_epsilon", -1e-6),
        ("per_epsilon", math.inf),
    ],
)
def test_a_bad_setting_is_refused_by_its_name(option, value):
    with pytest.raises(UsageError, match=rf"^replay: {option} must be .*{value}"):
        Replay(**{option: value})
