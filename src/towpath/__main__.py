"""`python -m towpath` is the command."""

from towpath.cli.main import run

run()
