"""`macpo list battles`: the maps of StarCraft with the sizes of their arrays."""

import itertools
import typing
from collections.abc import Iterable, Mapping

from rich.table import Table
from rich.text import Text

from macpo.envs.smac_jax.maps import MAPS, BattleMap
from macpo.envs.smacv2_jax.tasks import EPISODE_LIMIT, KINDS, Task, Teams


def tables() -> Iterable[Table]:
    """SMAC's maps, then SMACv2's tasks; `steps` is the limit of an episode in env steps."""
    yield _table(
        "battles: --env smac-jax, or smac in the game, with --env.map NAME",
        {name: (here, here.episode_limit) for name, here in MAPS.items()},
    )
    tasks = itertools.product(KINDS, typing.get_args(Teams))
    yield _table(
        "battles: --env smacv2-jax with --env.race and --env.units",
        {f"{race} {teams}": (Task(race, teams), EPISODE_LIMIT) for race, teams in tasks},
    )


def _table(title: str, battles: Mapping[str, tuple[BattleMap | Task, int]]) -> Table:
    table = Table(title=title, title_justify="left", box=None)
    table.add_column("name", no_wrap=True)
    for head in ("agents", "enemies", "actions", "observation", "state", "steps"):
        table.add_column(head, justify="right")
    for name, (battle, limit) in battles.items():
        sizes = (battle.n_actions, battle.obs_size, battle.state_size, limit)
        numbers = (battle.n_agents, battle.n_enemies, *sizes)
        table.add_row(Text(name), *map(str, numbers))
    return table
