"""`python -m gpovae_core.cli`: how background jobs start the command."""

from gpovae_core.cli import main

main()
