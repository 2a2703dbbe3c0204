"""Critics against the plain concatenation that they compute in parts."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from macpo.algorithms.coma import Config as Coma
from macpo.envs.predator_prey import Config as PredatorPrey
from macpo.nets.critics import AgentCritic, dueling
from macpo.weighting.uniform import Config as Uniform

KEY = jax.random.key(0)
N, S, OWN = 3, 5, 2
CRITIC = AgentCritic(KEY, n_agents=N, state_size=S, own_size=OWN, hidden=(8, 6), n=4)
STATE, OF_AGENTS = jax.random.normal(KEY, (7, S)), jax.random.normal(KEY, (7, N, OWN))


def n_parameters(make) -> int:
    return sum(x.size for x in jax.tree.leaves(jax.eval_shape(make)))


def test_critic_of_coma_in_predator_prey_has_78726_parameters():
    learner = Coma().make(PredatorPrey().make(), Uniform())
    assert n_parameters(lambda: learner.init(KEY).params.critic) == 78_726


@pytest.mark.parametrize(
    ("state_size", "hidden", "n", "expected"),
    [(300, (256, 256), 7, 165_895), (0, (64, 64), 6, 9_926)],
    ids=["dop", "fop"],
)
def test_critics_in_predator_prey_have_the_parameters_of_the_references(
    state_size, hidden, n, expected
):
    def make():
        return AgentCritic(KEY, 8, state_size, own_size=75, hidden=hidden, n=n)

    assert n_parameters(make) == expected


def test_every_agent_is_judged_by_state_own_inputs_and_number_in_this_order():
    shared = jnp.broadcast_to(STATE[:, None], (7, N, S))
    number = jnp.broadcast_to(np.eye(N), (7, N, N))
    expected = CRITIC.net(jnp.concatenate([shared, OF_AGENTS, number], -1))
    np.testing.assert_allclose(CRITIC(STATE, OF_AGENTS), expected, rtol=1e-5, atol=1e-6)


def test_first_layer_starts_as_wide_as_pytorch_makes_one_of_all_inputs():
    critic = AgentCritic(KEY, n_agents=10, state_size=60, own_size=30, hidden=(50,), n=1)
    weight = critic.net.layers[0].weight
    assert weight.shape == (100, 50)
    assert 0.099 < np.abs(weight).max() <= 0.1


def test_a_critic_without_state_sees_own_inputs_and_number_alone():
    critic = AgentCritic(KEY, n_agents=N, state_size=0, own_size=OWN, hidden=(8,), n=4)
    number = jnp.broadcast_to(np.eye(N), (7, N, N))
    expected = critic.net(jnp.concatenate([OF_AGENTS, number], -1))
    np.testing.assert_allclose(critic(STATE[:, :0], OF_AGENTS), expected, rtol=1e-5, atol=1e-6)


def test_an_agents_own_inputs_change_its_own_outputs_alone():
    other = CRITIC(STATE, OF_AGENTS.at[:, 1].add(1.0))
    same = (np.asarray(other) == np.asarray(CRITIC(STATE, OF_AGENTS))).all((0, 2))
    assert same.tolist() == [True, False, True]


def test_dueling_adds_the_last_output_to_all_others():
    assert dueling(np.array([[1.0, -2.0, 4.0, 10.0]])).tolist() == [[11, 8, 14]]
