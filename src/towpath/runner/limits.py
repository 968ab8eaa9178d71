"""Limits of a runner's process, and errors after which it is not to be trusted."""

import resource
from contextlib import suppress

__all__ = ["OUT_OF_MEMORY", "is_gpu_failure", "is_out_of_memory", "set_limits"]

OUT_OF_MEMORY = "oom"
"""The error_type of an answer that there was no memory for."""
_GPU_WORDS = ("cuda", "cudnn", "nccl", "nvml", "cublas", "cufft", "cusolver", "cusparse", "triton")
_OTHERS = (ValueError, TypeError, LookupError, OSError, ImportError, AttributeError)


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
    return isinstance(error, MemoryError) or (
        is_gpu_failure(error) and "out of memory" in str(error).lower()
    )


def is_gpu_failure(error: BaseException) -> bool:
    """Return whether an error is the GPU's: its context is broken then, for all that follows."""
    if isinstance(error, _OTHERS):
        return False  # they name a GPU's things without being its own
    text = f"{type(error).__name__} {error}".lower()
    return any(word in text for word in _GPU_WORDS)
