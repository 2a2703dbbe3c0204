"""`pip install ARGUMENTS` into this Python's environment by uv, which takes a fraction of the time.

uv reads none of pip's settings, so those that say where packages come from are handed on. Where uv
cannot be had or fails, pip installs.
"""

import ast
import importlib.util
import os
import subprocess
import sys

PIP = [sys.executable, "-m", "pip"]
NAMES = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "constraint": "UV_CONSTRAINT",
    "trusted-host": "UV_INSECURE_HOST",
    "cert": "SSL_CERT_FILE",
}
"""pip's settings → uv's variables."""


def settings() -> dict[str, str]:
    """uv's variables, from pip's files and, which count for more, its variables."""
    listed = subprocess.run([*PIP, "config", "list"], capture_output=True, text=True, check=True)
    found: dict[str, str] = {}
    for line in sorted(listed.stdout.splitlines(), key=lambda line: line.startswith(":env:")):
        name, value = line.split("=", 1)
        setting = name.rpartition(".")[2]
        if setting in NAMES:
            between = "," if setting == "find-links" else " "
            found[NAMES[setting]] = between.join(ast.literal_eval(value).split())
    return found


def main(arguments: list[str]) -> int:
    """The exit status of pip, or 0 if uv has installed."""
    uv = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--python", sys.executable]
    try:
        if importlib.util.find_spec("uv") is None:
            subprocess.run([*PIP, "install", "--quiet", "uv"], check=True)
        # like pip, it takes the newest of all places
        env = {**os.environ, **settings(), "UV_INDEX_STRATEGY": "unsafe-best-match"}
        subprocess.run([*uv, *arguments], env=env, check=True)
    except (OSError, ValueError, subprocess.CalledProcessError) as error:
        print(f"uv does not install ({error}): pip does", file=sys.stderr)
        return subprocess.run([*PIP, "install", "--quiet", *arguments], check=False).returncode
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
