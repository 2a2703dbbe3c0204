"""Other libraries' updates of QMIX and battles beside this one's, in one command.

    python benchmarks/peers/run.py                                # all that PyPI has
    python benchmarks/peers/run.py torchrl pymarl=~/src/pymarl    # some, and a checkout of another

Each is installed into an environment of its own under `build/peers`, with the versions of the
group `foreign` in pyproject.toml; with `--installed` it is taken from this environment. Contenders
take turns, each on all cores, and the median round counts.
"""

import json
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
import tomllib
import venv
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import tyro
from rich.console import Console

from macpo.bench import show
from macpo.bench.measure import Flags, Result, machine, once
from macpo.bench.update import batch_of, compiled_update, full_lengths, typical_lengths
from macpo.errors import UsageError, nearest, require
from macpo.machine import available_cores, prepare_jax

ROOT = Path(__file__).resolve().parents[2]


class Peer(NamedTuple):
    """Another library."""

    title: str
    packages: tuple[str, ...]
    """What is installed for it, of the group `foreign`."""
    script: str = ""
    """Times its update; without one, its battles are timed."""
    checkout: str = ""
    """Where its sources are, if no registry has it."""


PEERS = {
    "torchrl": Peer("TorchRL", ("torch", "torchrl", "tensordict"), "torchrl_qmix.py"),
    "pymarl": Peer(
        "PyMARL", ("torch",), "pymarl_qmix.py", checkout="https://github.com/oxwhirl/pymarl"
    ),
    "jaxmarl": Peer("JaxMARL", ("jaxmarl",)),
}


@dataclass(frozen=True)
class Arguments:
    """Arguments of this command."""

    peers: Annotated[tuple[str, ...], tyro.conf.Positional] = tuple(
        name for name, peer in PEERS.items() if not peer.checkout
    )
    """Names of libraries, with =PATH for one that is a checkout; by default all without."""
    installed: bool = False
    """Take them from this environment."""
    maps: tuple[str, ...] = ("3s_vs_5z", "5m_vs_6m")
    """SMAC's maps on which battles are fought."""
    rounds: int = 5
    """Rounds of each comparison; the median counts."""
    json: Path | None = None
    """File for the results."""
    trial: bool = False
    """Tiny sizes that only show that everything runs; their figures mean nothing."""


class Contender(NamedTuple):
    """A library that is ready to be measured."""

    peer: Peer
    python: str
    checkout: str


def contender(given: str, *, installed: bool) -> Contender:
    """The library that `NAME` or `NAME=PATH` names; it is installed, if need be."""
    name, _, path = given.partition("=")
    require(
        name in PEERS, f"no library {name!r}; {nearest(name, PEERS)} Known: {', '.join(PEERS)}."
    )
    peer, checkout = PEERS[name], Path(path).expanduser().absolute() if path else None
    if peer.checkout:
        known = checkout is not None and checkout.is_dir()
        require(known, f"{peer.title} is on no registry: clone {peer.checkout}, then {name}=PATH.")
    python = sys.executable if installed else _environment(name, peer)
    return Contender(peer, python, str(checkout or ""))


def _environment(name: str, peer: Peer) -> str:
    """The Python of an environment that has what a peer needs."""
    folder = ROOT / "build/peers" / name
    python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["dependency-groups"]
    named = [text for text in groups["foreign"] if text.partition("==")[0] in peer.packages]
    named += ["numpy"] if peer.script else ["-e", str(ROOT)]
    installed = folder / "installed"
    if not installed.exists() or installed.read_text("utf-8").splitlines() != named:
        venv.create(folder, with_pip=True, clear=True)
        _run([str(python), "-m", "pip", "install", "--quiet", *named])
        installed.write_text("\n".join(named), "utf-8")
    return str(python)


def updates(contenders: list[Contender], flags: Flags) -> list[Result]:
    """QMIX's update of full-length and of typical episodes, beside each contender's."""
    results: list[Result] = []
    batch_size = flags.size(128, 4)
    learner, update = compiled_update("uniform", batch_size=batch_size)
    for shape, lengths_of in (("full", full_lengths), ("typical", typical_lengths)):
        lengths = lengths_of(batch_size, flags.size(learner.spec.episode_limit, 8))
        batch = batch_of(learner.env, lengths)
        once(update, batch)
        rounds = [
            (
                statistics.median(once(update, batch) for _ in range(3)),
                *(_seconds_of(other, lengths.tolist()) for other in contenders),
            )
            for _ in range(flags.rounds)
        ]
        ours, *theirs = map(statistics.median, zip(*rounds, strict=True))
        title = f"QMIX update, {shape} length ({lengths.mean():.0f} of {lengths.max()})"
        for other, seconds in zip(contenders, theirs, strict=True):
            name = other.peer.title
            results.append(Result(title, 1e3 * ours, "ms", ours / seconds, name))
            results.append(Result(f"{name}, {shape} length", 1e3 * seconds, "ms"))
    return results


def _seconds_of(other: Contender, lengths: list[int]) -> float:
    """Seconds of a contender's update of episodes of these lengths, in a process of its own."""
    task = {"lengths": lengths, "threads": available_cores(), "checkout": other.checkout}
    script = Path(__file__).with_name(other.peer.script)
    return float(_run([other.python, str(script), json.dumps(task)]).split()[-1])


def battles(other: Contender, flags: Flags) -> list[Result]:
    """`macpo bench battles battle-rollout` in the contender's environment."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "battles.json"
        bench = shlex.split("-m macpo bench battles battle-rollout --maps")
        bench = [other.python, *bench, *flags.maps]
        sizes = ["--rounds", str(flags.rounds), *["--trial"] * flags.trial]
        _run([*bench, *sizes, "--json", str(file)])
        rows: list[dict[str, Any]] = json.loads(file.read_text())["results"]
    return [Result(**row) for row in rows]


def _run(words: list[str]) -> str:
    """What a command prints; UsageError with the last line of its errors if it fails."""
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    last = done.stderr.strip().rpartition("\n")[2]
    require(done.returncode == 0, f"`{shlex.join(words[:4])} …` failed: {last}")
    return done.stdout


def main() -> int:
    """Measure, show, and write what `macpo bench` would; the exit status."""
    arguments = tyro.cli(Arguments, description=__doc__, config=(tyro.conf.FlagCreatePairsOff,))
    flags = Flags(rounds=arguments.rounds, maps=arguments.maps, trial=arguments.trial)
    console = Console()
    try:
        prepare_jax()
        before = machine()
        contenders = list[Contender]()
        for given in arguments.peers:
            with console.status(f"installing what is missing for {given}"):
                contenders.append(contender(given, installed=arguments.installed))
        results: list[Result] = []
        if learners := [other for other in contenders if other.peer.script]:
            with console.status("measuring updates"):
                results += updates(learners, flags)
        for other in contenders:
            if not other.peer.script:
                with console.status(f"measuring battles beside {other.peer.title}"):
                    results += battles(other, flags)
        show(results, before, arguments.json, console)
    except UsageError as error:
        print(f"peers: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
