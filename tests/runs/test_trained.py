"""Which environments a trained run can play."""

from dataclasses import replace

import pytest

import macpo
from macpo.runs.acting import acting_of
from macpo.runs.trained import check_can_play
from macpo.training.trainer import make_trainer


def test_more_agents_are_refused_where_the_network_takes_their_index():
    acting = acting_of(make_trainer(macpo.Experiment(env="two-step")).algorithm)
    spec = macpo.envs.TwoStep().make().spec
    check_can_play(spec, replace(spec, state_size=9), acting)
    with pytest.raises(macpo.UsageError, match=r"of 2 agents cannot play two-step with 3: .*index"):
        check_can_play(spec, replace(spec, n_agents=3), acting)


def test_another_state_is_refused_where_nobody_knows_how_the_algorithm_acts():
    spec = macpo.envs.TwoStep().make().spec
    with pytest.raises(macpo.UsageError, match="which has state_size 9 for"):
        check_can_play(spec, replace(spec, state_size=9), None)
