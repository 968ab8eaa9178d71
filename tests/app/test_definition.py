import pytest

import towpath
from towpath.app.definition import App, endpoints_of
from towpath.app.endpoints import endpoint
from towpath.app.naming import kebab
from towpath.errors import AppDefinitionError


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("MyModel", "my-model"),
        ("ONNXModel", "onnx-model"),
        ("My2Model", "my2-model"),
        ("Upscale", "upscale"),
        ("SDXLTurbo", "sdxl-turbo"),
        ("my_model", "my-model"),
        ("TextTo3D", "text-to3-d"),
    ],
)
def test_a_class_name_becomes_an_app_name(name: str, expected: str) -> None:
    assert kebab(name) == expected


def test_class_keywords_are_attributes() -> None:
    class Named(App, name="other", keep_alive=300):
        machine_type = "GPU-H100"

    assert (Named.name, Named.keep_alive, Named.machine_type) == ("other", 300, "GPU-H100")

    class Child(Named):
        pass

    assert (Child.name, Child.keep_alive) == ("child", 300)


@pytest.mark.parametrize("name", ["", "Upper", "-x", "a/b", "x" * 64, "ü", "files.x"])
def test_a_name_outside_of_the_grammar_is_refused(name: str) -> None:
    with pytest.raises(AppDefinitionError, match="app name"):
        type("X", (App,), {"name": name})


def test_a_method_called_name_is_explained() -> None:
    with pytest.raises(AppDefinitionError, match="rename the method"):
        type("X", (App,), {"name": lambda self: 1})


def test_an_unknown_option_names_the_nearest() -> None:
    with pytest.raises(AppDefinitionError, match="'machine_type'"):
        type("X", (App,), {}, machine_tipe="S")


@pytest.mark.parametrize("path", ["", "x", "/a b", "/../x", "/health", "/openapi.json", "/ü"])
def test_a_path_that_cannot_be_served_is_refused(path: str) -> None:
    with pytest.raises(AppDefinitionError, match="path"):
        endpoint(path)


def test_a_method_is_an_endpoint_once() -> None:
    with pytest.raises(AppDefinitionError, match="already"):
        endpoint("/b")(endpoint("/a")(lambda self: None))


def test_a_websocket_has_to_be_async() -> None:
    with pytest.raises(AppDefinitionError, match="async"):
        endpoint("/ws", is_websocket=True)(lambda self: None)


def test_endpoints_are_sorted_by_path_and_inherited() -> None:
    class Base(App):
        @endpoint("/b")
        def second(self) -> None: ...

    class Both(Base):
        @endpoint("/a")
        def first(self) -> None: ...

    assert [e.spec.path for e in endpoints_of(Both)] == ["/a", "/b"]


def test_an_app_without_endpoints_can_be_defined_but_not_served() -> None:
    class Nothing(towpath.App):
        pass

    with pytest.raises(AppDefinitionError, match="endpoint"):
        endpoints_of(Nothing)


def test_outside_of_a_request_there_is_none() -> None:
    assert towpath.current_request() is None
