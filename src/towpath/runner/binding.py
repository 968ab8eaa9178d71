"""Endpoints -> FastAPI routes: the author's signature decides where each parameter comes from.

| parameters                       | taken from                                                    |
| one pydantic model               | the whole body; other scalars from the query                  |
| two or more models               | the body, embedded by name; other scalars from the query      |
| scalars, lists, dicts, inputs    | an object in the body by name; a missing one from the query   |
| Request, Header(), Depends() …   | FastAPI's own rules                                           |
"""

import inspect
import types
from collections.abc import Callable, Coroutine, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from fastapi import Body, Query, params
from fastapi.exceptions import FastAPIError
from fastapi.routing import APIRoute
from fastapi.security import SecurityScopes
from pydantic import BaseModel, ConfigDict, Field, create_model
from pydantic.errors import PydanticUserError
from starlette.background import BackgroundTasks
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from typing_extensions import override

from towpath.app.batching import batch_of, single_signature
from towpath.app.definition import BoundEndpoint
from towpath.errors import AppDefinitionError
from towpath.files.file import File
from towpath.runner.bodies import NO_BODY, read_body

__all__ = ["Plan", "http_request", "plan_of", "route_of"]

Handler = Callable[..., Coroutine[Any, Any, Any]]  # Any: the author's values
_request: ContextVar[Request] = ContextVar("towpath_http_request")
_NATIVE = (HTTPConnection, Response, BackgroundTasks, SecurityScopes)


@dataclass(frozen=True, slots=True)
class Plan:
    """How an endpoint's parameters are bound.

    Attributes:
        signature: what FastAPI binds.
        model: the model made of the scalar parameters, under the parameter `body`.
        names: the scalar parameters of that model.
    """

    signature: inspect.Signature
    model: type[BaseModel] | None
    names: tuple[str, ...]

    def arguments(self, bound: Mapping[str, Any]) -> dict[str, Any]:  # Any: the author's values
        """Return what the author's method is called with."""
        if self.model is None:
            return dict(bound)
        given = dict(bound)
        body = given.pop("body")
        return {**given, **{name: getattr(body, f"p_{name}") for name in self.names}}


def plan_of(endpoint: BoundEndpoint) -> Plan:
    """Decide where each parameter of *endpoint* comes from."""
    parameters = _parameters(endpoint)
    native = [p for p in parameters if _is_native(p)]
    models = [p for p in parameters if p not in native and _is_model(p.annotation)]
    values = [p for p in parameters if p not in native and p not in models]
    if not models and values:
        model = _model_of(endpoint, values)
        body = inspect.Parameter("body", inspect.Parameter.KEYWORD_ONLY, annotation=model)
        signature = inspect.Signature([*native, body])
        return Plan(signature, model, tuple(p.name for p in values))
    embed = len(models) > 1
    bound = [_with(p, Body(embed=embed)) for p in models] + [_with(p, Query()) for p in values]
    return Plan(inspect.Signature([*native, *bound]), None, ())


def route_of(endpoint: BoundEndpoint, plan: Plan, handler: Handler) -> APIRoute:
    """Return the POST route of *endpoint*; *handler* is called as the plan's signature says.

    Raises:
        AppDefinitionError: FastAPI cannot serve the signature.
    """
    setattr(handler, "__signature__", plan.signature)  # noqa: B010 - mypy knows no such attribute
    handler.__name__ = endpoint.name
    handler.__doc__ = inspect.getdoc(endpoint.call)
    try:
        return _BodyRoute(
            endpoint.spec.path,
            handler,
            methods=["POST"],
            name=endpoint.name,
            response_model=_response_model(endpoint),
        )
    except (FastAPIError, PydanticUserError, AssertionError) as error:
        reason = str(error).partition("\n")[0]
        message = f"Endpoint {endpoint.name} cannot be served: {reason}"
        raise AppDefinitionError(message) from error


def http_request() -> Request:
    """Return the HTTP request that the running handler works for."""
    return _request.get()


class _BodyRoute(APIRoute):
    """A route whose body is decoded by us, strictly and also from forms and the query."""

    @override
    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Decode, then let FastAPI validate."""
        validated = super().get_route_handler()
        names: tuple[str, ...] | None = getattr(self.endpoint, "__towpath_names__", None)
        optional = self.body_field is not None and not self.body_field.field_info.is_required()
        empty: object = NO_BODY if optional else {}

        async def handle(request: Request) -> Response:
            token = _request.set(request)
            try:
                return await validated(await read_body(request, names, empty=empty))
            finally:
                _request.reset(token)

        return handle


def _parameters(endpoint: BoundEndpoint) -> list[inspect.Parameter]:
    """Return the parameters, annotations resolved, all by keyword."""
    hints = _hints(endpoint)
    found = []
    for parameter in inspect.signature(endpoint.call).parameters.values():
        if parameter.kind in {parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL}:
            message = f"Endpoint {endpoint.name} takes *{parameter.name}; name its parameters."
            raise AppDefinitionError(message)
        annotation = hints.get(parameter.name, Any)
        keyword = inspect.Parameter.KEYWORD_ONLY
        found.append(parameter.replace(annotation=annotation, kind=keyword))
    return found


def _hints(endpoint: BoundEndpoint) -> dict[str, Any]:  # Any: annotations
    """Return the annotations by name, resolved; of a batched endpoint those of one call.

    Raises:
        AppDefinitionError: one cannot be resolved.
    """
    function = endpoint.call
    try:
        if batch_of(function) is None:
            return get_type_hints(function, include_extras=True)
        single = single_signature(function)
    except (NameError, TypeError) as error:
        message = f"An annotation of endpoint {endpoint.name} cannot be resolved: {error}"
        raise AppDefinitionError(message) from error
    hints = {name: parameter.annotation for name, parameter in single.parameters.items()}
    returned = single.return_annotation
    return hints if returned is inspect.Signature.empty else hints | {"return": returned}


def _is_native(parameter: inspect.Parameter) -> bool:
    """Return whether FastAPI's own rules hold for a parameter."""
    marks = (params.Param, params.Body, params.Depends)
    if isinstance(parameter.default, marks):
        return True
    annotation = parameter.annotation
    if get_origin(annotation) is Annotated:
        base, *metadata = get_args(annotation)
        if any(isinstance(item, marks) for item in metadata):
            return True
        annotation = base
    return isinstance(annotation, type) and issubclass(annotation, _NATIVE)


def _is_model(annotation: Any) -> bool:  # noqa: ANN401 - an annotation
    """Return whether an annotation is a pydantic model that is a body; a File is an input."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _is_model(get_args(annotation)[0])
    if origin in {Union, types.UnionType}:
        options = [option for option in get_args(annotation) if option is not type(None)]
        return all(_is_model(option) for option in options)
    is_class = isinstance(annotation, type) and origin is None
    return is_class and issubclass(annotation, BaseModel) and not issubclass(annotation, File)


def _model_of(endpoint: BoundEndpoint, values: list[inspect.Parameter]) -> type[BaseModel]:
    """Return a model with one field for each scalar parameter."""
    fields: dict[str, Any] = {}
    for parameter in values:
        default = ... if parameter.default is parameter.empty else parameter.default
        named: Any = Annotated[parameter.annotation, Field(alias=parameter.name)]
        fields[f"p_{parameter.name}"] = (named, default)
    title = "".join(word.capitalize() for word in endpoint.name.split("_"))
    config = ConfigDict(allow_inf_nan=False, protected_namespaces=())
    try:
        return create_model(f"{title}Input", __config__=config, **fields)
    except PydanticUserError as error:
        reason = str(error).partition("\n")[0]
        message = f"A parameter of endpoint {endpoint.name} cannot be validated: {reason}"
        raise AppDefinitionError(message) from error


def _with(parameter: inspect.Parameter, mark: params.Param | params.Body) -> inspect.Parameter:
    """Return the parameter with FastAPI's mark in its annotation."""
    return parameter.replace(annotation=Annotated[parameter.annotation, mark])


def _response_model(endpoint: BoundEndpoint) -> Any:  # noqa: ANN401 - an annotation
    """Return what the answer is validated and described by; None for answers made by hand."""
    call = endpoint.call
    if inspect.isgeneratorfunction(call) or inspect.isasyncgenfunction(call):
        return None
    annotation = _hints(endpoint).get("return", None)
    if annotation in (None, type(None), Any):
        return None
    options = (annotation, *get_args(annotation))
    if any(isinstance(kind, type) and issubclass(kind, Response) for kind in options):
        return None
    return annotation
