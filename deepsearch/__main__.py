"""`python -m deepsearch`."""

from deepsearch.cli import main

main()
