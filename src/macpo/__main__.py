"""`python -m macpo` is the command `macpo`."""

from macpo.cli import main

main()
