"""Who owns an enemy, who may observe it, and what an unmarked one hides; worked out by hand."""

import jax.numpy as jnp
import numpy as np
from numpy.testing import assert_array_equal

from macpo.envs.smacv2_jax.sight import NO_OWNER, Memory, forget, look, nothing_seen

# three agents, four enemies: agent 0 sights enemies 0 and 1, agent 1 enemies 1 and 2, agent 2 none
SIGHTS = np.array([[1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 0, 0]], bool)
ALIVE = np.ones(4, bool)


def looked(
    memory: Memory | None = None,
    sights: jnp.ndarray = SIGHTS,
    living: jnp.ndarray = ALIVE,
    turn: tuple[int, ...] = (0, 1, 2),
    told: bool = False,
    blanks: bool = False,
) -> Memory:
    memory = nothing_seen(3, 4) if memory is None else memory
    return look(memory, sights, living, np.array(turn), np.full((4, 3), told), blanks)


def test_the_first_agent_to_sight_an_enemy_owns_it_and_alone_observes_it() -> None:
    memory = looked()
    assert memory.owner.tolist() == [0, 0, 1, NO_OWNER]
    assert_array_equal(memory.shown, [[1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]])


def test_who_looks_first_is_a_matter_of_turns() -> None:
    memory = looked(turn=(2, 1, 0))
    assert memory.owner.tolist() == [0, 1, 1, NO_OWNER]
    assert_array_equal(memory.shown, [[1, 0, 0, 0], [0, 1, 1, 0], [0, 0, 0, 0]])


def test_who_is_told_of_an_enemy_observes_it_in_sight_too() -> None:
    memory = looked(told=True)
    assert memory.owner.tolist() == [0, 0, 1, NO_OWNER]
    assert_array_equal(memory.shown, SIGHTS)
    assert_array_equal(memory.marks, [[1] * 3] * 3 + [[0] * 3])


def test_an_owner_keeps_an_enemy_that_others_sight_later() -> None:
    memory = looked(looked(), turn=(2, 1, 0))
    assert memory.owner.tolist() == [0, 0, 1, NO_OWNER]
    assert not memory.shown[1, 1]


def test_an_enemy_that_an_agent_may_not_observe_blanks_all_with_lower_numbers() -> None:
    memory = looked(told=True, blanks=True)  # nobody sights enemy 3
    assert not memory.shown.any()
    sights = SIGHTS.copy()
    sights[2, 3] = True
    # agents 0 and 1 look before agent 2 has sighted enemy 3
    shown = looked(sights=sights, told=True, blanks=True).shown
    assert_array_equal(shown, [[0] * 4, [0] * 4, [0, 0, 0, 1]])
    turned = looked(sights=sights, turn=(1, 2, 0), told=True, blanks=True).shown
    # agent 2 looks first, before enemies 0 to 2 are sighted; then agent 0, before enemy 2 is
    assert_array_equal(turned, [[0, 0, 0, 0], [0, 1, 1, 0], [0, 0, 0, 1]])


def test_rows_above_the_last_unmarked_enemy_are_still_shown() -> None:
    sights = np.array([[1, 0, 1, 1], [0, 1, 0, 0], [0, 0, 0, 0]], bool)
    # agent 0 has no mark for enemy 1, which hides enemy 0; agent 1 none for enemies 2 and 3
    assert_array_equal(looked(sights=sights, blanks=True).shown, [[0, 0, 1, 1], [0] * 4, [0] * 4])


def test_the_place_of_a_dead_enemy_is_owned_but_not_shown() -> None:
    memory = looked(living=np.array([1, 0, 1, 1], bool))
    assert memory.owner.tolist() == [0, 0, 1, NO_OWNER]
    assert_array_equal(memory.shown[0], [1, 0, 0, 0])


def test_enemies_are_forgotten_with_their_owner_and_when_they_die() -> None:
    alive = np.array([0, 1, 1, 1, 1, 1, 1], bool)  # agent 0 has died
    memory = forget(looked(told=True), alive)
    assert memory.owner.tolist() == [NO_OWNER, NO_OWNER, 1, NO_OWNER]
    assert_array_equal(memory.marks, [[0] * 3, [0] * 3, [0, 1, 1], [0] * 3])
    alive = np.array([1, 1, 1, 0, 1, 1, 1], bool)  # enemy 0 has died
    memory = forget(looked(told=True), alive)
    assert memory.owner.tolist() == [NO_OWNER, 0, 1, NO_OWNER]
    assert_array_equal(memory.marks, [[0] * 3, [1] * 3, [1] * 3, [0] * 3])
