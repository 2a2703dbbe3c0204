"""A worker: `python -m macpo.training.host.worker SOCKET MEMORY LIFELINE`, all file descriptors.

It builds the environment that the first message describes, then resets and steps it as further
messages ask. When the main process ends, in whatever way, the worker ends too, with everything it
has started.
"""

import dataclasses
import io
import json
import os
import signal
import sys
import threading
import traceback
from multiprocessing.connection import Connection

import numpy as np

from macpo import registry
from macpo.envs.host import (
    EnvironmentLost,
    HostEnvironment,
    availability,
    checked_picture,
    checked_time_step,
    reported,
)
from macpo.errors import UsageError, require, shortened
from macpo.field_types import Settings
from macpo.machine import signal_at_end_of_parent
from macpo.training.host.slot import (
    FAULT,
    LAST_TIMESTEP,
    LOST,
    NO_PICTURE,
    PICTURE,
    QUIT,
    RESET,
    SPEC,
    TIMESTEP,
    VIEW,
    Slot,
    slot_in,
    to_json,
)
from macpo.types import Spec, TimeStep

MAX_FRAMES = 3
"""Stack frames shown of an exception in the user's code, innermost last."""


def main() -> None:
    """Serve until the main process says to quit."""
    channel, memory, lifeline = (int(number) for number in sys.argv[1:])
    for handle in (channel, memory, lifeline):
        os.set_inheritable(handle, False)  # not for what the environment starts
    threading.Thread(target=_end_with, args=(lifeline,), daemon=True).start()
    # a worker that was stopped would not notice that it must end
    signal_at_end_of_parent(signal.SIGCONT)
    link = Connection(channel)
    env: HostEnvironment | None = None
    try:
        env = make_env(json.loads(link.recv_bytes()))
        assert env is not None
        link.send_bytes(SPEC + to_json(dataclasses.asdict(env.spec)))
        _serve(link, slot_in(memory, env.spec), env)
    except EnvironmentLost as error:
        link.send_bytes(LOST + str(error).encode())
    except UsageError as error:
        link.send_bytes(FAULT + str(error).encode())
    except EOFError:
        pass
    except Exception as error:
        link.send_bytes(FAULT + _describe(error).encode())
    finally:
        if env is not None:
            env.close()


def make_env(section: Settings) -> HostEnvironment:
    """The environment of an experiment's section `env`; a `HostEnvironment`, which the main process
    has checked."""
    return registry.config_of_section("envs", section, "env").make()


def _end_with(lifeline: int) -> None:
    """Kill this process and its group once nobody holds the other end."""
    os.read(lifeline, 1)
    os.killpg(0, signal.SIGKILL)


def _serve(link: "Connection[bytes, bytes]", slot: Slot, env: HostEnvironment) -> None:
    seed, t = 0, 0
    while (message := link.recv_bytes())[:1] != QUIT:
        if message[:1] == VIEW:
            link.send_bytes(_view(env))
            continue
        if message[:1] == RESET:
            seed, t = int(message[1:]), 0
            timestep = checked_time_step(env.reset(seed))
            require(
                not (timestep.terminated or timestep.truncated),
                f"{env.spec.name} ends an episode in reset; its first time step must end nothing.",
            )
        else:
            t += 1
            timestep = checked_time_step(env.step(slot.actions.copy()))
        write(slot, timestep, env.spec, f"step {t} of the episode with seed {seed}")
        if slot.terminated[0] or slot.truncated[0]:
            link.send_bytes(LAST_TIMESTEP + to_json(reported(timestep.info)))
        else:
            link.send_bytes(TIMESTEP)


def write(slot: Slot, timestep: TimeStep, spec: Spec, where: str) -> None:
    """Put a time step into the slot; UsageError, with the step `where`, if the learner cannot take
    it. A reward that is not finite is for the main process to judge."""
    shown = timestep.observation._asdict()
    for name, value in shown.items():
        shape = getattr(slot, name).shape
        require(
            np.shape(value) == shape,
            f"{spec.name} shows {name} of shape {np.shape(value)}, but its spec says {shape}.",
        )
    slot.obs[...], slot.state[...] = shown["obs"], shown["state"]
    slot.avail_actions[...] = availability(shown["avail_actions"])
    for name in ("obs", "state"):
        require(
            bool(np.isfinite(getattr(slot, name)).all()),
            f"{spec.name} shows {name} that is not finite in {where}; networks would never recover "
            "from it.",
        )
    require(
        bool(slot.avail_actions.any(-1).all()),
        f"{spec.name} leaves an agent without an available action in {where}; also agents that are "
        "out need one, and so does the final time step.",
    )
    slot.reward[0] = timestep.reward
    slot.terminated[0], slot.truncated[0] = bool(timestep.terminated), bool(timestep.truncated)


def _view(env: HostEnvironment) -> bytes:
    """The answer to the question for a picture; an environment that cannot draw goes on."""
    from PIL import Image  # of no use to a worker that trains

    try:
        returned = env.render()
        if returned is None:
            return NO_PICTURE
        picture = Image.fromarray(checked_picture(returned))
    except UsageError as error:
        return NO_PICTURE + str(error).encode()
    except Exception as error:
        words = " ".join(f"{type(error).__name__}: {error}".split())
        return NO_PICTURE + f"its render raised {shortened(words)}".encode()
    png = io.BytesIO()
    picture.save(png, "PNG", compress_level=1)
    return PICTURE + png.getvalue()


def _describe(error: Exception) -> str:
    """The exception and the lines of user code that raised it."""
    frames = traceback.extract_tb(error.__traceback__)[-MAX_FRAMES:]
    what = "".join(traceback.format_exception_only(error)).strip()
    return f"the environment raised {what}\n{''.join(traceback.format_list(frames)).rstrip()}"


if __name__ == "__main__":
    main()
