"""Does an environment keep its promises? Play it at random and report what is wrong, in words.

wrong = [result for result in examine(make_env("two-step")) if result.findings]
"""

import inspect
from collections.abc import Iterator
from typing import NamedTuple

from macpo.envs.base import Environment
from macpo.envs.host import HostEnvironment
from macpo.interop.earnings import earnings
from macpo.interop.promises import BASIC, OF_EPISODES, OF_HOST, OF_JAX, Finding, Promise, sizes
from macpo.interop.random_play import PlayError, play
from macpo.interop.to_host import OnHost, on_host

PLAYABLE = "It can be played"


class Result(NamedTuple):
    """The findings of one check; `title` says what holds if there are none."""

    title: str
    findings: tuple[Finding, ...]
    notes: tuple[str, ...] = ()
    """What else was seen, for a person to judge."""


def examine(
    env: Environment | HostEnvironment, episodes: int = 3, seed: int = 0
) -> Iterator[Result]:
    """Every check that applies, in turn; the later ones are skipped if a basic one fails.

    Raises UsageError if something is missing without which the environment cannot be played.
    """
    player = on_host(env)
    player.check_ready()
    result = _check(sizes, env.spec)
    yield result
    if result.findings:
        return
    try:
        played = [play(player, seed + i) for i in range(episodes)]
    except PlayError as error:
        yield Result(PLAYABLE, (Finding(error.where, error.what),), env.assumptions)
        return
    for promise in BASIC:
        result = _check(promise, env.spec, played)
        yield result
        if result.findings:
            return
    yield Result(PLAYABLE, (), (*env.assumptions, *earnings(env.spec, played)))
    for promise in OF_EPISODES:
        yield _check(promise, env.spec, played)
    for promise in OF_JAX if isinstance(player, OnHost) else OF_HOST:
        yield _check(promise, player, played[0])


def title(promise: Promise) -> str:
    """The first sentence of a promise's docstring."""
    return (inspect.getdoc(promise) or "").split(".")[0]


def _check(promise: Promise, *arguments: object) -> Result:
    try:
        return Result(title(promise), tuple(promise(*arguments)))
    except PlayError as error:
        return Result(title(promise), (Finding(error.where, error.what),))
