"""`towpath cache`: what is kept of downloads, and how to be rid of it."""

import json
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from towpath.cli.tables import SPANS, ago, size_of

if TYPE_CHECKING:
    from towpath.downloads.cache import Cached

__all__ = ["app"]

app = typer.Typer(
    help="Show, check and evict downloaded weights and cloned repositories.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

_KEY = 12
_LONGEST_URL = 70

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Print keys only.")]
Filter = Annotated[
    str | None,
    typer.Option("--filter", help="Only those whose key, URL, path or kind holds this text."),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")]


@app.command("ls")
def ls(*, as_json: Json = False, quiet: Quiet = False, text: Filter = None) -> None:
    """List what is kept, the least recently used first."""
    entries = _found(text)
    if as_json:
        typer.echo(json.dumps([_as_json(entry) for entry in entries], indent=2))
        return
    if quiet:
        for entry in entries:
            typer.echo(entry.key)
        return
    if entries:
        typer.echo(f"{'KEY':{_KEY}}  {'KIND':7}  {'SIZE':>10}  {'USED':>8}  URL")
    for entry in entries:
        used = ago(time.time() - entry.used_at)
        where = entry.url[:_LONGEST_URL] or entry.path.name
        line = (
            f"{entry.key[:_KEY]:12}  {entry.kind:7}  {size_of(entry.size):>10}  {used:>8}  {where}"
        )
        typer.echo(line)
    total = sum(entry.size for entry in entries)
    typer.echo(f"{len(entries)} kept, {size_of(total)}", err=True)


@app.command("rm")
def rm(
    keys: Annotated[
        list[str], typer.Argument(help="Keys, or the beginnings of keys, as ls shows.")
    ],
    *,
    dry_run: DryRun = False,
) -> None:
    """Remove entries."""
    from towpath.downloads.cache import remove  # noqa: PLC0415 - loads the toolkit

    failed = False
    for key in keys:
        matching = [entry for entry in _found(None) if entry.key.startswith(key)]
        if len(matching) != 1:
            number = "nothing is" if not matching else f"{len(matching)} entries are"
            typer.echo(f"{number} kept under {key!r}. See towpath cache ls.", err=True)
            failed = True
        elif dry_run or remove(matching[0]):
            typer.echo(f"{matching[0].path}")
        else:
            typer.echo(f"{matching[0].path} is in use or cannot be removed.", err=True)
            failed = True
    if failed:
        raise typer.Exit(1)


@app.command("prune")
def prune_entries(
    *,
    max_bytes: Annotated[
        str | None, typer.Option(help="What may stay: bytes or 20GiB.  [TOWPATH_CACHE_MAX_BYTES]")
    ] = None,
    max_age: Annotated[
        str | None, typer.Option(help="How long unused entries stay: seconds, 12h, 30d.")
    ] = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Evict the least recently used, and leftovers of downloads that broke off."""
    from towpath.downloads.cache import prune  # noqa: PLC0415 - loads the toolkit
    from towpath.settings import active, bytes_of  # noqa: PLC0415 - as above

    most = active().cache_max_bytes if max_bytes is None else _read(bytes_of, max_bytes)
    age = None if max_age is None else _read(_seconds, max_age)
    report = prune(max_bytes=most, max_age=age, dry_run=dry_run)
    if as_json:
        removed = [str(path) for path in report.removed]
        content = {"removed": removed, "freed_bytes": report.freed_bytes, "kept": report.kept}
        typer.echo(json.dumps(content, indent=2))
        return
    for path in report.removed:
        typer.echo(f"{path}")
    word = "would be freed" if dry_run else "freed"
    typer.echo(f"{size_of(report.freed_bytes)} {word}, {report.kept} kept", err=True)


@app.command("verify")
def verify(*, as_json: Json = False) -> None:
    """Hash all weights again; exit 1 when one is damaged."""
    from towpath.downloads.cache import verified  # noqa: PLC0415 - loads the toolkit

    found, rows = set[str](), list[dict[str, object]]()
    for entry, word in verified():
        found.add(word)
        rows.append({**_as_json(entry), "verdict": word})
        if not as_json:
            typer.echo(f"{entry.key[:_KEY]:12}  {word:8}  {entry.path}")
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
    if found & {"damaged", "missing"}:
        typer.echo(
            "Damaged ones: towpath cache rm KEY; the next call fetches them again.", err=True
        )
        raise typer.Exit(1)


@app.command("path")
def path() -> None:
    """Print the folder of all weights."""
    from towpath.downloads.places import model_weights_dir  # noqa: PLC0415 - loads the toolkit
    from towpath.settings import active  # noqa: PLC0415 - as above

    typer.echo(f"{model_weights_dir(active().data_dir)}")


def _found(text: str | None) -> "list[Cached]":
    """Return the entries that a filter leaves."""
    from towpath.downloads.cache import cached  # noqa: PLC0415 - loads the toolkit

    return [
        entry
        for entry in cached()
        if text is None
        or any(text in part for part in (entry.key, entry.url, str(entry.path), entry.kind))
    ]


def _as_json(entry: "Cached") -> dict[str, object]:
    """Return an entry as JSON has it."""
    return {
        "key": entry.key,
        "kind": entry.kind,
        "path": str(entry.path),
        "size": entry.size,
        "used_at": int(entry.used_at),
        "url": entry.url,
    }


def _read(reader: Callable[[str], float], text: str) -> int:
    """Read a flag's value, or end with its error."""
    try:
        return int(reader(text))
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def _seconds(text: str) -> float:
    """Read `3600`, `12h` or `30d` as seconds."""
    number, unit = (text[:-1], text[-1:].lower()) if text[-1:].isalpha() else (text, "s")
    if unit not in SPANS or not number.replace(".", "", 1).isdigit():
        message = f"{text!r} is no time; give seconds, or a number with s, m, h, d or w"
        raise ValueError(message)
    return float(number) * SPANS[unit]
