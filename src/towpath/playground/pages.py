"""Plain pages that say how to call each app."""

from collections.abc import Sequence
from html import escape

from starlette.responses import HTMLResponse, Response

from towpath.runner.wire import AppSpec

__all__ = ["app_page", "home_page"]

_HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}
_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:44rem;margin:3rem auto;padding:0 1rem;"
    "color-scheme:light dark}pre{overflow:auto;padding:1rem;border:1px solid;border-radius:.5rem}"
)


def home_page(owner: str, specs: Sequence[AppSpec]) -> Response:
    """Return the page that lists the apps of this server."""
    items = "".join(
        f'<li><a href="{escape(owner)}/{escape(spec.name)}">{escape(spec.title or spec.name)}</a> '
        f"{escape(spec.description.partition(chr(10))[0])}</li>"
        for spec in specs
    )
    return _page("Apps on this server", f"<ul>{items}</ul>")


def app_page(owner: str, spec: AppSpec, origin: str) -> Response:
    """Return the page of one app: where its endpoints are and how to call them."""
    calls = "".join(
        f"<pre>curl -X POST {escape(origin)}/{escape(owner)}/{escape(spec.name)}"
        f"{escape(path if path != '/' else '')} "
        f"-H 'content-type: application/json' -d '{{…}}'</pre>"
        for path in spec.endpoints
    )
    document = f"{escape(origin)}/{escape(owner)}/{escape(spec.name)}/openapi.json"
    about = f"<p>{escape(spec.description)}</p>" if spec.description else ""
    body = f'{about}{calls}<p>Inputs and outputs: <a href="{document}">{document}</a></p>'
    return _page(spec.title or spec.name, body)


def _page(title: str, body: str) -> Response:
    """Return a page that loads nothing and runs nothing."""
    return HTMLResponse(
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width">'
        f"<style>{_STYLE}</style><h1>{escape(title)}</h1>{body}</html>",
        headers=_HEADERS,
    )
