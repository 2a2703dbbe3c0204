"""Code run in a process that cannot import JAX, nor what needs it."""

import subprocess
import sys

_REFUSE = """
import sys


class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"jax", "jaxlib", "equinox", "optax", "tyro", "matplotlib"}:
            raise AssertionError(f"{name} was imported")


sys.meta_path.insert(0, Refuse())
"""


def run_without_jax(code: str) -> "subprocess.CompletedProcess[str]":
    """Run the code there; what it printed is text."""
    words = [sys.executable, "-c", _REFUSE + code]
    return subprocess.run(words, capture_output=True, text=True, check=False)
