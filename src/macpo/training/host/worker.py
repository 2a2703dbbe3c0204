"""A worker: `python -m macpo.training.host.worker SOCKET MEMORY LIFELINE`, all file descriptors.

It builds the environment that the first message describes and then plays what it is told. When the
main process is gone, however it ended, so is the worker with everything it has started.
"""

import dataclasses
import json
import os
import signal
import sys
import threading
import traceback
from collections.abc import Mapping
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from macpo.envs.host import EnvironmentLost, HostEnvironment
from macpo.errors import UsageError, require
from macpo.experiment import part_from_dict
from macpo.training.host.slot import (
    FAULT,
    LOST,
    OVER,
    QUIT,
    RESET,
    SHOWN,
    SPEC,
    Slot,
    plain,
    slot_in,
)
from macpo.types import Spec, TimeStep

LAST_FRAMES = 3
"""Calls that are shown of an exception in the user's code, innermost last."""


def main() -> None:
    """Serve until told to quit."""
    channel, memory, lifeline = (int(number) for number in sys.argv[1:])
    for handle in (channel, memory, lifeline):
        os.set_inheritable(handle, False)  # what the environment starts has no use for them
    threading.Thread(target=_end_with, args=(lifeline,), daemon=True).start()
    link = Connection(channel)
    env: HostEnvironment | None = None
    try:
        env = part_from_dict("env", json.loads(link.recv_bytes())).make()
        assert env is not None
        link.send_bytes(SPEC + plain(dataclasses.asdict(env.spec)))
        _serve(link, slot_in(memory, env.spec), env)
    except EnvironmentLost as error:
        link.send_bytes(LOST + str(error).encode())
    except UsageError as error:
        link.send_bytes(FAULT + str(error).encode())
    except EOFError:
        pass
    except Exception as error:
        link.send_bytes(FAULT + _told(error).encode())
    finally:
        if env is not None:
            env.close()


def _end_with(lifeline: int) -> None:
    """Kill this process and its group once nobody holds the other end."""
    os.read(lifeline, 1)
    os.killpg(0, signal.SIGKILL)


def _serve(link: "Connection[Any, Any]", slot: Slot, env: HostEnvironment) -> None:
    while (message := link.recv_bytes())[:1] != QUIT:
        if message[:1] == RESET:
            timestep = env.reset(int(message[1:]))
            require(
                not (timestep.terminated or timestep.truncated),
                f"{env.spec.name} ends an episode in reset; its first time step must end nothing.",
            )
        else:
            timestep = env.step(slot.actions.copy())
        _show(slot, timestep, env.spec)
        over = slot.terminated[0] or slot.truncated[0]
        link.send_bytes(OVER + plain(_outcome(timestep.info, env.spec)) if over else SHOWN)


def _show(slot: Slot, timestep: TimeStep, spec: Spec) -> None:
    for name in ("obs", "state", "avail_actions"):
        shown, shape = getattr(timestep, name), getattr(slot, name).shape
        require(
            np.shape(shown) == shape,
            f"{spec.name} shows {name} of shape {np.shape(shown)}, but its spec says {shape}.",
        )
        getattr(slot, name)[...] = shown
    require(
        bool(slot.avail_actions.any(-1).all()),
        f"{spec.name} leaves an agent without an available action; also agents that are out need "
        "one, and so does the final time step.",
    )
    slot.reward[0] = timestep.reward
    slot.terminated[0], slot.truncated[0] = bool(timestep.terminated), bool(timestep.truncated)


def _outcome(info: Mapping[str, Any], spec: Spec) -> dict[str, float]:
    """One number for each name."""
    try:
        return {name: float(np.mean(np.asarray(x, np.float64))) for name, x in info.items()}
    except (TypeError, ValueError) as error:
        raise UsageError(f"{spec.name}: all that info holds must be numbers: {error}.") from error


def _told(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)[-LAST_FRAMES:]
    what = "".join(traceback.format_exception_only(error)).strip()
    return f"the environment raised {what}\n{''.join(traceback.format_list(frames)).rstrip()}"


if __name__ == "__main__":
    main()
