"""`python -m towpath.runner`: describe the apps of a file, or serve one of them."""

import argparse
import asyncio
import importlib
import logging
import signal
import socket
import sys
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from starlette.types import ASGIApp

from towpath.app.definition import App, endpoints_of
from towpath.app.hiding import hiding_hint
from towpath.app.hints import endpoint_titles, example_in
from towpath.app.loading import AppReference, load_app, load_apps, parse_reference
from towpath.app.tracebacks import authors_traceback, last_place
from towpath.context import ProcessPlaces, set_places, set_reporter
from towpath.errors import AppDefinitionError, SettingsError
from towpath.errors.redaction import shown
from towpath.memory import freeze_heap
from towpath.runner.containing import contained
from towpath.runner.crashes import record_crashes
from towpath.runner.events import EventPipe
from towpath.runner.forks import Forks, open_descriptors
from towpath.runner.host import AppHost
from towpath.runner.limits import set_limits
from towpath.runner.private_tmp import TMP, is_tmp, mount_private_tmp
from towpath.runner.process import RunnerFolder, use_as_temp, write_json
from towpath.runner.propagation import propagate_context
from towpath.runner.server import create_runner, document_of
from towpath.runner.streams import Output, route_output
from towpath.runner.template import fork_runners
from towpath.runner.uncaught import Uncaught
from towpath.runner.wire import AppSpec
from towpath.settings import Settings, load_given, using
from towpath.storage.hosting import hosting_of, using_hosting
from towpath.web.serving import Listener, ServerGroup, run_loop

_KEEP_ALIVE = 300
_NO_MOUNT = (
    "TOWPATH_PRIVATE_TMP=mount, and this system lets no runner have mounts of its own. Run as "
    "root, allow user namespaces, or set it to env."
)


def main() -> None:
    """Read the arguments that the server gives, and do it."""
    parser = argparse.ArgumentParser(prog="python -m towpath.runner")
    parser.add_argument("reference", nargs="?", help="file.py::Class or module:Class")
    parser.add_argument("--describe", type=int, metavar="FD", help="write the specs to this pipe")
    parser.add_argument("--socket", type=int, metavar="FD", help="serve on this listening socket")
    parser.add_argument("--events", type=int, metavar="FD", help="write events to this pipe")
    parser.add_argument("--owner", default="local")
    parser.add_argument("--hook", help="a module to import before the app")
    parser.add_argument("--template", type=int, metavar="FD", help="fork runners as this says")
    parser.add_argument("--room", help="for the arguments that a fork shows")
    arguments = parser.parse_args()
    if arguments.template is not None:  # what follows is done by its forks
        control = socket.socket(fileno=arguments.template)
        arguments = parser.parse_args(fork_runners(control))
    if arguments.hook:
        importlib.import_module(arguments.hook)
    reference = parse_reference(arguments.reference)
    if arguments.describe is not None:
        _describe(reference, arguments.describe)
    else:
        _serve(reference, arguments)


def _describe(reference: AppReference, pipe: int) -> None:
    """Write the specs of the reference's apps, or why there are none."""
    try:
        specs = [_spec(kind, reference).to_json() for kind in load_apps(reference)]
    except AppDefinitionError as error:
        write_json(pipe, {"error": str(error), "traceback": error.traceback})
    except Exception as error:  # noqa: BLE001 - what the author's classes make the libraries raise
        place = last_place(error)
        said = f"{type(error).__name__}: {shown(str(error))}" + (f" ({place})" if place else "")
        folder = Path(reference.source).absolute().parent if reference.is_file else Path.cwd()
        hint = hiding_hint(error, folder, reference.source)
        message = f"{reference.source} cannot be served: {said}{f'.{hint}' if hint else ''}"
        write_json(pipe, {"error": message, "traceback": authors_traceback(error)})
    else:
        write_json(pipe, {"apps": specs})


def _spec(kind: type[App], reference: AppReference) -> AppSpec:
    """Describe one app, after binding its endpoints: a signature may be one that cannot be."""
    document = document_of(AppHost(kind))
    titles = endpoint_titles(document)
    paths = [endpoint.spec.path for endpoint in endpoints_of(kind)]
    spec = AppSpec.of(kind, str(AppReference(reference.source, kind.__name__)), paths)
    return replace(
        spec,
        titles=tuple(titles.get(path, path) for path in paths),
        example=example_in(document, paths[0]),
        document=document,
    )


def _serve(reference: AppReference, arguments: argparse.Namespace) -> None:
    """Load the app, set it up, serve it until told to stop."""
    settings = load_given()
    folder = RunnerFolder.create(settings.state / "runners")
    record_crashes(folder.crash)
    is_private = _has_own_tmp(folder, reference, settings)
    set_limits(memory=settings.runner_memory_bytes, open_files=settings.runner_open_files)
    _hide_main()
    events = EventPipe(arguments.events, most_bytes=settings.request_log_bytes)
    output = _told(events, settings)
    uncaught = _uncaught(events)
    forks = _forks(events, output, uncaught)
    forks.keep([arguments.socket])
    try:
        _check_private(settings, is_private=is_private)
        freeze_heap()  # not after: what the author's code loads, it may drop
        with contained():
            host = AppHost(load_app(reference))
        owner = f"{arguments.owner}/{host.kind.name}"
        with using(settings), using_hosting(hosting_of(settings, owner=owner)):
            app = create_runner(
                host,
                settings,
                _over(events, output, uncaught),
                events.failed,
                tell_operator=events.tell_operator,
            )
            before = open_descriptors()
            run_loop(
                _run(host, app, arguments.socket, forks=forks, before=before, uncaught=uncaught)
            )
    except Exception as error:  # noqa: BLE001 - the author's code may raise anything
        _write_failure(error, folder)
        sys.exit(1)
    finally:
        uncaught.drain()
        uncaught.remove()  # nothing passes on what comes while Python ends


def _has_own_tmp(folder: RunnerFolder, reference: AppReference, settings: Settings) -> bool:
    """Give the runner a `/tmp` of its own; return whether the system allows it."""
    is_private = settings.private_tmp != "env" and _own_tmp(folder, reference, settings)
    if settings.private_tmp == "auto" and not is_private:
        sys.stderr.write(f"{TMP} is not private on this system; use TMPDIR, {folder.temp}\n")
    mounted = ProcessPlaces(tmp_mount=(TMP, folder.temp))
    set_places(mounted if is_private else ProcessPlaces(temp=folder.temp))
    return is_private


def _write_failure(error: Exception, folder: RunnerFolder) -> None:
    """Write down why the app could not start, for the server and for who reads its log."""
    said = authors_traceback(error) or f"{type(error).__name__}: {error}\n"
    with suppress(OSError):  # the disk is full; the server has the last lines
        folder.failure.write_text(said, errors="replace")
    sys.stderr.write(said)


def _hide_main() -> None:
    """Have children that `multiprocessing` spawns load the app's modules, and not this one.

    It loads the main module in each, because a script's functions are there; an app's are not.
    """
    main_module = sys.modules["__main__"]
    main_module.__spec__ = None
    main_module.__dict__.pop("__file__", None)


def _told(events: EventPipe, settings: Settings) -> Output:
    """Have what requests write, log and say of their progress go to the server."""
    output = route_output(events.log, level=settings.log_level.upper())
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    set_reporter(events.progress)
    propagate_context()
    return output


def _uncaught(events: EventPipe) -> Uncaught:
    """Have the operator told of exceptions that nothing catches."""

    def say(request_id: str, line: str) -> None:
        if request_id:
            events.log(request_id, "STDERR", line)
        else:  # the server gives it to the request at work, if there is only one
            print(line, file=sys.__stderr__)

    uncaught = Uncaught(events.tell_operator, say)
    uncaught.install()
    return uncaught


def _over(events: EventPipe, output: Output, uncaught: Uncaught) -> Callable[[str, bool], None]:
    """Return what tells that a request is over, after all that it wrote."""

    def tell_over(request_id: str, is_traced: bool) -> None:  # noqa: FBT001 - a callback
        uncaught.drain()
        output.finish(request_id)
        (events.end if is_traced else events.forget)(request_id)

    return tell_over


def _forks(events: EventPipe, output: Output, uncaught: Uncaught) -> Forks:
    """Have children that the app's code forks leave what is ours alone."""

    def before() -> None:
        output.flush()
        events.prepare_fork()

    def in_child() -> None:
        output.become_child()
        events.become_child()
        uncaught.remove()

    return Forks(before=before, in_runner=events.hear_children, in_child=in_child)


def _check_private(settings: Settings, *, is_private: bool) -> None:
    """Refuse to start where `/tmp` has to be private and cannot be.

    Raises:
        SettingsError: it is so.
    """
    if settings.private_tmp == "mount" and not is_private:
        raise SettingsError(_NO_MOUNT)


def _own_tmp(folder: RunnerFolder, reference: AppReference, settings: Settings) -> bool:
    """Make the folder's `tmp` this process's `/tmp`, if the system allows it."""
    source = Path(reference.source)
    code = (source, source.parent) if reference.is_file else ()
    python = (Path(sys.prefix), Path(sys.base_prefix), *(Path(p) for p in sys.path if p))
    ours = (settings.data_dir, settings.state, settings.store_dir, *code)
    if any(is_tmp(path) for path in ours):
        return False
    if not mount_private_tmp(folder.temp, (*ours, Path.cwd(), *python)):
        return False
    use_as_temp(TMP)
    return True


async def _run(
    host: AppHost,
    app: ASGIApp,
    descriptor: int,
    *,
    forks: Forks,
    before: Collection[int],
    uncaught: Uncaught,
) -> None:
    """Set up, then serve; a first SIGTERM drains.

    Args:
        host: the app.
        app: what serves it.
        descriptor: the listening socket.
        forks: what children are kept from.
        before: the descriptors that were open before this loop was made; it has the others.
        uncaught: hears of exceptions in this loop's tasks.
    """
    forks.keep(open_descriptors() - set(before))
    forks.note_handlers()
    uncaught.watch(asyncio.get_running_loop())
    await host.setup()
    sock = socket.socket(fileno=descriptor)
    sock.set_inheritable(False)
    grace = host.kind.termination_grace_period_seconds
    listener = Listener(app, sock)
    # The gateway closes idle connections first, so that none is closed under a request.
    group = ServerGroup([listener], grace=grace, keep_alive=_KEEP_ALIVE)

    forks.keep_all(group.descriptors)

    def stop() -> None:
        host.handle_exit()
        group.stop()

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop)
    loop.add_signal_handler(signal.SIGINT, lambda: None)  # Ctrl+C is the server's to handle
    forks.note_handlers()
    await group.serve()


if __name__ == "__main__":
    main()
