"""Limits of a runner's process, and errors after which it is not to be trusted."""

import resource
from contextlib import suppress

from towpath.runner.gpu_errors import is_gpu_out_of_memory

__all__ = ["OUT_OF_MEMORY", "is_out_of_memory", "set_limits"]

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
