"""`towpath store`: whether the store can be trusted, and how to put a front before it."""

import json
import secrets
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from towpath.settings import Settings

__all__ = ["app"]

app = typer.Typer(
    help="Check the store, or write the configuration of a server in front of it.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


class Kind(StrEnum):
    """What is put in front."""

    nginx = "nginx"
    caddy = "caddy"


@app.command("check")
def check(*, as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Try the store out with an object of its own; exit 1 if it breaks a promise."""
    from towpath.settings import active  # noqa: PLC0415 - loads pydantic
    from towpath.storage.places import place_of  # noqa: PLC0415 - as above
    from towpath.storage.probe import probe  # noqa: PLC0415 - as above

    place = place_of(active())
    findings = []
    if not as_json:
        typer.echo(f"Store {place.address.shown()}", err=True)
    for finding in probe(place):
        findings.append(finding)
        if not as_json:
            trouble = "" if finding.trouble is None else f": {finding.trouble}"
            word = "ok    " if finding.trouble is None else "FAILED"
            typer.echo(f"{word}  {finding.promise}{trouble}")
    if as_json:
        items = [{"promise": each.promise, "trouble": each.trouble} for each in findings]
        typer.echo(json.dumps(items, indent=2))
    if any(finding.trouble is not None for finding in findings):
        raise typer.Exit(1)


@app.command("front")
def front(kind: Annotated[Kind, typer.Argument(help="What is put in front.")]) -> None:
    """Write the configuration of nginx or Caddy in front of this server on standard output.

    Names come from TOWPATH_PUBLIC_URL and TOWPATH_CDN_URL, the address from TOWPATH_HOST and
    TOWPATH_PORT, the secret by which towpath knows its front from TOWPATH_FRONT_PREFIX, or a new
    one is made.
    """
    from towpath.cdn.fronts import Front, caddyfile, nginx_configuration  # noqa: PLC0415 - rare
    from towpath.settings import active  # noqa: PLC0415 - loads pydantic

    settings = active()
    address = settings.store_address
    known = Front(
        names=_names(settings),
        address=f"{'127.0.0.1' if settings.is_wildcard else settings.host}:{settings.port}",
        folder=settings.store_dir if address.scheme == "file" else None,
        most_bytes=max(settings.max_upload_bytes, settings.max_body_bytes),
        prefix=settings.front_prefix or f"/_towpath-{secrets.token_urlsafe(24)}",
    )
    write = nginx_configuration if kind is Kind.nginx else caddyfile
    typer.echo(write(known), nl=False)


def _names(settings: "Settings") -> tuple[str, ...]:
    """Return the host names that the world uses."""
    from urllib.parse import urlsplit  # noqa: PLC0415 - here only

    urls = [url for url in (settings.public_url, settings.cdn_url) if url]
    found = dict.fromkeys(urlsplit(url).hostname or "" for url in urls)
    return tuple(name for name in found if name) or ("towpath.example.org",)
