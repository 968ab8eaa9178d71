"""Which paths a runner answers at, as its own router sees it."""

import pytest

from towpath.errors import UnknownEndpointError
from towpath.gateway.endpoints import check_endpoint
from towpath.runner.wire import AppSpec

SPEC = AppSpec(
    reference="a.py::A",
    name="a",
    title=None,
    description="",
    machine_type=(),
    num_gpus=None,
    startup_timeout=1,
    grace=1,
    endpoints=("/", "/a", "/b/{name}", "/c/{number:int}", "/d/{rest:path}"),
)


@pytest.mark.parametrize(
    "path",
    ["/", "/a", "/%61", "/b/x", "/b/a%20b", "/c/12", "/d/x/y", "/health", "/openapi.json"],
)
def test_a_path_that_a_runner_answers_is_taken(path: str) -> None:
    check_endpoint(SPEC, path)


@pytest.mark.parametrize(
    "path", ["/nope", "/A", "//a", "/a/b", "/b", "/b/x/y", "/b/x%2Fy", "/c/x", "/d", "/healthy"]
)
def test_any_other_path_is_refused_with_the_list_of_endpoints(path: str) -> None:
    with pytest.raises(UnknownEndpointError, match=r"Endpoints of this app: /, /a, /b/\{name\}"):
        check_endpoint(SPEC, path)
