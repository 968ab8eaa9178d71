"""A whole server on this machine: its state folder, its sockets, its parts, start to stop."""

import asyncio
import fcntl
import json
import logging
import os
import shutil
import uuid
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from urllib.parse import urlsplit

import psutil

from towpath.clock import steady_clock
from towpath.codecs.clips import check_encoder
from towpath.concurrency import in_thread
from towpath.engine.local import LocalEngine
from towpath.engine.template import Templates
from towpath.errors import SettingsError, StateInUseError
from towpath.gateway.descriptors import raise_descriptor_limit
from towpath.gateway.service import Parts, create_file_origin, create_gateway
from towpath.net.listening import Listening, listening
from towpath.queue.opening import open_queue
from towpath.queue.store import RequestQueue
from towpath.settings import Settings
from towpath.storage.file_store import FileStore
from towpath.storage.opening import open_store
from towpath.storage.places import StorePlace, place_of
from towpath.storage.probe import check_usable
from towpath.web.connections import ConnectionLimits, Connections, identifier
from towpath.web.serving import Listener, ServerGroup

__all__ = ["RunningServer", "run_server"]

log = logging.getLogger(__name__)

_FORMAT = "1\n"
_HEALTH = ("health", "ready")
_REMOTE_TYPES = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "ceph", "glusterfs"})


@dataclass(frozen=True, slots=True)
class RunningServer:
    """A server that takes requests.

    Attributes:
        settings: as they are in force: ports are known, URLs are complete.
        engine: what runs the apps.
        store: where files are.
        group: the listeners; stop it to end the server.
    """

    settings: Settings
    engine: LocalEngine
    store: FileStore
    group: ServerGroup


async def run_server(
    references: Sequence[str],
    settings: Settings,
    on_start: Callable[[RunningServer], Awaitable[None]],
    *,
    templates: Templates | None = None,
) -> None:
    """Serve the apps of *references* until the group is stopped.

    Args:
        references: `file.py`, `file.py::Class` or `module:Class`.
        settings: what is asked for.
        on_start: called once when the server takes requests; it runs beside the server.
        templates: what runners are forked from, if other servers of this process use it too; by
            default its own, which end with the server.

    Raises:
        SettingsError: serving with these settings is unsafe or impossible.
        AddressInUseError, StateInUseError: another program is in the way.
        AppError: no app can be served, or two have the same name.
        StoreUnusableError: the store cannot be trusted with files.
    """
    settings.checked_for_serving()
    raise_descriptor_limit()
    with _in_memory(settings) as kept, ExitStack() as stack:
        _prepare(kept)
        await in_thread(check_encoder)(kept.video_encoder)
        if templates is None:
            templates = Templates()
            stack.callback(templates.end)
        await _run_owned(references, kept, on_start, templates)


async def _run_owned(
    references: Sequence[str],
    settings: Settings,
    on_start: Callable[[RunningServer], Awaitable[None]],
    templates: Templates,
) -> None:
    """Take the state folder and the ports, and serve."""
    with (
        _owned(settings),
        listening(settings.host, settings.port) as sock,
        _file_socket(settings) as file_sock,
    ):
        settings = _in_force(settings, sock, file_sock)
        with closing(await in_thread(_opened_queue)(settings)) as queue:
            store = await in_thread(_checked_store)(place_of(settings))
            try:
                engine = LocalEngine((), settings, templates)
                engine.expect(references)
                parts = Parts(settings, engine, store, queue, _worker(settings), _book(settings))
                await _serve(parts, (sock, file_sock), on_start)
            finally:
                store.close()


def _opened_queue(settings: Settings) -> RequestQueue:
    """Open the queue."""
    limit = settings.queue_max_length
    return open_queue(
        settings.database_url,
        steady_clock(),
        max_length=limit,
        reserve=settings.store_reserve,
    )


def _book(settings: Settings) -> Connections:
    """Return the book of all connections, of both ports."""
    limits = ConnectionLimits(
        settings.max_connections, settings.max_client_connections, settings.max_client_silent
    )
    return Connections(limits, identifier(settings.trusted_proxies))


def _worker(settings: Settings) -> str:
    """Return this server's name among those that share a queue: the same after a restart."""
    path = settings.state / "server.id"
    name = path.read_text() if path.exists() else ""
    if not name:
        name = uuid.uuid4().hex
        draft = path.with_suffix(".new")
        try:
            draft.write_text(name)
            draft.replace(path)  # a kill leaves no half of it
        except OSError as error:
            reason = error.strerror or str(error)
            log.warning("cannot be written", extra={"path": str(path), "reason": reason})
    return name


def _checked_store(place: StorePlace) -> FileStore:
    """Open the store; one that others run is tried out first.

    Raises:
        StoreUnusableError: it cannot be used.
    """
    if place.address.scheme != "file":
        check_usable(place)
    return open_store(place)


async def _serve(
    parts: Parts,
    socks: tuple[Listening, Listening | None],
    on_start: Callable[[RunningServer], Awaitable[None]],
) -> None:
    """Put the parts together and serve."""
    settings, engine, store = parts.settings, parts.engine, parts.store
    listeners = [Listener(create_gateway(parts), socks[0])]
    if socks[1] is not None:
        listeners.append(Listener(create_file_origin(settings, store), socks[1]))
    group = ServerGroup(
        listeners,
        grace=partial(_grace, engine),
        trusted_proxies=settings.trusted_proxies,
        connections=parts.connections,
        always=_health_paths(settings),
    )
    server = RunningServer(settings, engine, store, group)
    _note_address(settings)

    async def announce() -> None:
        await group.started()
        await on_start(server)

    async def bring() -> None:
        await group.started()
        try:
            await engine.bring()
        except BaseException:
            group.stop()
            raise

    tasks = [asyncio.create_task(each(), name=each.__name__) for each in (bring, announce)]
    try:
        await group.serve()
    finally:
        for task in tasks:
            task.cancel()
        ends = await asyncio.gather(*tasks, return_exceptions=True)
    for end in ends:
        if isinstance(end, Exception):
            raise end


def _health_paths(settings: Settings) -> list[str]:
    """Return the paths that say how the server is, with and without the public URL's own path."""
    prefix = urlsplit(settings.origin).path.rstrip("/")
    return [f"{start}/{name}" for start in dict.fromkeys(("", prefix)) for name in _HEALTH]


def _note_address(settings: Settings) -> None:
    """Write down where this server answers, for the command's other parts."""
    content = {
        "pid": os.getpid(),
        "address": settings.origin,
        "local_address": settings.local_origin,
        "files_address": settings.files_origin,
        "store": settings.store,
    }
    path = settings.state / "server.json"
    draft = path.with_suffix(".new")
    try:
        draft.touch(mode=0o600)
        draft.write_text(json.dumps(content))
        draft.replace(path)  # a reader finds all of it
    except OSError as error:
        log.warning(
            "cannot be written; other commands do not find this server",
            extra={"path": str(path), "reason": error.strerror or str(error)},
        )


def _grace(engine: LocalEngine) -> float:
    """Return how long the requests at work may take once the server is asked to stop."""
    return max((spec.grace for spec in engine.specs), default=5.0)


# --- folders -------------------------------------------------------------------------------------


def _prepare(settings: Settings) -> None:
    """Make the data and state folders.

    Raises:
        SettingsError: one cannot be written to, or the state would lie on a network disk.
    """
    for name, folder, mode in (
        ("data_dir", settings.data_dir, 0o777),
        ("state_dir", settings.state, 0o700),
    ):
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=mode)
            writable = os.access(folder, os.W_OK | os.X_OK)
        except OSError as error:
            raise _unwritable(name, folder, error.strerror or "it cannot be made") from None
        if not writable:
            raise _unwritable(name, folder, "permission denied")
    kind = _file_system(settings.state)
    if kind in _REMOTE_TYPES or kind.startswith("fuse."):
        reason = (
            f"the state folder {settings.state} lies on {kind}, where locks and SQLite are not "
            "safe. Name a folder on a local disk with --state-dir."
        )
        raise SettingsError(reason)
    marker = settings.data_dir / ".towpath" / "format"
    with suppress(OSError):
        marker.parent.mkdir(exist_ok=True)
        if not marker.exists():
            marker.write_text(_FORMAT)


def _unwritable(name: str, folder: Path, reason: str) -> SettingsError:
    """Say that a folder cannot be used."""
    flag = name.replace("_", "-")
    message = f"{name} {folder} cannot be written to ({reason}). Name another with --{flag}."
    return SettingsError(message)


def _file_system(folder: Path) -> str:
    """Return the type of the file system that *folder* lies on, '' if unknown."""
    best, kind = "", ""
    for partition in psutil.disk_partitions(all=True):
        inside = folder.is_relative_to(partition.mountpoint)
        if inside and len(partition.mountpoint) >= len(best):
            best, kind = partition.mountpoint, partition.fstype
    return kind


@contextmanager
def _owned(settings: Settings) -> Iterator[None]:
    """Hold the state folder; one server at a time.

    Raises:
        StateInUseError: another server holds it.
    """
    path = settings.state / "server.lock"
    try:
        lock = path.open("w")
    except OSError as error:
        raise _unwritable("state_dir", settings.state, error.strerror or str(error)) from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StateInUseError(str(settings.state), _holder(settings.state)) from None
        try:
            yield
        finally:
            (settings.state / "server.json").unlink(missing_ok=True)


def _holder(state: Path) -> str:
    """Return who serves the state folder."""
    try:
        content = json.loads((state / "server.json").read_text())
        return f"pid {content['pid']} at {content['address']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "it is just starting"


@contextmanager
def _file_socket(settings: Settings) -> Iterator[Listening | None]:
    """Listen for the separate file origin, if there is to be one."""
    if settings.cdn_port is None:
        yield None
        return
    with listening(settings.host, settings.cdn_port, flag="--cdn-port") as sock:
        yield sock


def _in_force(settings: Settings, sock: Listening, file_sock: Listening | None) -> Settings:
    """Return the settings with the ports that were really taken."""
    ports: dict[str, object] = {"port": sock.getsockname()[1]}
    if file_sock is not None:
        ports["cdn_port"] = file_sock.getsockname()[1]
    known = settings.model_copy(update=ports)
    update: dict[str, object] = {"public_url": known.origin, "cdn_url": known.files_origin}
    store = known.store or known.store_dir.as_uri()
    return known.model_copy(update=update | {"state_dir": known.state, "store": store})


@contextmanager
def _in_memory(settings: Settings) -> Iterator[Settings]:
    """Give `memory://` a folder in memory, which the runners share, until the server ends."""
    if settings.store_address.scheme != "memory":
        yield settings
        return
    shared = Path("/dev/shm")  # noqa: S108 - a folder of our own is made in it
    memory = shared if shared.is_dir() else Path(gettempdir())
    _sweep_memory(memory)
    with TemporaryDirectory(prefix=f"towpath-{os.getpid()}-", dir=memory) as folder:
        update = {"store": Path(folder).as_uri(), "durability": "process"}
        yield settings.model_copy(update=update)


def _sweep_memory(memory: Path) -> None:
    """Remove what killed servers left in memory."""
    for folder in memory.glob("towpath-*-*"):
        owner = folder.name.split("-")[1]
        with suppress(OSError):
            is_ours = owner.isdigit() and folder.stat().st_uid == os.getuid()
            if is_ours and not psutil.pid_exists(int(owner)):
                shutil.rmtree(folder)
