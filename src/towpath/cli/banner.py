"""The first lines of `towpath run`: where everything is, how long files live, who may call."""

import shutil
from collections.abc import Mapping

from towpath.cli.tables import size_of
from towpath.gateway.keys import is_fronted, is_operated
from towpath.gateway.server import RunningServer
from towpath.runner.wire import AppSpec
from towpath.settings import Settings

__all__ = ["app_lines", "outcome_line", "server_lines"]

_CLOSED = (
    "Operator    /admin, the operator's page and towpath requests are closed; TOWPATH_ADMIN_TOKEN "
    "opens them"
)


def server_lines(server: RunningServer) -> list[str]:
    """Return what a person wants to know of the server, which answers from now on."""
    settings = server.settings
    lines = [_files_line(server), f"Life        {_life(settings)}", _reach(settings)]
    return lines if is_operated(settings) else [*lines, _CLOSED]


def app_lines(spec: AppSpec, settings: Settings) -> list[str]:
    """Return where an app is, once it was loaded."""
    path = f"{settings.owner}/{spec.name}"
    lines = [f"{spec.title or spec.name}"]
    for endpoint in spec.endpoints:
        below = "" if endpoint == "/" else endpoint
        is_socket = endpoint not in spec.document.get("paths", {})
        origin = settings.origin.replace("http", "ws", 1) if is_socket else settings.origin
        lines.append(f"  API         {origin}/{path}{below}")
    return [*lines, f"  Playground  {settings.origin}/playground/{path}"]


def outcome_line(states: Mapping[str, str], seconds: float) -> str:
    """Say which apps are ready once each was started, or could not be."""
    waiting = [name for name, state in states.items() if state in {"starting", "backoff"}]
    broken = [name for name, state in states.items() if state == "stopped"]
    said = [f"could not start: {', '.join(waiting)}; tried again and again"] if waiting else []
    said += [f"cannot be loaded: {', '.join(broken)}; the log says why"] if broken else []
    ready = len(states) - len(waiting) - len(broken)
    if not said:
        return f"ready in {seconds:.1f} s"
    return f"{ready} of {len(states)} apps ready after {seconds:.1f} s; {'; '.join(said)}"


def _files_line(server: RunningServer) -> str:
    """Say where files go and how much room there is."""
    settings = server.settings
    usage = shutil.disk_usage(settings.store_dir)
    reserve = server.store.blobs.reserve(usage.total)
    where = f"{settings.store_address.shown()}, served below {settings.files_origin}/files/"
    if not server.store.is_local:
        return f"Files       {where}; drafts and index in {settings.store_dir}"
    if usage.free <= reserve:
        return (
            f"Files       {where}  WARNING: nothing can be saved. {size_of(usage.free)} are "
            f"free, and {size_of(reserve)} are to stay free (TOWPATH_STORE_RESERVE)"
        )
    return f"Files       {where}; room for {size_of(usage.free - reserve)}"


def _life(settings: Settings) -> str:
    """Say how long files live."""
    life = settings.media_expires_in
    if life == "never":
        return "files are kept until you delete them (--expires-in 7d changes that)"
    span = f"{life} s" if isinstance(life, int) else life
    return f"files expire {span} after they were made, unless the app or a request says otherwise"


def _reach(settings: Settings) -> str:
    """Say who can reach the server."""
    keys = "with a key" if settings.keys else "without a key"
    address = f"Address     {settings.host} port {settings.port}"
    warning = "" if settings.keys else "  WARNING: everybody who reaches it can run the apps"
    if settings.is_loopback and is_fronted(settings):
        where = "this machine, and whoever the proxy in front passes on, can reach it"
        return f"{address}: {where}, {keys}{warning}"
    if settings.is_loopback:
        return f"{address}: only this machine can reach it, {keys}"
    return f"{address}: PUBLIC, {keys}; file URLs need none{warning}"
