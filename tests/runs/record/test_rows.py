"""Rows made from the arrays of a chunk and of an evaluation."""

import numpy as np

from macpo.runs.record.rows import training_rows

METRICS = {
    "env_steps": np.array([[5, 9, 0], [6, 0, 0]]),
    "episodes": np.array([[2, 4, 0], [2, 0, 0]]),
    "updates": np.array([[0, 1, 0], [0, 0, 0]]),
    "loss": np.array([[np.nan, 0.5, 0.0], [np.nan, 0.0, 0.0]]),
}


def test_each_seed_has_a_row_for_each_iteration_it_made():
    rows = list(training_rows(METRICS, np.array([2, 1]), np.array([7, 8])))
    assert [(row["seed"], row["env_steps"]) for row in rows] == [(7, 5), (7, 9), (8, 6)]


def test_metrics_of_updates_that_did_not_happen_are_left_out():
    first, second, _ = training_rows(METRICS, np.array([2, 1]), np.array([7, 8]))
    assert "loss" not in first
    assert second["loss"] == 0.5


def test_divergence_stays_visible_as_a_word():
    diverged = METRICS | {"loss": np.array([[np.nan, np.nan, 0.0], [np.nan, 0.0, 0.0]])}
    _, second, _ = training_rows(diverged, np.array([2, 1]), np.array([7, 8]))
    assert second["loss"] == "nan"
