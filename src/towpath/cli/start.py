"""The command's first step: what is imported after it may be interrupted without a traceback."""

import sys

__all__ = ["run"]

_INTERRUPTED = 130


def run() -> None:
    """Run the command; Ctrl+C while its parts are imported ends it without a word."""
    try:
        from towpath.cli.main import run as run_command  # noqa: PLC0415 - takes most of a second

        run_command()
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)
