"""JaxMARL's `MultiAgentEnv`: SMAX, MPE and others, played inside the compiled loop.

| here | there |
|---|---|
| agents | `agents`, in this order |
| `obs` | the agents' observations, flattened and padded |
| `avail_actions` | `get_avail_actions(state)` if it exists, otherwise all of an agent's actions |
| `state` | the observations' `world_state` if it exists, otherwise all of `obs` |
| `reward` | the sum of all agents' rewards, or their mean (`team_reward`) |
| `terminated` | `dones["__all__"]`, except at the time limit |
| `truncated` | the `episode_limit` |
| `episode_limit` | `max_steps` of the environment or in its options, or as given |
| `info` | every number, and the mean of every array with one number per agent; NaN is left out |

Steps are taken with `step_env`: `step` would replace the last observation of an episode by the
first one of the next. MPE and SMAX end an episode one step after `max_steps`; here it ends on time.
Replay stores the observations, which cannot always be derived from the environment's state.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from macpo.interop.factory import FactoryConfig
from macpo.types import Untyped

if TYPE_CHECKING:
    from macpo.interop.jaxmarl_environment import JaxMarl

TITLE = "a JaxMARL environment"
NEEDS = ("agents", "reset", "step_env", "observation_space", "action_space")


def adapt(made: Untyped, config: FactoryConfig) -> JaxMarl:
    """Adapt an environment that has all attributes in `NEEDS`."""
    from macpo.interop.jaxmarl_environment import JaxMarl  # the only adapter that imports JAX

    return JaxMarl(made, config)
