"""The numbers of a report, computed by hand."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from macpo.errors import UsageError
from macpo.report.collection import Collection, Method, Task, TrainedSeed
from macpo.report.seeds import Curve
from macpo.report.summary import BINS, FEW_SEEDS, band, final_score, summarise

RETURN, WON = "test_return_mean", "test_battle_won_mean"


def curve(values: list[float], every: int = 10) -> Curve:
    return Curve(every * np.arange(1, len(values) + 1), np.array(values, float))


def seed(
    number: int, evaluations: dict[str, list[float]], training: dict[str, list[float]] | None = None
) -> TrainedSeed:
    return TrainedSeed(
        Path(f"run-{number}"),
        number,
        {},
        {name: curve(values) for name, values in evaluations.items()},
        {name: curve(values) for name, values in (training or {}).items()},
        **{"env_steps": 40, "updates": 4, "wall_s": np.nan, "made_by": ""},
    )


def collection(*methods: list[TrainedSeed]) -> Collection:
    """Of one task."""
    return Collection(
        (Task("task", {}),),
        tuple(Method(f"method {i}", {"lr": i}) for i in range(len(methods))),
        {(0, i): tuple(seeds) for i, seeds in enumerate(methods)},
        ("a note",),
    )


def returns(*values: list[float]) -> list[TrainedSeed]:
    return [seed(i, {RETURN: each}) for i, each in enumerate(values)]


def test_the_final_score_is_the_mean_of_the_last_three_evaluations() -> None:
    assert final_score(curve([9, 1, 2, 6])) == 3
    assert final_score(curve([1, 2])) == 1.5
    assert np.isnan(final_score(curve([])))


def with_absolute(value: float, number: int = 0) -> TrainedSeed:
    return replace(seed(number, {RETURN: [1, 2, 3]}), absolute={RETURN: value})


def test_a_methods_absolute_metric_is_that_of_its_seeds() -> None:
    (task,) = summarise(collection([with_absolute(4.0, 0), with_absolute(6.0, 1)])).tasks
    (scores,) = task.scores
    assert [s.absolute for s in scores.seeds] == [4, 6]
    assert scores.absolute.value == 5 and scores.final.value == 2
    assert (task.has_absolute, task.lacks_absolute) == (True, 0)


def test_it_is_left_open_if_a_seed_has_none() -> None:
    mixed = [with_absolute(4.0), seed(1, {RETURN: [1, 2, 3]})]
    (task,) = summarise(collection(mixed, returns([1, 1, 1]))).tasks
    assert np.isnan(task.scores[0].absolute.value) and np.isnan(task.scores[1].absolute.value)
    assert (task.has_absolute, task.lacks_absolute) == (True, 2)
    assert task.scores[0].final.value == 2  # which every seed has


def test_a_methods_scores_are_those_of_its_seeds() -> None:
    (task,) = summarise(collection(returns([1, 1, 1], [2, 2, 2], [6, 6, 6]))).tasks
    (scores,) = task.scores
    assert [s.final for s in scores.seeds] == [1, 2, 6]
    assert scores.final.value == 3  # of three seeds none is cut
    assert 1 <= scores.final.low < 3 < scores.final.high <= 6


def test_one_seed_has_no_interval() -> None:
    (task,) = summarise(collection(returns([1, 2, 3]))).tasks
    assert task.scores[0].final.value == 2 and np.isnan(task.scores[0].final.low)


def test_each_method_is_compared_with_each() -> None:
    (task,) = summarise(collection(returns([3], [3]), returns([1], [3]))).tasks
    assert [scores.better for scores in task.scores] == [(0.5, 0.75), (0.25, 0.5)]


def test_a_profile_is_the_share_of_seeds_above_each_threshold() -> None:
    (task,) = summarise(collection(returns([0], [10]))).tasks
    np.testing.assert_allclose(task.thresholds, np.linspace(0, 10, 101))
    profile = task.scores[0].profile
    assert (profile[:-1] == 0.5).all() and profile[-1] == 0


def test_the_area_is_the_mean_height_of_the_curve() -> None:
    (task,) = summarise(collection(returns([0, 2, 4]))).tasks
    assert task.scores[0].seeds[0].area == task.scores[0].area.value == (10 * 1 + 10 * 3) / 20


def test_the_band_ends_with_the_shortest_seed() -> None:
    found = band([curve([1, 2, 3, 4]), curve([3, 4])])
    np.testing.assert_array_equal(found.env_steps, [10, 20])
    np.testing.assert_array_equal(found.middle, [2, 3])


def test_seeds_without_common_env_steps_have_no_band() -> None:
    young = Curve(np.array([5]), np.array([1.0]))
    assert len(band([curve([1, 2]), young]).env_steps) == len(band([]).env_steps) == 0


def test_few_seeds_have_no_band_and_more_have_one() -> None:
    few = [curve([float(i)]) for i in range(FEW_SEEDS - 1)]
    assert band(few).low is None
    more = band([*few, curve([4.0])])
    assert more.low is not None and more.high is not None
    assert more.middle == 2 and 0 <= more.low < 2 < more.high <= 4


def test_the_band_of_equal_seeds_has_no_width() -> None:
    found = band([curve([1, 5])] * FEW_SEEDS)
    np.testing.assert_array_equal([found.low, found.high], [[1, 5], [1, 5]])


def test_a_diverged_seed_leaves_its_methods_numbers_open_and_the_others_alone() -> None:
    bad, good = returns([1, 1], [np.nan, np.inf]), returns([2, 2], [4, 4])
    (task,) = summarise(collection(bad, good)).tasks
    assert np.isnan(task.scores[0].final.value) and np.isnan(task.scores[0].profile).all()
    assert task.scores[1].final.value == 3
    assert np.isnan(task.scores[1].better[0]) and task.scores[1].better[1] == 0.5
    np.testing.assert_array_equal(task.scores[0].band.middle, [np.nan, np.nan])


def test_battles_are_reported_by_battles_won() -> None:
    (task,) = summarise(collection([seed(0, {RETURN: [12], WON: [0.5]})])).tasks
    assert (task.metric, task.axis) == (WON, "battles won, greedy policy")


def test_a_metric_can_be_chosen() -> None:
    (task,) = summarise(collection([seed(0, {RETURN: [12], WON: [0.5]})]), RETURN).tasks
    assert (task.metric, task.scores[0].final.value) == (RETURN, 12)


def test_a_task_without_the_chosen_metric_is_told() -> None:
    both = Collection(
        (Task("game", {}), Task("battle", {})),
        (Method("a", {}),),
        {(0, 0): (seed(0, {RETURN: [1]}),), (1, 0): (seed(0, {RETURN: [1], WON: [1]}),)},
        (),
    )
    assert summarise(both, WON).notes == (f"game: no evaluation has {WON}.",)


def test_a_metric_that_no_run_has_is_refused_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="'test_retrun_mean'; did you mean 'test_return_mean'"):
        summarise(collection(returns([1])), "test_retrun_mean")


def test_seeds_without_evaluations_are_reported_without_scores() -> None:
    (task,) = summarise(collection([seed(0, {})])).tasks
    assert np.isnan(task.scores[0].final.value) and len(task.scores[0].band.env_steps) == 0


def test_a_seed_that_is_not_evaluated_yet_leaves_its_methods_numbers_alone() -> None:
    (task,) = summarise(collection([*returns([2], [4]), seed(2, {})])).tasks
    assert len(task.scores[0].seeds) == 3 and task.scores[0].final.value == 3
    np.testing.assert_array_equal(task.scores[0].band.middle, [3])


def test_differences_are_the_settings_that_are_not_the_same() -> None:
    report = summarise(collection(returns([1]), returns([2])))
    assert report.differences == ("lr",) and report.notes == ("a note",)


# --- all tasks ------------------------------------------------------------------------------------


def on_two_tasks(metric: str, *methods: tuple[list[float], list[float]]) -> Collection:
    """Final scores of each method's seeds on each task."""
    return Collection(
        (Task("first", {}), Task("second", {})),
        tuple(Method(f"method {i}", {}) for i in range(len(methods))),
        {
            (t, m): tuple(seed(i, {metric: [value]}) for i, value in enumerate(finals))
            for m, method in enumerate(methods)
            for t, finals in enumerate(method)
            if finals
        },
        (),
    )


def test_improvement_on_all_tasks_is_their_mean() -> None:
    methods = ([1, 1], [100, 100]), ([2, 2, 2], [100, 100])
    first, second = summarise(on_two_tasks(RETURN, *methods)).overall
    assert first.better_than_first.value == 0.5
    assert second.better_than_first.value == (1 + 0.5) / 2
    assert np.isnan(second.final.value)  # returns of different tasks have no common mean


def test_battles_won_on_all_tasks_have_a_common_mean() -> None:
    methods = ([0.0, 0.5], [0.5, 1.0]), ([1.0, 1.0], [1.0, 1.0])
    first, second = summarise(on_two_tasks(WON, *methods)).overall
    assert (first.final.value, second.final.value) == (0.5, 1)
    assert first.final.low < 0.5 < first.final.high


def test_methods_that_lack_a_task_are_left_out_of_what_is_told_of_all() -> None:
    methods = ([1.0], [1.0]), ([2.0], []), ([3.0], [3.0])
    assert [o.method for o in summarise(on_two_tasks(RETURN, *methods)).overall] == [0, 2]


def test_one_task_is_not_all_tasks() -> None:
    assert summarise(collection(returns([1]), returns([2]))).overall == ()


# --- the picture ----------------------------------------------------------------------------------


def test_few_values_far_away_do_not_flatten_the_picture() -> None:
    values = [-1000.0, *np.linspace(0, 10, 99).tolist()]
    (task,) = summarise(collection(returns(values))).tasks
    assert task.outside >= 1 and task.range is not None
    low, high = task.range
    assert low > -10 and 10 <= high < 20


def test_the_ends_of_curves_are_always_in_the_picture() -> None:
    values = [*np.linspace(0, 10, 99).tolist(), -1000.0]
    (task,) = summarise(collection(returns(values))).tasks
    assert (task.range, task.outside) == (None, 0)


# --- training -------------------------------------------------------------------------------------


def test_training_is_averaged_over_equal_spans_of_env_steps() -> None:
    values = np.arange(2 * BINS, dtype=float).tolist()
    (task,) = summarise(collection([seed(0, {}, {"f_mean": values})])).tasks
    (lines,) = task.diagnostics[0].methods
    assert lines.seeds[0].seed == 0
    np.testing.assert_array_equal(lines.seeds[0].values[:3], [0.5, 2.5, 4.5])
    np.testing.assert_array_equal(lines.env_steps[:2], [10, 30])


def test_many_seeds_of_training_are_a_band_from_the_smallest_to_the_largest() -> None:
    seeds = [seed(i, {}, {"f_mean": [float(i), 1.0]}) for i in range(FEW_SEEDS)]
    (task,) = summarise(collection(seeds)).tasks
    (lines,) = task.diagnostics[0].methods
    assert lines.seeds == () and lines.band is not None
    np.testing.assert_array_equal(lines.band.middle, [2, 1])
    np.testing.assert_array_equal([lines.band.low, lines.band.high], [[0, 1], [4, 1]])


def test_a_metric_with_one_value_is_told_and_not_drawn() -> None:
    metrics = {"weight_ess_fraction": [1.0, 1.0], "f_mean": [1.0, 1.2]}
    (task,) = summarise(collection([seed(0, {}, metrics)])).tasks
    assert task.constant == {"weight_ess_fraction": 1.0}
    assert [each.metric for each in task.diagnostics] == ["f_mean"]
