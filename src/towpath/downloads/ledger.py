"""What is known about downloads, kept apart from the folders they went to."""

import hashlib
import json
import os
import secrets
import stat
import threading
from dataclasses import asdict
from pathlib import Path

from towpath.downloads.reuse import Facts, Have

__all__ = ["Ledger"]

_KEY_LENGTH = 64
_MOMENT = threading.Event()


class Ledger:
    """Facts by key, and which key owns which path.

    Losing it costs a transfer, never a file; so writing to it may fail silently.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def facts(self, key: str) -> Facts | None:
        """Return what is known of the download *key*."""
        try:
            return Facts(**json.loads(self._path(key, "json").read_bytes())["facts"])
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def is_claimed(self, path: Path) -> bool:
        """Return whether a download of ours took *path*."""
        return self._path(_digest(path), "owner").exists()

    def claim(self, path: Path, key: str) -> bool:
        """Take *path* for the download *key*; return False when it is another's.

        The first to claim a path keeps it, so that two URLs with one name never meet in one file.
        """
        claim = self._path(_digest(path), "owner")
        try:
            claim.parent.mkdir(parents=True, exist_ok=True)
            with claim.open("x") as file:
                file.write(key)
        except FileExistsError:
            return _owner(claim) == key
        except OSError:
            return True  # no ledger here: the last one wins, as without claims
        return True

    def note(self, key: str, path: Path, facts: Facts, url: str) -> None:
        """Write down what lies at *path*; *url* is for people and holds no secrets."""
        content = json.dumps({"v": 1, "url": url, "path": str(path), "facts": asdict(facts)})
        self._write(self._path(key, "json"), content)

    def have(self, path: Path, facts: Facts | None) -> Have | None:
        """Return what lies at *path*: None when nothing that could be reused."""
        try:
            status = path.lstat()
        except OSError:
            return None
        if not stat.S_ISREG(status.st_mode):
            return None
        same = facts is not None and (facts.size, facts.mtime_ns) == (
            status.st_size,
            status.st_mtime_ns,
        )
        if facts is not None and not same:
            return None
        return Have(status.st_size, facts)

    def _path(self, digest: str, suffix: str) -> Path:
        return self._root / digest[:2] / f"{digest}.{suffix}"

    def _write(self, path: Path, content: str) -> None:
        """Replace *path* as a whole."""
        draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            draft.write_text(content)
            draft.replace(path)
        except OSError:
            draft.unlink(missing_ok=True)


def _owner(claim: Path) -> str:
    """Return whose claim it is; one that is just being written is waited for a moment."""
    for _ in range(50):
        text = claim.read_text()
        if len(text) == _KEY_LENGTH:
            return text
        _MOMENT.wait(0.01)
    return text


def _digest(path: Path) -> str:
    """Return the key of a path."""
    return hashlib.sha256(os.fsencode(path)).hexdigest()
