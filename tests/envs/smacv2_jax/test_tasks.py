"""SMACv2's 15 tasks."""

import typing

import pytest

from macpo.envs.smacv2_jax.tasks import Race, Task, Teams

# actions, then observation and state: with everybody in view, in brackets' stead with cones
SIZES = {
    "5v5": ((11, 23), (82, 120), (84, 190), (92, 130), (94, 200)),
    "10v10": ((16, 28), (162, 290), (164, 430), (182, 310), (184, 450)),
    "10v11": ((17, 29), (170, 306), (172, 446), (191, 327), (193, 467)),
    "20v20": ((26, 38), (322, 780), (324, 1060), (362, 820), (364, 1100)),
    "20v23": ((29, 41), (346, 858), (348, 1138), (389, 901), (391, 1181)),
}


@pytest.mark.parametrize("conic", [False, True])
@pytest.mark.parametrize("teams", typing.get_args(Teams))
@pytest.mark.parametrize("race", typing.get_args(Race))
def test_every_task_has_smacv2s_sizes(race: Race, teams: Teams, conic: bool) -> None:
    task, (actions, *sizes) = Task(race, teams, conic), SIZES[teams]
    assert task.n_actions == actions[conic]
    assert (task.obs_size, task.state_size) == sizes[conic + 2 * (race == "protoss")]


def test_a_task_has_smacv2s_name() -> None:
    assert Task("zerg", "20v23").name == "zerg_20_vs_23"
