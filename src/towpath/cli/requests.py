"""`towpath requests`: the queue of a running server."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from towpath.cli.servers import local_server

__all__ = ["app"]

_FOLLOW_SECONDS = 0.5
_OVER = "ALREADY_COMPLETED"

app = typer.Typer(
    help="List, follow, cancel and repeat the requests of a running server's queue.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Print ids only.")]
Id = Annotated[str, typer.Argument(metavar="ID")]
ServerUrl = Annotated[
    str | None, typer.Option("--server", metavar="URL", help="The server's address.")
]
Token = Annotated[str | None, typer.Option(help="The server's TOWPATH_ADMIN_TOKEN.")]


@app.command("ls")
def ls(  # noqa: PLR0913 - a command has as many parameters as flags
    *,
    of_app: Annotated[str | None, typer.Option("--app", help="Only of owner/app.")] = None,
    status: Annotated[str | None, typer.Option(help="queued, running or done.")] = None,
    cursor: Annotated[str | None, typer.Option(help="Go on where the page before ended.")] = None,
    limit: Annotated[int, typer.Option(help="Requests of a page, 1 to 1000.")] = 100,
    as_json: Json = False,
    quiet: Quiet = False,
    server: ServerUrl = None,
    token: Token = None,
) -> None:
    """List requests, the newest first."""
    query = {"app": of_app, "status": status, "cursor": cursor, "limit": limit}
    page = _ask(server, token, "GET", "/admin/requests", **query)
    if as_json:
        typer.echo(json.dumps(page, indent=2))
        return
    if page["items"]:
        ids = [item["request_id"] for item in page["items"]]
        typer.echo("\n".join(ids if quiet else _table(page["items"])))
    else:
        typer.echo("no requests", err=True)
    if page["next_cursor"] is not None:
        typer.echo(f"There are more: --cursor {page['next_cursor']}", err=True)


@app.command("show")
def show(
    request_id: Id, *, as_json: Json = False, server: ServerUrl = None, token: Token = None
) -> None:
    """Say where a request stands."""
    found = _ask(server, token, "GET", f"/admin/requests/{request_id}")
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    for name, value in found.items():
        if value is not None:
            typer.echo(f"{name.replace('_', ' '):16} {_shown(value)}")


@app.command("logs")
def logs(
    request_id: Id,
    *,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on until the request is done.")
    ] = False,
    server: ServerUrl = None,
    token: Token = None,
) -> None:
    """Print what a request wrote."""
    asyncio.run(_logs(*_server(server, token), request_id, follow=follow))


@app.command("cancel")
def cancel(request_id: Id, *, server: ServerUrl = None, token: Token = None) -> None:
    """Take a request back, also one that is worked on; exit 1 if it is over already."""
    answer = _ask(server, token, "PUT", f"/admin/requests/{request_id}/cancel")
    typer.echo(answer["status"])
    if answer["status"] == _OVER:
        typer.echo(f"{request_id} is over already; nothing was cancelled.", err=True)
        raise typer.Exit(1)


@app.command("rerun")
def rerun(request_id: Id, *, server: ServerUrl = None, token: Token = None) -> None:
    """Submit a request like an earlier one; print its id."""
    answer = _ask(server, token, "POST", f"/admin/requests/{request_id}/rerun")
    typer.echo(answer["request_id"])


async def _logs(server: str, token: str | None, request_id: str, *, follow: bool) -> None:
    """Print lines as they come."""
    from towpath.net.operator import OperatorClient  # noqa: PLC0415 - takes a while

    first = 0
    async with OperatorClient(server, token) as client:
        while True:
            state = await client.ask("GET", f"/admin/requests/{request_id}")
            path = f"/admin/requests/{request_id}/logs"
            for item in (await client.ask("GET", path, first=first))["items"]:
                first = item["line"] + 1
                typer.echo(f"{item['timestamp']} {item['level']:6} {item['message']}")
            if not follow or state["status"] == "COMPLETED":
                return
            await asyncio.sleep(_FOLLOW_SECONDS)


def _ask(server: str | None, token: str | None, method: str, path: str, **query: object) -> Any:  # noqa: ANN401 - JSON
    """Call the server once."""
    return asyncio.run(_asked(*_server(server, token), method, path, query))


async def _asked(
    server: str, token: str | None, method: str, path: str, query: Mapping[str, object]
) -> Any:  # noqa: ANN401 - JSON
    """Call the server."""
    from towpath.net.operator import OperatorClient  # noqa: PLC0415 - takes a while

    async with OperatorClient(server, token) as client:
        return await client.ask(method, path, **query)


def _server(server: str | None, token: str | None) -> tuple[str, str | None]:
    """Return the server to ask, named or of the state folder, and the token."""
    from towpath.settings import load  # noqa: PLC0415 - takes a while

    settings = load()
    return server or local_server(settings), token or settings.admin_token


def _table(items: Sequence[Mapping[str, Any]]) -> list[str]:  # Any: JSON
    """Return the lines of the list, in columns."""
    rows = [("ID", "SUBMITTED", "APP", "OUTCOME"), *(_row(item) for item in items)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _row(item: Mapping[str, Any]) -> tuple[str, str, str, str]:  # Any: JSON
    """Return what the list has of a request."""
    status = item["status_code"] if item["outcome"] else item["status"]
    outcome = f"{item['outcome'] or ''} {status}".strip()
    return item["request_id"], item["submitted_at"], f"{item['app']}{item['path']}", outcome


def _shown(value: object) -> str:
    """Return a value as one line."""
    return value if isinstance(value, str) else json.dumps(value)
