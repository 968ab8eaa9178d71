"""Labels: what is known of a blob, on the blob itself, as an extended attribute (xattr(7)).

One sync makes bytes and label durable, so that a save need not wait for a file of its own for
what is known of them. Not every file system has such attributes, and most tools that copy files
leave them behind: beside the label there is a sidecar, which wins.
"""

import errno
import json
import os
from pathlib import Path

from towpath.storage.records import StoredFile

__all__ = ["can_label", "label", "read_label", "relabel"]

_NAME = "user.towpath"
_LARGEST = 2048
"""Bytes; ext4 has room for some 4,000 in all."""
_HAS_NONE = frozenset({errno.ENODATA, errno.ENOTSUP, errno.ENOENT, errno.ENOTDIR})


def can_label(folder: Path) -> bool:
    """Return whether files in *folder*, and the folder itself, take labels."""
    if not hasattr(os, "setxattr"):
        return False
    try:
        os.setxattr(folder, _NAME, b"{}")
    except OSError:
        return False
    return True


def label(descriptor: int, record: StoredFile) -> bool:
    """Write down on an open file what is known of it; return False where that is too much.

    Raises:
        OSError: the disk does not take it.
    """
    content = json.dumps(record.to_json()).encode()
    if len(content) > _LARGEST:
        return False
    os.setxattr(descriptor, _NAME, content)
    return True


def read_label(path: Path) -> StoredFile | None:
    """Return what is known of a file by its label, None if it has none that can be read."""
    if not hasattr(os, "getxattr"):
        return None
    try:
        return StoredFile.from_json(json.loads(os.getxattr(path, _NAME)))
    except (OSError, ValueError, TypeError):
        return None


def relabel(path: Path, record: StoredFile) -> None:
    """Change the label of a file that has one.

    Raises:
        OSError: the disk does not take it.
    """
    if not hasattr(os, "setxattr"):
        return
    try:
        os.setxattr(path, _NAME, json.dumps(record.to_json()).encode(), os.XATTR_REPLACE)
    except OSError as error:
        if error.errno not in _HAS_NONE:
            raise
