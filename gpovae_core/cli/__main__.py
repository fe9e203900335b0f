"""Background jobs start the command this way: python -m gpovae_core.cli."""

from gpovae_core.cli import main

main()
