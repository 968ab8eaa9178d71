"""What this machine has, and which of its GPUs a runner gets."""

import importlib
import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from towpath.errors import AppDefinitionError
from towpath.runner.wire import AppSpec

__all__ = ["Gpu", "Machine", "choose_type", "gpus_of", "list_gpus", "objection"]

log = logging.getLogger(__name__)

_DEVICES = ("/dev/nvidia0", "/dev/kfd", "/dev/nvidiactl")
_CPU_TYPES = frozenset({"XS", "S", "M", "L", "XL"})


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU of this machine.

    Attributes:
        uuid: how CUDA calls it.
        name: as its maker does, `NVIDIA A100-SXM4-80GB`.
    """

    uuid: str
    name: str


def list_gpus() -> list[Gpu]:
    """Return the machine's NVIDIA GPUs; none where the driver or `nvidia-ml-py` is missing."""
    try:
        nvml: Any = importlib.import_module("pynvml")
    except ImportError:
        if any(Path(device).exists() for device in _DEVICES):
            log.warning("this machine has a GPU; install nvidia-ml-py to give each runner its own")
        return []
    try:
        nvml.nvmlInit()
        handles = [nvml.nvmlDeviceGetHandleByIndex(i) for i in range(nvml.nvmlDeviceGetCount())]
        return [
            Gpu(_text(nvml.nvmlDeviceGetUUID(handle)), _text(nvml.nvmlDeviceGetName(handle)))
            for handle in handles
        ]
    except nvml.NVMLError as error:
        log.warning("the GPUs cannot be listed", extra={"reason": str(error)})
        return []


def _text(value: bytes | str) -> str:
    """Return what some versions give as bytes."""
    return value.decode() if isinstance(value, bytes) else value


def gpus_of(spec: AppSpec, machine_type: str | None = None) -> int:
    """Return how many GPUs a runner of *spec* is to have, on *machine_type* or its first one."""
    first = machine_type or (spec.machine_type[0] if spec.machine_type else "")
    if spec.num_gpus is not None:
        return spec.num_gpus
    return 1 if first.upper().startswith("GPU") else 0


def choose_type(spec: AppSpec, gpus: Sequence[Gpu]) -> str | None:
    """Return the first of the app's machine types that this machine is, None when it is none.

    `GPU-A100` is a GPU with A100 in its name, `GPU` any; `XS` to `XL` is every machine.
    """
    for wanted in spec.machine_type:
        need = gpus_of(spec, wanted)
        kind = wanted.upper()
        if kind.startswith("GPU"):
            model = kind.removeprefix("GPU").lstrip("-")
            fitting = [gpu for gpu in gpus if model in gpu.name.upper()]
            if len(fitting) >= max(1, need):
                return wanted
        elif kind in _CPU_TYPES and need <= len(gpus):
            return wanted
    return None


def objection(spec: AppSpec, gpus: Sequence[Gpu]) -> str | None:
    """Return what to say about an app that would like another machine, or None."""
    if not spec.machine_type or choose_type(spec, gpus) is not None:
        return None
    listed = " or ".join(spec.machine_type)
    count = f"{spec.num_gpus} x " if spec.num_gpus else ""
    has = ", ".join(sorted({gpu.name for gpu in gpus})) or "no GPU"
    number = f"{len(gpus)} ({has})" if gpus else has
    return f"app {spec.name} asks for {count}{listed}; this machine has {number}"


class Machine:
    """Gives GPUs to runners, those that have the fewest.

    Args:
        gpus: what there is.
        is_strict: whether an app that asks for what is not here is refused.
    """

    def __init__(self, gpus: Sequence[Gpu], *, is_strict: bool) -> None:
        self.gpus = list(gpus)
        self._is_strict = is_strict
        self._used: Counter[str] = Counter()
        self._warned: set[str] = set()

    def check(self, spec: AppSpec) -> None:
        """Warn once that an app runs on what there is.

        Raises:
            AppDefinitionError: the machine lacks what it asks for, and has to have it.
        """
        said = objection(spec, self.gpus)
        if said is None or said in self._warned:
            return
        if self._is_strict:
            raise AppDefinitionError(f"{said}. Run it there, or without --strict-machine.")
        self._warned.add(said)
        log.warning("%s; it runs on what there is", said)

    def most(self, spec: AppSpec) -> int | None:
        """Return how many runners have GPUs of their own; None when it needs none, or has none."""
        need = self._need(spec)
        return len(self.gpus) // need if need and need <= len(self.gpus) else None

    def take(self, spec: AppSpec) -> tuple[str, ...]:
        """Return the GPUs of a new runner."""
        kind = (choose_type(spec, self.gpus) or "").upper()
        model = kind.removeprefix("GPU").lstrip("-") if kind.startswith("GPU") else ""
        fitting = [gpu.uuid for gpu in self.gpus if model in gpu.name.upper()]
        chosen = sorted(fitting, key=lambda uuid: self._used[uuid])[: self._need(spec)]
        self._used.update(chosen)
        return tuple(chosen)

    def give_back(self, uuids: Sequence[str]) -> None:
        """Note that a runner has ended."""
        self._used.subtract(uuids)

    def _need(self, spec: AppSpec) -> int:
        return gpus_of(spec, choose_type(spec, self.gpus))
