"""Plays DI-engine's copy of SMAC's environment in the game that SC2PATH names; run by a test.

`dizoo_smac.py MAP ACTIONS SEEN`: takes the actions [T, N] of a file, resets after each end, and
writes what it observed. Only the environment is used: its imports from DI-engine are replaced here,
and so are three calls that Python 3.11 and NumPy 2 no longer have.
"""

import random
import sys
import warnings
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np


class Settings(dict[str, Any]):
    """A dictionary whose keys are attributes."""

    def __getattr__(self, name: str) -> Any:
        return self[name]


class Registry:
    def register(self, _: str) -> Callable[[type], type]:
        return lambda cls: cls


def stand_in(name: str, **contents: Any) -> None:
    module = ModuleType(name)
    module.__path__ = []
    vars(module).update(contents)
    sys.modules[name] = module


def main(map_name: str, actions_file: str, seen_file: str) -> None:
    stand_in("ditk", logging=__import__("logging"))
    stand_in("easydict", EasyDict=Settings)
    stand_in("ding")
    stand_in("ding.envs", BaseEnv=object, BaseEnvTimestep=object)
    stand_in("ding.envs.common")
    element = type("EnvElement", (), {"info": lambda self: None})
    stand_in("ding.envs.common.env_element", EnvElement=element, EnvElementInfo=lambda *_: None)
    merge: Any = lambda a, b: Settings({**a, **b})  # noqa: E731
    stand_in("ding.utils", ENV_REGISTRY=Registry(), deep_merge_dicts=merge)
    numpy: Any = np
    numpy.int, numpy.float = int, float
    shuffle = random.shuffle
    random.shuffle = lambda x, *_: shuffle(x)
    warnings.simplefilter("ignore")
    from dizoo.smac.envs.smac_env import SMACEnv

    env = SMACEnv({"map_name": map_name})
    records: dict[str, list[Any]] = {"obs": [], "state": [], "avail": [], "over": [], "won": []}

    def note(obs: Any, over: bool, won: bool) -> None:
        row = (obs["agent_state"], obs["global_state"], obs["action_mask"], over, won)
        for column, value in zip(records.values(), row, strict=True):
            column.append(np.array(value))

    note(env.reset(), False, False)
    for actions in np.load(actions_file).tolist():
        step = env.step(actions)
        note(step.obs, step.done, step.info["battle_won"])
        if step.done:
            note(env.reset(), False, False)
    env.close()
    np.savez(seen_file, **{name: np.array(column) for name, column in records.items()})


if __name__ == "__main__":
    main(*sys.argv[1:])
