"""Options of an App class: misspelt names and values of a wrong type (trust T54)."""

import pytest

import towpath
from towpath.app.definition import App
from towpath.errors import AppDefinitionError


@pytest.mark.parametrize(
    ("name", "value", "meant"),
    [
        ("machine_tpye", "GPU", "machine_type"),
        ("machinetype", "GPU", "machine_type"),
        ("num_gpu", 2, "num_gpus"),
        ("requirement", ["a"], "requirements"),
        ("keepalive", 5, "keep_alive"),
        ("max_concurency", 2, "max_concurrency"),
        ("startup_time_out", 2, "startup_timeout"),
        ("request_timout", 2.0, "request_timeout"),
        ("set_up", lambda self: None, "setup"),
        ("setpu", lambda self: None, "setup"),
        ("tear_down", lambda self: None, "teardown"),
        ("provide_hint", lambda self: [], "provide_hints"),
    ],
)
def test_an_attribute_that_nearly_is_an_option_is_refused(name, value, meant) -> None:
    with pytest.raises(AppDefinitionError) as refused:
        type("Model", (App,), {name: value})
    assert f"'{name}'" in str(refused.value)
    assert f"Did you mean '{meant}'?" in str(refused.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("tile", 512),
        ("names", ["a"]),
        ("model_name", "x"),
        ("steps", 20),
        ("_machine_tpye", "GPU"),
        ("setup_model", lambda self: None),
        ("healthy", lambda self: True),
        ("load", lambda self: None),
        ("pipeline", None),
        ("device", "cuda"),
    ],
)
def test_an_attribute_of_the_authors_own_is_left_alone(name, value) -> None:
    assert getattr(type("Model", (App,), {name: value}), name) is value


def test_an_endpoint_may_be_named_as_the_author_likes() -> None:
    class Model(App):
        @towpath.endpoint("/")
        def set_up(self) -> str:
            return ""

    assert Model.name == "model"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("keep_alive", "60"),
        ("max_multiplexing", "4"),
        ("max_multiplexing", 1.5),
        ("num_gpus", "two"),
        ("requirements", "numpy"),
        ("machine_type", 5),
        ("startup_timeout", None),
        ("media_expires_in", "2 weeks"),
        ("title", 5),
    ],
)
def test_an_option_of_a_wrong_type_is_refused_as_attribute_and_as_keyword(name, value) -> None:
    with pytest.raises(AppDefinitionError, match=f"Model.{name} cannot be"):
        type("Model", (App,), {name: value})
    with pytest.raises(AppDefinitionError, match=f"Model.{name} cannot be"):
        type("Model", (App,), {}, **{name: value})


def test_options_of_the_declared_types_are_taken() -> None:
    class Model(App, keep_alive=5, requirements=("a",)):
        machine_type = ("GPU-H100", "GPU")
        request_timeout = 2
        media_expires_in = "1d"

    assert Model.keep_alive == 5
