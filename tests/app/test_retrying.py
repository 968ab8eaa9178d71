"""How often a request is tried again: what the app declares, and what a header changes."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import towpath
from towpath.app.retrying import MOST_TRIES, RetryBudgets, budgets_in, budgets_of
from towpath.errors import AppDefinitionError
from towpath.runner.wire import AppSpec

DEFAULT = RetryBudgets(server_error=9, timeout=0, connection_error=1)


def test_the_default_budgets_are_those_of_the_documentation() -> None:
    """trust T32, promises 7a, decision 42."""
    assert RetryBudgets() == DEFAULT
    assert budgets_of(None, ()) == DEFAULT


@pytest.mark.parametrize(
    ("config", "skipped", "budgets"),
    [
        ({"timeout": {"retries": 2}}, (), RetryBudgets(9, 2, 1)),
        ({"server_error": {"retries": 0}}, (), RetryBudgets(0, 0, 1)),
        ({"connection_error": {"retries": -3}}, (), RetryBudgets(9, 0, 0)),
        ({"connection_error": {"retries": 99}}, (), RetryBudgets(9, 0, 9)),
        (None, ["server_error"], RetryBudgets(0, 0, 1)),
        ({"timeout": {"retries": 5}}, ("timeout", "connection_error"), RetryBudgets(9, 0, 0)),
    ],
)
def test_an_app_declares_its_budgets(config, skipped, budgets) -> None:
    """trust T32, promises R9 and R10."""
    assert budgets_of(config, skipped) == budgets


@pytest.mark.parametrize(
    "attributes",
    [
        {"retry_config": {}},
        {"retry_config": []},
        {"retry_config": "timeout"},
        {"retry_config": {"timeout": 3}},
        {"retry_config": {"timeout": {"retries": "3"}}},
        {"retry_config": {"timeout": {"retries": True}}},
        {"retry_config": {"timeout": {"retries": 1.0}}},
        {"retry_config": {"timeout": {"retries": 1, "more": 1}}},
        {"retry_config": {"timeout": {}}},
        {"retry_config": {"weather": {"retries": 1}}},
        {"skip_retry_conditions": "timeout"},
        {"skip_retry_conditions": ["weather"]},
        {"skip_retry_conditions": None},
        {"skip_retry_conditions": 3},
    ],
)
def test_junk_in_an_attribute_is_told_to_its_author(attributes) -> None:
    """trust T32, promises 7a: as an attribute and as a keyword of the class."""
    with pytest.raises(AppDefinitionError, match="retry"):
        type("Odd", (towpath.App,), attributes)
    with pytest.raises(AppDefinitionError, match="retry"):
        type("Odd", (towpath.App,), {}, **attributes)


@pytest.mark.parametrize(
    ("header", "budgets"),
    [
        (None, DEFAULT),
        ('{"connection_error":{"retries":4}}', RetryBudgets(9, 0, 4)),
        ('{"timeout": {"retries": 1}, "server_error": {"retries": 2}}', RetryBudgets(2, 1, 1)),
        ('{"timeout": {"retries": 1000}}', RetryBudgets(9, 9, 1)),
        ('{"timeout": {"retries": -1}}', DEFAULT),
        ('{"server_error": 3}', DEFAULT),
        ('{"weather": {"retries": 3}}', DEFAULT),
        ('{"timeout": {"retries": 3}, "weather": {"retries": 3}}', DEFAULT),
        ('{"timeout": {"retries": "3"}}', DEFAULT),
        ("{", DEFAULT),
        ("[]", DEFAULT),
        ("null", DEFAULT),
        ("", DEFAULT),
        ("[" * 900, DEFAULT),
        ('{"timeout": {"retries": 3}}' + " " * 1000, DEFAULT),
    ],
)
def test_a_header_changes_the_budgets_and_junk_does_not(header, budgets) -> None:
    """trust T32, promises R11 and 7a."""
    assert budgets_in(header, DEFAULT) == budgets


def test_a_header_beats_the_app_and_the_app_beats_the_default() -> None:
    """trust T32, promises 7a."""
    app = budgets_of({"server_error": {"retries": 2}, "timeout": {"retries": 3}}, ["timeout"])
    asked = budgets_in('{"timeout": {"retries": 5}}', app)
    assert asked == RetryBudgets(server_error=2, timeout=5, connection_error=1)


@settings(max_examples=30)
@given(st.lists(st.none() | st.integers() | st.text(max_size=5), max_size=3) | st.text())
def test_no_header_raises(value) -> None:
    for header in (value if isinstance(value, str) else "", json.dumps(value)):
        budgets = budgets_in(header, DEFAULT)
        assert max(budgets.server_error, budgets.timeout, budgets.connection_error) < MOST_TRIES


def test_the_server_knows_the_budgets_of_an_app() -> None:
    """trust T32: through the pipe between two processes."""

    class Careful(towpath.App, retry_config={"timeout": {"retries": 2}}):
        skip_retry_conditions = ("server_error",)

        @towpath.endpoint("/")
        def run(self) -> None:
            """Do nothing."""

    spec = AppSpec.of(Careful, "a.py::Careful", ["/"])
    again = AppSpec.from_json(json.loads(json.dumps(spec.to_json())))
    assert again == spec
    assert again.budgets == RetryBudgets(server_error=0, timeout=2, connection_error=1)
