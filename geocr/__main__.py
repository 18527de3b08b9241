"""`python -m geocr`: the same as the `geocr` command."""

from geocr.cli.app import main

main()
