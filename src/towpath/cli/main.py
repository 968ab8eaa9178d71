"""`towpath`: the command's tree. Only what `--help` needs is imported here."""

import os
import sys
from contextlib import suppress
from typing import Annotated

import typer

from towpath.cli.cache import app as cache_app
from towpath.cli.files import app as files_app
from towpath.cli.requests import app as requests_app
from towpath.cli.store import app as store_app
from towpath.errors import SettingsError, TowpathError

__all__ = ["app", "run"]

app = typer.Typer(
    name="towpath",
    help="Run apps that take files and give files: behind HTTP, with public file URLs.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


app.add_typer(cache_app, name="cache")
app.add_typer(files_app, name="files")
app.add_typer(requests_app, name="requests")
app.add_typer(store_app, name="store")


def _show_version(wanted: bool) -> None:  # noqa: FBT001 - Typer calls it
    """Print the version and leave."""
    if wanted:
        from importlib.metadata import version  # noqa: PLC0415 - reads a file

        typer.echo(f"towpath {version('towpath')}")
        raise typer.Exit


@app.callback()
def main(
    *,
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            help="Print the version and leave.",
            callback=_show_version,
            is_eager=True,
        ),
    ] = False,
) -> None:
    """Run apps that take files and give files: behind HTTP, with public file URLs."""
    del version  # its callback has done the work


@app.command("run")
def run_apps(  # noqa: PLR0913 - a command has as many parameters as flags
    apps: Annotated[
        list[str],
        typer.Argument(
            help="file.py, file.py::Class or module:Class; several are served together."
        ),
    ],
    *,
    host: Annotated[
        str | None, typer.Option(help="Address to listen on.  [default: 127.0.0.1]")
    ] = None,
    port: Annotated[
        int | None, typer.Option(help="Port to listen on; 0 takes a free one.  [default: 8000]")
    ] = None,
    reload: Annotated[
        bool, typer.Option("--reload", help="Load the code again when it changes.")
    ] = False,
    open_page: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
    no_auth: Annotated[
        bool, typer.Option("--no-auth", help="Let everybody run the apps, on a public address too.")
    ] = False,
    data_dir: Annotated[str | None, typer.Option(help="The folder that all apps share.")] = None,
    state_dir: Annotated[
        str | None, typer.Option(help="What this one server owns; on a local disk.")
    ] = None,
    store: Annotated[
        str | None,
        typer.Option(
            help="Where files are kept: file:///path, s3://bucket/prefix?endpoint=URL, memory://."
        ),
    ] = None,
    public_url: Annotated[
        str | None, typer.Option(help="The prefix of the URLs to hand out.")
    ] = None,
    cdn_port: Annotated[
        int | None, typer.Option(help="Serve files on a port of their own.")
    ] = None,
    scale_to_zero: Annotated[
        bool,
        typer.Option("--scale-to-zero", help="Keep no runner of an app that nobody calls."),
    ] = False,
    strict_machine: Annotated[
        bool,
        typer.Option(
            "--strict-machine", help="Refuse apps that ask for a machine that this one is not."
        ),
    ] = False,
    expires_in: Annotated[
        str | None, typer.Option(help="How long files live: seconds, never, 1h, 1d, 7d, 30d, 1y.")
    ] = None,
) -> None:
    """Serve apps until Ctrl+C."""
    from towpath.cli.serving import serve_apps  # noqa: PLC0415 - loads the server

    flags: dict[str, object] = {
        "host": host,
        "port": port,
        "no_auth": no_auth or None,
        "data_dir": data_dir,
        "state_dir": state_dir,
        "store": store,
        "public_url": public_url,
        "cdn_port": cdn_port,
        "media_expires_in": expires_in,
        "scale_to_zero": scale_to_zero or None,
        "strict_machine": strict_machine or None,
    }
    raise typer.Exit(serve_apps(apps, flags, reload=reload, open_page=open_page))


def run() -> None:
    """Run the command."""
    try:
        app()
    except TowpathError as error:
        typer.echo(f"{error}", err=True)
        sys.exit(2 if isinstance(error, SettingsError) else 1)
    except SystemExit as end:  # the parser's own 1 after a BrokenPipeError
        if not isinstance(end.__context__, BrokenPipeError):
            raise
        _leave_output()  # `| head -2` has read what it wants
    except OSError as error:
        _leave_output()
        where = error.filename or "the output"
        typer.echo(f"{where} cannot be used: {error.strerror or error}.", err=True)
        sys.exit(1)


def _leave_output() -> None:
    """Drop what waits for a full standard output: Python would write it once more at exit."""
    with suppress(OSError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.close(null)
