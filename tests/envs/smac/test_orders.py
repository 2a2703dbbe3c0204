"""Actions as SMAC sends them to the game."""

from macpo.envs.smac.orders import Command, commands
from macpo.envs.smac_jax.maps import BattleMap

# two agents against two enemies; the medivac heals
MAP = BattleMap("two", allies=("marine", "medivac"), enemies=("zealot", "marine"), episode_limit=9)
TAGS = [101, 102, 201, 202]
POSITIONS = [(10.0, 16.0), (8.0, 15.5)]


def sent(*actions: int) -> list[Command]:
    return list(commands(MAP, actions, TAGS, POSITIONS))


def test_the_dead_are_sent_nothing():
    assert sent(0, 0) == []


def test_a_stop_is_an_order_without_a_target():
    assert sent(1, 0) == [Command(101, 4)]


def test_a_move_goes_two_cells_north_south_east_or_west():
    points = [sent(0, action)[0] for action in (2, 3, 4, 5)]
    assert [(order.unit, order.ability, order.target) for order in points] == [(102, 16, None)] * 4
    assert [order.point for order in points] == [(8, 17.5), (8, 13.5), (10, 15.5), (6, 15.5)]


def test_those_who_attack_aim_at_an_enemy_by_its_number():
    assert sent(6, 0) == [Command(101, 23, target=201)]
    assert sent(7, 0) == [Command(101, 23, target=202)]


def test_those_who_heal_aim_at_an_ally_by_its_number():
    assert sent(0, 6) == [Command(102, 386, target=101)]


def test_orders_follow_the_agents():
    assert [order.unit for order in sent(1, 1)] == [101, 102]
