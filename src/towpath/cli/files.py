"""`towpath files`: the store of this machine, its files and their lives."""

import json
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from towpath.cli.tables import ahead, size_of
from towpath.errors import ObjectNotFoundError, SettingsError

if TYPE_CHECKING:
    from towpath.settings import Settings
    from towpath.storage.hosting import Hosting
    from towpath.storage.records import StoredFile

__all__ = ["app"]

app = typer.Typer(
    help="List, save, read and remove the files of this machine's store.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

_HEADER = f"{'ID':32}  {'SIZE':>10}  {'EXPIRES':>8}  {'OWNER':20}  NAME"

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Print ids only.")]
Owner = Annotated[str | None, typer.Option(help="Only the files of this app.")]


@app.command("ls")
def ls(
    *,
    owner: Owner = None,
    expired: Annotated[bool, typer.Option("--expired", help="Those whose life is over.")] = False,
    cursor: Annotated[str | None, typer.Option(help="Go on where the page before ended.")] = None,
    limit: Annotated[int, typer.Option(help="Files of a page, 1 to 1000.")] = 100,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """List files, the oldest first."""
    with _opened() as hosting:
        try:
            page = hosting.store.page(owner=owner, expired=expired, cursor=cursor, limit=limit)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from None
        if as_json:
            items = [hosting.to_json(file) for file in page.files]
            typer.echo(json.dumps({"items": items, "next_cursor": page.cursor}, indent=2))
            return
        if page.files and not quiet:
            typer.echo(_HEADER)
        if not page.files:
            which = f" of {owner}" if owner else ""
            typer.echo(f"no files{which} in {_in_force().store_address.shown()}", err=True)
        for file in page.files:
            typer.echo(file.id if quiet else _line(file))
        if page.cursor is not None:
            typer.echo(f"There are more: --cursor '{page.cursor}'", err=True)


@app.command("put")
def put(
    paths: Annotated[list[str], typer.Argument(help="Local files; - is the standard input.")],
    *,
    expires_in: Annotated[
        str | None, typer.Option(help="Seconds, never, 1h, 1d, 7d, 30d, 1y.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Save files; print the public URL of each."""
    from towpath.files.file import File  # noqa: PLC0415 - loads the toolkit
    from towpath.settings import active, load  # noqa: PLC0415 - as above
    from towpath.storage.hosting import using_hosting  # noqa: PLC0415 - as above

    try:
        settings = active() if expires_in is None else load(media_expires_in=expires_in)
    except SettingsError as error:
        raise typer.BadParameter(f"{expires_in!r}: {error}") from None
    given = settings.media_expires_in
    with _opened() as hosting, using_hosting(hosting):
        for path in paths:
            try:
                file = (
                    File.from_stream(sys.stdin.buffer, expires_in=given)
                    if path == "-"
                    else File.from_path(path, expires_in=given)
                )
            except OSError as error:
                typer.echo(f"{path} cannot be read: {error.strerror}", err=True)
                raise typer.Exit(1) from None
            typer.echo(file.model_dump_json(indent=2) if as_json else file.url)


@app.command("get")
def get(
    url: Annotated[str, typer.Argument(help="A URL of this store, or an id.")],
    *,
    output: Annotated[
        str | None, typer.Option("-o", "--output", help="Where to write it; - is standard output.")
    ] = None,
) -> None:
    """Copy a file out of the store, under its own name unless another is given."""
    with _opened() as hosting:
        record, stream = hosting.open(_id_of(url, hosting))
        with stream:
            if output == "-":
                shutil.copyfileobj(stream, sys.stdout.buffer)
                return
            target = Path(output or record.name or record.id)
            try:
                with target.open("xb") as file:
                    shutil.copyfileobj(stream, file, 1024 * 1024)
            except FileExistsError:
                typer.echo(f"{target} exists; name another with --output.", err=True)
                raise typer.Exit(1) from None
    typer.echo(f"{target}")


@app.command("rm")
def rm(ids: Annotated[list[str], typer.Argument(help="Ids or URLs.")]) -> None:
    """Remove files at once; their URLs answer 404 from then on."""
    failed = False
    with _opened() as hosting:
        for given in ids:
            file_id = _id_of(given, hosting)
            try:
                hosting.store.remove(file_id)
            except ObjectNotFoundError as error:
                typer.echo(f"{error}", err=True)
                failed = True
            else:
                typer.echo(file_id)
    if failed:
        raise typer.Exit(1)


@app.command("prune")
def prune(*, as_json: Json = False) -> None:
    """Free the space of expired files, and of what killed saves left."""
    with _opened() as hosting:
        expired, leftovers = hosting.store.sweep_expired(), hosting.store.recover()
    if as_json:
        typer.echo(json.dumps({"expired": expired, "leftovers": leftovers}))
    else:
        typer.echo(f"{expired} expired files and {leftovers} leftovers removed", err=True)


@app.command("usage")
def usage(*, as_json: Json = False) -> None:
    """Show what the files of each owner take."""
    with _opened() as hosting:
        rows = hosting.store.usage()
    if as_json:
        items = [{"owner": row.owner, "files": row.files, "bytes": row.size} for row in rows]
        typer.echo(json.dumps(items, indent=2))
        return
    if rows:
        typer.echo(f"{'FILES':>8}  {'SIZE':>10}  OWNER")
    for row in rows:
        typer.echo(f"{row.files:>8}  {size_of(row.size):>10}  {row.owner or '(none)'}")
    total = sum(row.size for row in rows)
    typer.echo(f"{sum(row.files for row in rows)} files, {size_of(total)}", err=True)


@contextmanager
def _opened() -> "Iterator[Hosting]":
    """Open the store."""
    from towpath.storage.hosting import hosting_of  # noqa: PLC0415 - loads pydantic

    settings = _in_force()
    hosting = hosting_of(settings, owner=settings.owner)
    try:
        yield hosting
    finally:
        hosting.store.close()


def _in_force() -> "Settings":
    """Return the settings, with the store and the URLs of the server that serves it now."""
    from towpath.settings import active  # noqa: PLC0415 - loads pydantic

    settings = active()
    with suppress(OSError, ValueError, KeyError, TypeError):
        served = json.loads((settings.state / "server.json").read_text())
        update = {"public_url": served["address"], "cdn_url": served["files_address"]}
        update |= {"store": served["store"]} if settings.store is None else {}
        settings = settings.model_copy(update=update)
    return settings


def _id_of(given: str, hosting: "Hosting") -> str:
    """Return the id that a URL of any server on this store, or an id, stands for."""
    return hosting.id_in(given) or given.partition("/files/")[2].partition("/")[0] or given


def _line(file: "StoredFile") -> str:
    """Write a file as a line of the list."""
    life = "kept" if file.expires is None else ahead(file.expires - time.time())
    return f"{file.id}  {size_of(file.size):>10}  {life:>8}  {file.owner:20}  {file.name}"
