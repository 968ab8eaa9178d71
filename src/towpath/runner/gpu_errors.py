"""Is an error the GPU's own? Pure.

After "CUDA error: an illegal memory access was encountered" the CUDA context of the process is
broken for every call that follows, so that the runner has to be replaced. The naive test, whether
the text holds "cuda", takes an app's own words for the GPU's ("the barracuda swims"). An error is
the GPU's by its type, where a GPU stack has types of its own, or by the exact words with which a
stack's plain RuntimeError begins. The words are those of the sources:

- PyTorch: c10/cuda/CUDAException.cpp, c10/cuda/CUDACachingAllocator.cpp,
  aten/src/ATen/cuda/Exceptions.h, torch/csrc/distributed/c10d/NCCLUtils.hpp
- Triton: third_party/nvidia/backend/driver.c
- XLA: the status codes that jaxlib puts before its messages
- CuPy: cupy_backends/cuda/api/runtime.pyx
- ONNX Runtime: onnxruntime/core/providers/cuda/cuda_call.cc
"""

import re
from collections.abc import Iterator

__all__ = ["is_gpu_failure", "is_gpu_out_of_memory"]

_DEEPEST = 16
_OUT_OF_MEMORY_TYPES = (
    ("torch", "OutOfMemoryError"),  # torch.cuda.OutOfMemoryError is the same class
    ("cupy", "OutOfMemoryError"),
    ("pycuda", "MemoryError"),
)
_FAILURE_TYPES = (
    ("torch", "AcceleratorError"),
    ("torch", "DistBackendError"),
    ("cupy_backends", "CUDARuntimeError"),
    ("cupy_backends", "CUDADriverError"),
    ("cupy_backends", "CUBLASError"),
    ("cupy_backends", "CuDNNError"),
    ("cupy_backends", "CUSOLVERError"),
    ("cupy_backends", "CuSparseError"),
    ("cupy_backends", "NcclError"),
    ("numba", "CudaAPIError"),
    ("pycuda", "LaunchError"),
    ("pycuda", "RuntimeError"),
)
_FAILURE = re.compile(
    r"(?:(?:CUDA|HIP) error: "
    r"|(?:CUDA|HIP) driver error: "
    r"|CUDA unknown error - "
    r"|cuda runtime error \(\d+\)"
    r"|cuDNN error: |MIOpen [Ee]rror: |miopenStatus\w+"
    r"|cuFFT error: |cusolver error: |cusparse error: "
    r"|[NR]CCL [Ee]rror(?: \d+: | in: )"
    r"|Triton Error \[(?:CUDA|HIP|ZE)\]: )"
)
_OUT_OF_MEMORY = re.compile(
    r"(?:(?:CUDA|HIP|XPU) out of memory\. |MPS backend out of memory \("
    r"|(?:CUDA|HIP) (?:driver )?error: out of memory\b"
    r"|Triton Error \[(?:CUDA|HIP|ZE)\]: out of memory\b"
    r"|(?:CUDA|HIP) error: (?:CUBLAS|HIPBLAS)_STATUS_ALLOC_FAILED\b"
    r"|cuDNN error: CUDNN_STATUS_ALLOC_FAILED\b)"
)
_XLA_TYPES = ("XlaRuntimeError", "JaxRuntimeError")
_XLA_FAILURE = re.compile(r"(?:INTERNAL|UNKNOWN|UNAVAILABLE|ABORTED|DATA_LOSS): .*\b(?:CUDA|HIP)_")
_XLA_OUT_OF_MEMORY = re.compile(r"RESOURCE_EXHAUSTED: ")
_ONNX_FAILURE = re.compile(
    r"\[ONNXRuntimeError\] : \d+ : \w+ : .*\b(?:CUDA|CUDNN|CUBLAS|HIP|MIOPEN) failure \d+: ",
    re.DOTALL,
)
_ONNX_OUT_OF_MEMORY = re.compile(r".*\b(?:CUDA|HIP) failure 2: out of memory ;", re.DOTALL)


def is_gpu_failure(error: BaseException) -> bool:
    """Return whether an error, or one that it was raised from, is the GPU's."""
    return any(_is_failure(each) or _is_out_of_memory(each) for each in _told(error))


def is_gpu_out_of_memory(error: BaseException) -> bool:
    """Return whether an error, or one it was raised from, says that the GPU's memory is full."""
    return any(_is_out_of_memory(each) for each in _told(error))


def _told(error: BaseException) -> Iterator[BaseException]:
    """Yield an error, what it was raised from explicitly, and the members of groups.

    What an error happened to be raised beside (`__context__`) may have been handled: an app that
    answers "out of memory" with a smaller batch goes on.
    """
    waiting: list[tuple[BaseException, int]] = [(error, 0)]
    while waiting:
        each, depth = waiting.pop()
        yield each
        if depth < _DEEPEST:
            inner = list(each.exceptions) if isinstance(each, BaseExceptionGroup) else []
            cause = [each.__cause__] if each.__cause__ is not None else []
            waiting += [(one, depth + 1) for one in (*inner, *cause)]


def _is_failure(error: BaseException) -> bool:
    """Return whether one error is the GPU's."""
    if _is_one_of(error, _FAILURE_TYPES):
        return True
    if _is_xla(error):
        return _XLA_FAILURE.match(str(error)) is not None
    if _has_root(error, "onnxruntime"):
        return _ONNX_FAILURE.match(str(error)) is not None
    return type(error) is RuntimeError and _FAILURE.match(str(error)) is not None


def _is_out_of_memory(error: BaseException) -> bool:
    """Return whether one error says that the GPU's memory is full."""
    if _is_one_of(error, _OUT_OF_MEMORY_TYPES):
        return True
    if _is_xla(error):
        return _XLA_OUT_OF_MEMORY.match(str(error)) is not None
    if _has_root(error, "onnxruntime"):
        return _is_failure(error) and _ONNX_OUT_OF_MEMORY.match(str(error)) is not None
    is_plain = type(error) is RuntimeError or _is_one_of(error, _FAILURE_TYPES)
    return is_plain and _OUT_OF_MEMORY.match(str(error)) is not None


def _is_one_of(error: BaseException, types: tuple[tuple[str, str], ...]) -> bool:
    """Return whether an error's class, or a base of it, is one of *types*; imports none."""
    named = {(kind.__module__.partition(".")[0], kind.__name__) for kind in type(error).__mro__}
    return not named.isdisjoint(types)


def _has_root(error: BaseException, root: str) -> bool:
    """Return whether an error's class, or a base of it, is of the package *root*."""
    return any(kind.__module__.partition(".")[0] == root for kind in type(error).__mro__)


def _is_xla(error: BaseException) -> bool:
    """Return whether an error is JAX's: jaxlib.xla_extension or, from 0.5 on, jaxlib._jax."""
    return any(
        _is_one_of(error, ((root, name),)) for root in ("jaxlib", "jax") for name in _XLA_TYPES
    )
