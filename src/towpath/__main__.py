"""`python -m towpath` is the command.

For `-m`, Python puts the working folder first on `sys.path`. The server imports nothing of an app,
so it takes the folder off the path before a `queue.py` in it is imported in place of Python's own.
"""

import sys

if not sys.flags.safe_path:
    del sys.path[0]

from towpath.cli.start import run

run()
