"""Which steps of a batch are kept, in which order, and how they come back from a file."""

from dataclasses import replace
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from macpo.errors import UsageError
from macpo.runs.record.moment import (
    EXTREMES,
    LISTED,
    MAX_STEPS,
    About,
    Moment,
    Steps,
    choose,
    every_step,
    extremes,
    kept,
    moment_file,
    moment_files,
    read_moment,
    write_moment,
)
from macpo.training.trainer import ExplainedBatch
from macpo.types import Episodes
from macpo.weighting.weighting import Explanation

MASK = np.array([[True, True, True], [True, False, False]])
ABOUT = About(3, 7, 1500, 12, "macpo", "|δ|", "", 2, 4, ("bellman",))


def batch(rows: int = 2, agents: int = 0) -> ExplainedBatch:
    """Episodes of 3 and 1 steps; weights 10·row + step, and .1·agent more for each agent."""
    mask = np.repeat(MASK, rows // 2, 0)
    row, step = np.indices(mask.shape)
    weights = 10.0 * row + step
    if agents:
        weights = weights[..., None] + 0.1 * np.arange(agents)
    q = 1.0 * step
    states = np.arange(8).reshape(2, 4)  # in row 0: 0 1 2 3
    episodes = Episodes(
        encoded_state=(states, states[..., None] * [1, 10]),
        actions=np.arange(6).reshape(2, 3, 1),
        reward=np.array([[0.0, 10.0, -2.0], [1.0, 9.0, 9.0]]),
        length=np.array([3, 1]),
        terminated=np.array([True, True]),
    )
    log = np.log(q + 1)
    why = Explanation(mask, q, q - 3, None, {"bellman": log}, log, weights)
    return ExplainedBatch(episodes, np.array([1.0, 0.5]), why)


def test_every_step_that_exists_is_a_row_with_its_numbers() -> None:
    steps = every_step(batch())
    assert list(zip(steps.episode, steps.step, steps.part, strict=True)) == [
        *((0, 0, 0), (0, 1, 0), (0, 2, 0)),
        (1, 0, 0),
    ]
    assert steps.reward.tolist() == [0, 10, -2, 1]
    assert steps.td_error_abs.tolist() == [3, 3, 3, 3]
    assert np.isnan(steps.q_star).all()
    assert steps.weight.tolist() == [0, 1, 2, 5]  # 10, drawn with an importance of one half
    assert steps.importance.tolist() == [1, 1, 1, 0.5]
    assert steps.log_factors.shape == (4, 1)
    assert np.exp(steps.log_raw).tolist() == pytest.approx([1, 2, 3, 1])


def test_the_rows_of_an_episode_lie_together() -> None:
    steps = every_step(batch(rows=4))
    assert steps.episode.tolist() == [0, 0, 0, 0, 0, 0, 1, 1]
    assert steps.part.tolist() == [0, 0, 0, 1, 1, 1, 0, 1]
    assert steps.weight.tolist() == [0, 1, 2, 10, 11, 12, 10, 15]


def test_a_weight_for_each_agent_is_a_step_for_each_agent() -> None:
    steps = every_step(batch(agents=2))
    assert steps.step.tolist() == [0, 0, 1, 1, 2, 2, 0, 0]
    assert steps.part.tolist() == [0, 1] * 4
    assert steps.weight.tolist() == pytest.approx([0, 0.1, 1, 1.1, 2, 2.1, 5, 5.05])


def many(n: int) -> Steps:
    """Steps with weight i, and an error that is largest in the middle."""
    zeros, i = np.zeros(n, np.int32), np.arange(n, dtype=np.float32)
    q = -np.abs(i - n // 2)
    return Steps(zeros, zeros, zeros, q, 0 * i - n, 0 * i, 0 * i, 0 * i, 0 * i + 1, i, i[:, None])


def test_the_largest_and_smallest_weights_and_the_largest_errors_are_extreme() -> None:
    assert extremes(many(100), 2).tolist() == [0, 1, 50, 51, 98, 99]
    assert extremes(many(3), 4).tolist() == [0, 1, 2]


def test_what_is_not_a_number_counts_as_extreme() -> None:
    steps = many(100)
    steps.weight[30] = steps.q[70] = np.nan
    assert {30, 70} <= set(extremes(steps, 1).tolist())


def test_a_large_batch_is_thinned_evenly_between_its_extremes() -> None:
    steps = many(6400)
    some = kept(steps)
    assert len(some) == MAX_STEPS
    assert set(extremes(steps, EXTREMES)) <= set(some)
    gaps = np.diff(np.setdiff1d(some, extremes(steps, EXTREMES)))
    assert np.median(gaps) == pytest.approx(6400 / (MAX_STEPS - 3 * EXTREMES), rel=0.05)
    assert kept(many(MAX_STEPS)).tolist() == list(range(MAX_STEPS))


def test_listed_steps_have_the_states_before_and_after_them_and_their_actions() -> None:
    steps, listed = choose(batch(), every_step(batch()))
    assert listed.place.tolist() == [0, 1, 2, 3]  # fewer than `LISTED`
    assert listed.states[0].tolist() == [[0, 1], [1, 2], [2, 3], [4, 5]]
    assert listed.states[1][1].tolist() == [[1, 10], [2, 20]]
    assert listed.actions.tolist() == [[0], [1], [2], [3]]
    assert len(steps.step) == 4 <= LISTED


def test_a_moment_comes_back_as_it_was_written(tmp_path: Path) -> None:
    moment = Moment(ABOUT, *choose(batch(), every_step(batch())))
    file = moment_file(tmp_path, 3)
    write_moment(file, moment)
    assert moment_files(tmp_path) == [file]
    again = read_moment(file)
    assert again.about == ABOUT
    for new, old in zip(again.steps, moment.steps, strict=True):
        assert np.array_equal(new, old, equal_nan=True)
    assert all(map(np.array_equal, again.listed.states, moment.listed.states))


def test_a_file_has_a_bounded_size(tmp_path: Path) -> None:
    n = 6400
    steps = many(n)
    chosen = Steps(*(x[kept(steps)] for x in steps))
    data = batch()
    listed = choose(data, every_step(data))[1]
    write_moment(tmp_path / "0001.safetensors", Moment(ABOUT, chosen, listed))
    assert (tmp_path / "0001.safetensors").stat().st_size < 25_000


@pytest.mark.parametrize("wrong", ["cut", "other", "unfit", "nonsense", "part"])
def test_a_damaged_file_is_refused_in_a_sentence(wrong: str, tmp_path: Path) -> None:
    moment = Moment(ABOUT, *choose(batch(), every_step(batch())))
    file = moment_file(tmp_path, 1)
    if wrong == "other":
        moment = replace(moment, steps=moment.steps._replace(weight=np.ones(3, np.float32)))
    elif wrong == "unfit":
        moment = replace(moment, listed=moment.listed._replace(place=np.array([0, 1, 2, 99])))
    elif wrong == "nonsense":
        moment = replace(moment, about=replace(ABOUT, env_steps="many"))  # type: ignore[arg-type]
    elif wrong == "part":
        moment = replace(moment, about=replace(ABOUT, part="<b>"))  # type: ignore[arg-type]
    write_moment(file, moment)
    if wrong == "cut":
        file.write_bytes(file.read_bytes()[:-5])
    with pytest.raises(UsageError, match=r"0001\.safetensors is damaged"):
        read_moment(file)


def test_arrays_of_a_device_are_taken_as_they_come() -> None:
    data = batch()
    why = data.explanation._replace(weights=jnp.asarray(data.explanation.weights))
    assert every_step(data._replace(explanation=why)).weight.tolist() == [0, 1, 2, 5]
