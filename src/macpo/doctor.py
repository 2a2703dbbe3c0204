"""What this installation can do."""

import importlib.metadata
import importlib.util
import os
import platform
from collections.abc import Iterator

import jax
from rich.console import Console

import macpo
from macpo.envs.smac import installed
from macpo.errors import UsageError
from macpo.machine import (
    available_bytes,
    has_bf16_units,
    keep_freed_memory,
    on_accelerator,
    prepare_jax,
)
from macpo.terminal import say

_CORE = ("jax", "jaxlib", "equinox", "optax", "numpy", "tyro", "rich", "safetensors", "matplotlib")
_EXTRAS = {
    "tensorboardX": "TensorBoard files: pip install 'macpo[tensorboard]'",
    "wandb": "metrics in Weights & Biases: pip install 'macpo[wandb]'",
    "trackio": "metrics in trackio: pip install 'macpo[trackio]'",
    "huggingface_hub": "macpo push and pull: pip install 'macpo[hub]'",
    "av": "films as MP4: pip install 'macpo[video]'",
    "torch": "the PyTorch contender of `macpo bench`: pip install 'macpo[bench]'",
    "pettingzoo": "environments of PettingZoo, and ours as such: pip install 'macpo[pettingzoo]'",
    "jaxmarl": "SMAX, MPE and others of JaxMARL: pip install 'macpo[jaxmarl]'",
}


def print_report(console: Console) -> None:
    """Print what was found, and below it advice where something is missing.

    Lines stay whole, so that commands and addresses in them can be copied.
    """
    findings = list(_findings())
    width = max(len(what) for what, _, _ in findings)
    for what, found, advice in findings:
        say(console, f"{what:<{width}}  {found}")
        if advice:
            say(console, f"{'':<{width}}  → {advice}")


def _findings() -> Iterator[tuple[str, str, str]]:
    try:
        prepare_jax()
    except UsageError as error:
        yield "JAX", "cannot be used", str(error)
    yield "macpo", macpo.__version__, ""
    yield "Python", f"{platform.python_version()} on {platform.platform()}", ""
    for name in _CORE:
        yield name, importlib.metadata.version(name), ""
    devices = ", ".join(str(d) for d in jax.devices())
    on_cpu = not on_accelerator()
    advice = "for an NVIDIA GPU: pip install 'macpo[cuda]'" if on_cpu else ""
    yield "devices", devices, advice
    yield "CPU cores", str(os.cpu_count()), ""
    has_units = has_bf16_units()
    yield "units for bfloat16", "yes: --precision bf16" if has_units else "no", ""
    free = available_bytes()
    yield "free memory", "unknown" if free is None else f"{free / 1e9:.1f} GB", ""
    keeps = keep_freed_memory()
    slow = "" if keeps else "not glibc on Linux: updates on the CPU are up to a third slower"
    yield "keeps freed memory", "yes" if keeps else "no", slow
    cache = jax.config.jax_compilation_cache_dir  # pyright: ignore[reportAttributeAccessIssue]
    yield "compiled programs", str(cache), "delete the folder to compile afresh"
    for name, purpose in _EXTRAS.items():
        there = importlib.util.find_spec(name) is not None
        yield (
            name,
            importlib.metadata.version(name) if there else "absent",
            "" if there else purpose,
        )
    yield from installed.findings()
