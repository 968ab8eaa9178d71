import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest

from towpath.engine.machine import Gpu, Machine, choose_type, list_gpus, objection
from towpath.errors import AppDefinitionError
from towpath.runner.wire import AppSpec

SPEC = AppSpec("a.py::A", "a", None, "", ("S",), None, 5, 5, ("/",))
A100 = [Gpu(f"GPU-{n}", "NVIDIA A100-SXM4-80GB") for n in range(4)]
MIXED = [*A100[:1], Gpu("GPU-h", "NVIDIA H100 PCIe")]


@pytest.mark.parametrize(
    ("machine", "number", "gpus", "chosen"),
    [
        (("S",), None, [], "S"),
        (("XL",), None, A100, "XL"),
        (("GPU",), None, A100, "GPU"),
        (("GPU-A100",), None, A100, "GPU-A100"),
        (("GPU-A100",), 4, A100, "GPU-A100"),
        (("GPU-A100",), 5, A100, None),
        (("GPU-A100",), None, [], None),
        (("GPU-H100", "GPU-A100"), None, A100, "GPU-A100"),
        (("GPU-H100", "GPU-A100"), None, MIXED, "GPU-H100"),
        (("GPU-H200", "S"), None, [], "S"),
        (("S",), 2, [], None),
        (("quantum",), None, A100, None),
    ],
)
def test_the_first_machine_type_that_is_here(machine, number, gpus, chosen) -> None:
    spec = replace(SPEC, machine_type=machine, num_gpus=number)
    assert choose_type(spec, gpus) == chosen
    assert (objection(spec, gpus) is None) is (chosen is not None)


def test_a_wish_that_cannot_be_granted_is_one_warning_or_a_refusal(caplog) -> None:
    spec = replace(SPEC, machine_type=("GPU-A100",), num_gpus=2)
    easy = Machine([], is_strict=False)
    easy.check(spec)
    easy.check(spec)
    assert len(caplog.records) == 1
    assert "asks for 2 x GPU-A100; this machine has no GPU" in caplog.text
    assert easy.take(spec) == ()
    with pytest.raises(AppDefinitionError, match="without --strict-machine"):
        Machine(A100[:1], is_strict=True).check(spec)
    Machine(A100, is_strict=True).check(spec)


def test_each_runner_gets_gpus_of_its_own_as_long_as_there_are_some() -> None:
    machine = Machine(A100, is_strict=False)
    spec = replace(SPEC, machine_type=("GPU-A100",), num_gpus=2)
    first, second = machine.take(spec), machine.take(spec)
    assert len({*first, *second}) == 4
    machine.give_back(first)
    assert machine.take(spec) == first
    assert machine.most(spec) == 2
    assert machine.most(SPEC) is None
    assert machine.most(replace(spec, num_gpus=9)) is None


def test_gpus_are_listed_by_the_library_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    class NVMLError(Exception):
        pass

    library = SimpleNamespace(
        NVMLError=NVMLError,
        nvmlInit=lambda: None,
        nvmlDeviceGetCount=lambda: 1,
        nvmlDeviceGetHandleByIndex=lambda index: index,
        nvmlDeviceGetUUID=lambda _: b"GPU-x",
        nvmlDeviceGetName=lambda _: "NVIDIA L4",
    )
    monkeypatch.setitem(sys.modules, "pynvml", library)
    assert list_gpus() == [Gpu("GPU-x", "NVIDIA L4")]

    def broken() -> None:
        raise NVMLError

    library.nvmlInit = broken
    assert list_gpus() == []
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert list_gpus() == []
