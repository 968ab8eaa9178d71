"""Which errors are the GPU's (trust T16)."""

import pytest

from towpath.runner.gpu_errors import is_gpu_failure
from towpath.runner.limits import is_out_of_memory


def of_stack(module: str, name: str, base: type[BaseException], text: str) -> BaseException:
    """Return an error as the package *module* raises it, without that package."""
    return type(name, (base,), {"__module__": module})(text)


def raised_from(cause: BaseException) -> BaseException:
    error = RuntimeError("the model failed")
    error.__cause__ = cause
    return error


def raised_beside(context: BaseException) -> BaseException:
    error = RuntimeError("the model failed")
    error.__context__ = context
    return error


ILLEGAL = "CUDA error: an illegal memory access was encountered\nCUDA kernel errors might be"
FULL = "CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has a total capacity of 79.1 GiB"


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError(ILLEGAL),
        RuntimeError("CUDA error: device-side assert triggered"),
        RuntimeError("CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasSgemm(`"),
        RuntimeError("CUDA driver error: device not ready"),
        RuntimeError("cuda runtime error (59) : device-side assert triggered at x.cu:1"),
        RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"),
        RuntimeError("cuFFT error: CUFFT_INTERNAL_ERROR"),
        RuntimeError("cusolver error: CUSOLVER_STATUS_INTERNAL_ERROR, when calling `cusolverDn`"),
        RuntimeError("NCCL error in: ProcessGroupNCCL.cpp:1970, unhandled cuda error"),
        RuntimeError("NCCL Error 1: unhandled cuda error (run with NCCL_DEBUG=INFO for details)"),
        RuntimeError("HIP error: invalid device ordinal"),
        RuntimeError("Triton Error [CUDA]: an illegal memory access was encountered"),
        of_stack("torch", "AcceleratorError", RuntimeError, "CUDA error: unspecified failure"),
        of_stack("torch.distributed", "DistBackendError", RuntimeError, "NCCL error in: a:1"),
        of_stack("cupy_backends.cuda.api.runtime", "CUDARuntimeError", RuntimeError, "cudaError"),
        of_stack("numba.cuda.cudadrv.driver", "CudaAPIError", Exception, "[700] Call to cuMemcpy"),
        of_stack("pycuda._driver", "LaunchError", Exception, "cuCtxSynchronize failed"),
        of_stack("jaxlib._jax", "XlaRuntimeError", RuntimeError, "INTERNAL: CUDA_ERROR_LAUNCH: x"),
        of_stack(
            "onnxruntime.capi.onnxruntime_pybind11_state",
            "Fail",
            Exception,
            "[ONNXRuntimeError] : 1 : FAIL : CUDA failure 700: illegal memory ; GPU=0 ; hostname=a",
        ),
        raised_from(RuntimeError(ILLEGAL)),
        raised_from(raised_from(RuntimeError(ILLEGAL))),
        ExceptionGroup("tasks", [ValueError("x"), RuntimeError(ILLEGAL)]),
    ],
)
def test_trust_t16_what_a_gpu_stack_raises_is_the_gpus(error: BaseException) -> None:
    assert is_gpu_failure(error)
    assert not is_out_of_memory(error)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError(FULL),
        RuntimeError("CUDA error: out of memory"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("HIP out of memory. Tried to allocate 978.00 MiB"),
        RuntimeError("MPS backend out of memory (MPS allocated: 9.00 GB, other allocations: 1 GB"),
        RuntimeError("Triton Error [CUDA]: out of memory"),
        of_stack("torch", "OutOfMemoryError", RuntimeError, FULL),
        of_stack("torch.cuda", "OutOfMemoryError", RuntimeError, FULL),
        of_stack("torch", "AcceleratorError", RuntimeError, "CUDA error: out of memory"),
        of_stack("cupy.cuda.memory", "OutOfMemoryError", MemoryError, "Out of memory allocating 4"),
        of_stack("jaxlib.xla_extension", "XlaRuntimeError", RuntimeError, "RESOURCE_EXHAUSTED: a"),
        of_stack(
            "onnxruntime.capi.onnxruntime_pybind11_state",
            "RuntimeException",
            Exception,
            "[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : Non-zero status code returned while "
            "running Conv node. CUDA failure 2: out of memory ; GPU=0 ; hostname=a",
        ),
        raised_from(RuntimeError(FULL)),
    ],
)
def test_trust_t16_a_gpu_without_memory_is_told_from_a_broken_one(error: BaseException) -> None:
    assert is_gpu_failure(error)
    assert is_out_of_memory(error)


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("the barracuda swims"),
        RuntimeError("no picture of: CUDA error: out of memory"),
        RuntimeError("prompt 'cuda out of memory' was refused"),
        RuntimeError("cudnn failed"),
        RuntimeError("cuda"),
        RuntimeError("CUDA outlet not found"),
        RuntimeError("a triton's nccl, nvml and cublas"),
        RuntimeError("Found no NVIDIA driver on your system."),
        ValueError(ILLEGAL),
        KeyError("CUDA error: out of memory"),
        FileNotFoundError("/opt/cuda/lib"),
        of_stack("app", "CudaError", RuntimeError, "CUDA error: out of memory"),
        of_stack("app", "OutOfMemoryError", RuntimeError, "out of memory"),
        of_stack("torchvision", "AcceleratorError", Exception, "x"),
        of_stack("pynvml", "NVMLError_NotSupported", Exception, "Not Supported"),
        of_stack("triton.runtime.errors", "OutOfResources", Exception, "out of resource: shared"),
        of_stack("jaxlib._jax", "XlaRuntimeError", RuntimeError, "INVALID_ARGUMENT: CUDA_ in text"),
        of_stack("onnxruntime.capi", "InvalidArgument", Exception, "Got invalid dimensions: cuda"),
        raised_beside(RuntimeError(FULL)),
        RuntimeError("plain"),
    ],
)
def test_trust_t16_an_apps_own_words_are_not_the_gpus(error: BaseException) -> None:
    assert not is_gpu_failure(error)
    assert not is_out_of_memory(error)


def test_memory_of_the_machine_is_not_the_gpus() -> None:
    assert is_out_of_memory(MemoryError())
    assert not is_gpu_failure(MemoryError())


def test_errors_raised_from_each_other_in_a_ring_are_judged_too() -> None:
    one, two = RuntimeError("one"), RuntimeError("two")
    one.__cause__, two.__cause__ = two, one
    assert not is_gpu_failure(one)
