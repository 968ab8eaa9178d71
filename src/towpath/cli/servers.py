"""Where the server of a state folder answers on this machine.

The public URL is not the place: it may name a proxy of others, and the operator's token must not be
sent there. A server writes its own address into its state folder, and holds a lock there while it
runs, so what a killed server wrote is not believed.
"""

import fcntl
import json
from typing import TYPE_CHECKING

from towpath.errors import SettingsError

if TYPE_CHECKING:
    from towpath.settings import Settings

__all__ = ["local_server"]


def local_server(settings: "Settings") -> str:
    """Return the address of the server that runs on the state folder.

    Raises:
        SettingsError: no server runs on it, or it has not said where it is.
    """
    try:
        with (settings.state / "server.lock").open() as lock:
            if _is_free(lock.fileno()):
                raise _no_server(settings)
        return str(json.loads((settings.state / "server.json").read_text())["local_address"])
    except (OSError, ValueError, KeyError, TypeError):
        raise _no_server(settings) from None


def _is_free(descriptor: int) -> bool:
    """Return whether no server holds the lock."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _no_server(settings: "Settings") -> SettingsError:
    """Say that no server runs here."""
    message = (
        f"No server runs on {settings.state}. Set TOWPATH_DATA_DIR or TOWPATH_STATE_DIR to its "
        "folder, or name the server with --server."
    )
    return SettingsError(message)
