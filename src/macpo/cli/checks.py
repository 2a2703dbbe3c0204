"""The commands that check a part of one's own for the promises it makes."""

import dataclasses
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Annotated

import tyro

from macpo import registry
from macpo.bounds import NonNegativeInt, PositiveInt, check_fields
from macpo.cli import COMMANDS, check_usage
from macpo.cli.experiments import named
from macpo.cli.flags import Parsed, flags_of, parse
from macpo.errors import UsageError
from macpo.experiment import PARTS
from macpo.field_types import TypeHint
from macpo.machine import prepare_jax
from macpo.terminal import say, stdout_console

if TYPE_CHECKING:
    from macpo.interop.check import Result

_console = stdout_console()


def check_env(arguments: list[str]) -> int:
    """`macpo check-env`: the exit status."""
    from macpo.envs.host import HostEnvironment
    from macpo.interop import check

    fields = [
        ("episodes", Annotated[PositiveInt, tyro.conf.arg(help="Episodes to play.")], 3),
        ("seed", Annotated[NonNegativeInt, tyro.conf.arg(help="Seed of the first of them.")], 0),
    ]
    name, parsed = _parse_part("env", COMMANDS["check-env"].summary, arguments, fields)
    env = parsed.env.make()
    spec, kind = env.spec, "Python" if isinstance(env, HostEnvironment) else "JAX"
    say(
        _console,
        f"{name} ({kind}): {spec.n_agents} agents, {spec.n_actions} actions, observations of "
        f"{spec.obs_size} and a state of {spec.state_size} numbers, "
        f"episodes of at most {spec.episode_limit} env steps",
    )
    try:
        wrong = _print_results(check.examine(env, parsed.episodes, parsed.seed))
    finally:
        if isinstance(env, HostEnvironment):
            env.close()
    return _verdict(wrong)


def check_weighting(arguments: list[str]) -> int:
    """`macpo check-weighting`: the exit status."""
    from macpo.conformance.weighting import check_weighting

    _, parsed = _parse_part("weighting", COMMANDS["check-weighting"].summary, arguments)
    return _verdict(_print_results(check_weighting(parsed.weighting)))


def check_algorithm(arguments: list[str]) -> int:
    """`macpo check-algorithm`: the exit status."""
    from macpo.conformance.algorithm import check_algorithm

    _, parsed = _parse_part("algorithm", COMMANDS["check-algorithm"].summary, arguments)
    return _verdict(_print_results(check_algorithm(parsed.algorithm)))


def _parse_part(
    part: str,
    description: str,
    arguments: list[str],
    fields: Sequence[tuple[str, TypeHint, object]] = (),  # as of `dataclasses.make_dataclass`
) -> tuple[str, Parsed]:
    """(name, flags) of `macpo check-PART`, which takes the part's name first, then its flags."""
    name, *rest = arguments or ["nothing"]
    noun = registry.NOUN[PARTS[part]]
    if not arguments or name.startswith("-"):
        article = "an" if noun[0] in "ae" else "a"
        raise UsageError(
            f"macpo check-{part} needs {article} {noun} first, but got {name}. {check_usage(part)}"
        )
    prepare_jax()
    default = named(PARTS[part], name)
    flags = dataclasses.make_dataclass(
        "Checked", [(part, flags_of(default), default), *fields], frozen=True
    )
    parsed = parse(flags, rest, f"macpo check-{part} {name}", description)
    check_fields(parsed, "")  # also that a run's files can hold it
    return name, parsed


def _print_results(results: Iterable["Result"]) -> int:
    """Print each result as it comes; how many checks found something."""
    wrong = 0
    for result in results:
        wrong += bool(result.findings)
        _print_result(result)
    return wrong


def _verdict(wrong: int) -> int:
    """Print how many checks found something; the exit status."""
    say(_console, f"{wrong or 'nothing'} wrong")
    return 1 if wrong else 0


_MAX_FINDINGS = 3
"""Shown of each check."""


def _print_result(result: "Result") -> None:
    say(_console, f"{'WRONG' if result.findings else 'ok   '} {result.title}")
    for note in result.notes:
        say(_console, f"      {note}")
    for finding in result.findings[:_MAX_FINDINGS]:
        say(_console, f"      {finding}")
    if len(result.findings) > _MAX_FINDINGS:
        say(_console, f"      and {len(result.findings) - _MAX_FINDINGS} more")
