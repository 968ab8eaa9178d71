"""The Playground over HTTP: its pages, and the list of apps that its home page shows."""

from pathlib import PurePosixPath

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from towpath.concurrency import in_thread
from towpath.engine.local import LocalEngine
from towpath.errors import UnknownAppError
from towpath.gateway.keys import origin_of
from towpath.playground.pages import PlaygroundPages
from towpath.runner.wire import AppSpec
from towpath.settings import Settings, s3_endpoint

__all__ = ["PlaygroundRoutes"]

_NOT_FOUND = 404


class PlaygroundRoutes:
    """`/playground/…` and `/apps`.

    Args:
        settings: where we are.
        engine: which apps there are.
    """

    def __init__(self, settings: Settings, engine: LocalEngine) -> None:
        self._settings = settings
        self._engine = engine
        origins = [origin_of(settings.files_origin), *_store_origins(settings)]
        self._pages = PlaygroundPages(origins, most_bytes=settings.max_upload_bytes)

    def routes(self) -> list[BaseRoute]:
        """Return the routes."""
        return [
            Route("/", self._start),
            Route("/apps", self._apps),
            Route("/playground", self._start),
            Route("/playground/", self._page),
            Route("/playground/{name}", self._part),
            Route("/playground/{owner}/{app}", self._app),
            Route("/playground/{owner}/{app}/", self._app),
        ]

    async def _start(self, _: Request) -> Response:
        """Send the browser to a place beside this one: a proxy's prefix stays."""
        return RedirectResponse("playground/")

    async def _page(self, request: Request) -> Response:
        return self._pages.page(request, depth=0)

    async def _part(self, request: Request) -> Response:
        """Give the operator's page, or one of the page's parts."""
        name = request.path_params["name"]
        if name == "admin":
            return self._pages.page(request, depth=0)
        found = await in_thread(self._pages.asset)(request, PurePosixPath(name).name)
        if found is None:
            raise HTTPException(_NOT_FOUND)
        return found

    async def _app(self, request: Request) -> Response:
        """Give the page of an app; of one that is unknown too: it says so."""
        depth = 2 if request.url.path.endswith("/") else 1
        owner, app = request.path_params["owner"], request.path_params["app"]
        try:
            self._engine.spec(owner, app)
        except UnknownAppError:
            return self._pages.page(request, depth=depth, status=_NOT_FOUND)
        # With keys it would be asked for without one, and refused.
        asked = "" if self._settings.keys else f"{owner}/{app}/openapi.json"
        return self._pages.page(request, depth=depth, asked=asked)

    async def _apps(self, _: Request) -> Response:
        """List the apps."""
        return JSONResponse({"apps": [self._json(spec) for spec in self._engine.specs]})

    def _json(self, spec: AppSpec) -> dict[str, object]:
        """Return an app as its callers see it."""
        owner, origin = self._settings.owner, self._settings.origin
        status = self._engine.statuses().get(spec.name)
        counts = {name: getattr(status, name, 0) for name in ("starting", "idle", "busy")}
        counts["backoff"] = int(status is not None and status.state == "backoff")
        titles = zip(spec.endpoints, spec.titles or spec.endpoints, strict=True)
        return {
            "owner": owner,
            "name": spec.name,
            "title": spec.title or spec.name,
            "description": spec.description,
            "endpoints": [{"path": path, "title": title} for path, title in titles],
            "openapi_url": f"{origin}/{owner}/{spec.name}/openapi.json",
            "playground_url": f"{origin}/playground/{owner}/{spec.name}",
            "runners": counts,
            "example": spec.example,
        }


def _store_origins(settings: Settings) -> list[str]:
    """Return where readers of files are sent when those lie in an object store."""
    address = settings.store_address
    if address.scheme != "s3" or settings.store_reads != "redirect":
        return []
    endpoint = address.endpoint or s3_endpoint()
    return [origin_of(endpoint)] if endpoint else ["https://*.amazonaws.com"]
