"""`python -m macpo` is the command `macpo`."""

import os
import sys

if sys.path[:1] == [os.getcwd()] and not sys.flags.safe_path:  # noqa: PTH109 (no module of any folder)
    del sys.path[0]  # put there by -m: the current folder may hold anything

from macpo.cli import main

main()
