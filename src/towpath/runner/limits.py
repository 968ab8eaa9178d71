"""Limits of a runner's process, and errors after which it is not to be trusted."""

import errno
import os
import resource
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from towpath.errors import AppDiskFullError
from towpath.runner.causes import causes_of
from towpath.runner.gpu_errors import is_gpu_out_of_memory

__all__ = ["OUT_OF_MEMORY", "full_disk", "is_out_of_memory", "set_limits"]

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_SQLITE_FULL = 13

OUT_OF_MEMORY = "oom"
"""The error_type of an answer that there was no memory for."""


def set_limits(*, memory: int | None, open_files: int) -> None:
    """Bound this process and its children.

    Args:
        memory: bytes of private memory; None = as the machine allows. Shared libraries and files
            that are mapped do not count, so that CUDA can reserve its addresses.
        open_files: descriptors, within what the system allows.
    """
    if memory is not None:
        resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    most = open_files if hard == resource.RLIM_INFINITY else min(open_files, hard)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether there was no memory for a request, on the machine or its GPU."""
    return isinstance(error, MemoryError) or is_gpu_out_of_memory(error)


def full_disk(error: BaseException) -> AppDiskFullError | None:
    """Return what to say of a full disk, where *error* or what it was raised from tells of one."""
    for each in causes_of(error):
        if getattr(each, "sqlite_errorcode", None) == _SQLITE_FULL:
            return _told_full(None)
        if isinstance(each, OSError) and each.errno in _FULL:
            return _told_full(each.filename)
    return None


def _told_full(name: object) -> AppDiskFullError:
    """Return the error of a file called *name*; the temp folder's, where the system named none."""
    path = Path(os.fsdecode(name)) if isinstance(name, str | bytes) else None
    folder = path.parent if path is not None and path.parent.is_dir() else tempfile.gettempdir()
    return AppDiskFullError(path, free=shutil.disk_usage(folder).free)
