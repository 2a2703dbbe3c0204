"""A Ray cluster: the one at RAY_ADDRESS, or one that Ray starts on this machine."""

import logging
import os
import socket
import warnings

import ray

from macpo.errors import UsageError, shown

PATIENCE = 10.0
"""Seconds until a cluster must answer."""


def connect() -> bool:
    """Join the cluster, unless this process has; whether it joined now, and so has to leave it.

    UsageError if the cluster cannot be reached or started. A process leaves it with
    `ray.shutdown()`.
    """
    if ray.is_initialized():
        return False
    address = os.environ.get("RAY_ADDRESS", "")
    try:
        host, colon, port = address.removeprefix("ray://").rpartition(":")
        if colon:  # Ray itself would try for minutes
            socket.create_connection((host, int(port)), timeout=PATIENCE).close()
        with warnings.catch_warnings():  # what JAX says of forks: here a program follows at once
            warnings.filterwarnings("ignore", message=r"os\.fork\(\)", category=RuntimeWarning)
            ray.init(log_to_driver=False, include_dashboard=False, logging_level=logging.ERROR)
    except Exception as error:  # where its processes do not start, Ray has no class of its own
        reason = str(error).strip().partition("\n")[0].partition(". ")[0].rstrip(".")
        if not address:
            raise UsageError(
                f"cannot start a Ray cluster on this machine: {reason or repr(error)}; where it is "
                "busy, try again, or set RAY_ADDRESS to the head of a cluster, HOST:PORT."
            ) from error
        raise UsageError(
            f"cannot reach a Ray cluster at {shown(address)}: {reason or repr(error)}; set "
            "RAY_ADDRESS to that of its head, HOST:PORT, or unset it for a cluster on this machine."
        ) from error
    return True
