"""Rows made from the arrays of a chunk and of an evaluation."""

import math

import numpy as np

from macpo.runs.record.rows import training_rows

METRICS = {
    "env_steps": np.array([[5, 9, 0], [6, 0, 0]]),
    "episodes": np.array([[2, 4, 0], [2, 0, 0]]),
    "updates": np.array([[0, 1, 0], [0, 0, 0]]),
    "loss": np.array([[0.0, 0.5, 0.0], [0.0, 0.0, 0.0]]),
}
UPDATE_METRICS = frozenset({"loss"})
N_ITERATIONS, SEEDS = np.array([2, 1]), np.array([7, 8])
NONE = np.array([0, 0])
"""Updates before the chunk."""


def test_each_seed_has_a_row_for_each_iteration_it_made():
    rows = list(training_rows(METRICS, UPDATE_METRICS, N_ITERATIONS, SEEDS, NONE))
    assert [(row["seed"], row["env_steps"]) for row in rows] == [(7, 5), (7, 9), (8, 6)]


def test_metrics_of_updates_that_did_not_happen_are_left_out():
    first, second, _ = training_rows(METRICS, UPDATE_METRICS, N_ITERATIONS, SEEDS, NONE)
    assert "loss" not in first
    assert second["loss"] == 0.5


def test_iterations_without_an_update_leave_them_out_after_the_first_updates_too():
    later = METRICS | {"updates": np.array([[6, 7, 0], [6, 0, 0]])}
    rows = [*training_rows(later, UPDATE_METRICS, N_ITERATIONS, SEEDS, np.array([6, 5]))]
    assert ["loss" in row for row in rows] == [False, True, True]


def test_divergence_stays_visible():
    diverged = METRICS | {"loss": np.array([[0.0, np.nan, 0.0], [0.0, 0.0, 0.0]])}
    _, second, _ = training_rows(diverged, UPDATE_METRICS, N_ITERATIONS, SEEDS, NONE)
    assert math.isnan(second["loss"])


def test_what_an_environment_reports_is_recorded_before_the_first_update_too():
    told = METRICS | {"rate_mean": np.array([[np.nan, 0.5, 0.0], [np.inf, 0.0, 0.0]])}
    first, second, third = training_rows(told, UPDATE_METRICS, N_ITERATIONS, SEEDS, NONE)
    assert math.isnan(first["rate_mean"])
    assert (second["rate_mean"], third["rate_mean"]) == (0.5, math.inf)
