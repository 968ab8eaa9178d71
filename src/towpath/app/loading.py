"""`file.py::Class` or `module:Class` -> App classes."""

import difflib
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from typing_extensions import override

from towpath.app.definition import App, endpoints_of, has_endpoints
from towpath.app.hiding import hiding_hint
from towpath.app.tracebacks import authors_traceback, last_place
from towpath.errors import AppDefinitionError
from towpath.errors.redaction import shown

__all__ = ["AppReference", "check_there", "load_app", "load_apps", "parse_reference"]


@dataclass(frozen=True, slots=True)
class AppReference:
    """Where apps are defined.

    Attributes:
        source: a file, or a dotted module name.
        class_name: one class of it; None = all with endpoints.
    """

    source: str
    class_name: str | None = None

    @property
    def is_file(self) -> bool:
        """Return whether the source is a file."""
        return self.source.endswith(".py")

    @override
    def __str__(self) -> str:
        mark = "::" if self.is_file else ":"
        return f"{self.source}{mark}{self.class_name}" if self.class_name else self.source


def parse_reference(text: str) -> AppReference:
    """Read `file.py`, `file.py::Class`, `module` or `module:Class`."""
    if "::" in text:
        source, _, name = text.partition("::")
    elif not text.endswith(".py"):
        source, _, name = text.partition(":")
    else:
        source, name = text, ""
    return AppReference(source, name or None)


def check_there(reference: AppReference) -> None:
    """Look whether a file is there; modules are looked for where they are imported.

    Raises:
        AppDefinitionError: it is not.
    """
    path = Path(reference.source).absolute()
    if reference.is_file and not path.is_file():
        raise AppDefinitionError(_no_file(reference.source, path))


def load_apps(reference: AppReference) -> list[type[App]]:
    """Return the App classes that *reference* names, in their order in the file.

    Raises:
        AppDefinitionError: there is no such file or class, it cannot be imported, or it declares
            nothing that can be served.
    """
    module = _load_file(reference.source) if reference.is_file else _import(reference.source)
    if reference.class_name is not None:
        found = getattr(module, reference.class_name, None)
        if not isinstance(found, type) or not issubclass(found, App):
            here = [kind.__name__ for kind in _apps_in(module)]
            hint = _near(reference.class_name, here)
            message = (
                f"{reference.source} has no App {shown(reference.class_name)!r}.{hint} "
                f"Apps: {', '.join(here) or 'none'}."
            )
            raise AppDefinitionError(message)
        endpoints_of(found)
        return [found]
    apps = [kind for kind in _apps_in(module) if _is_served(kind)]
    if not apps:
        raise AppDefinitionError(_no_app(reference.source, _apps_in(module)))
    return apps


def load_app(reference: AppReference) -> type[App]:
    """Return the one App class of *reference*."""
    return load_apps(reference)[0]


def _apps_in(module: ModuleType) -> list[type[App]]:
    """Return the App classes that the module itself defines."""
    return [
        value
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, App)
        and value.__module__ == module.__name__
    ]


def _no_app(source: str, kinds: Sequence[type[App]]) -> str:
    """Say what the author has to write before there is something to serve."""
    if not kinds:
        return (
            f"{source} defines no towpath.App with an endpoint. Write class Name(towpath.App) with "
            "a method marked by @towpath.endpoint('/')."
        )
    try:
        line = f", line {inspect.getsourcelines(kinds[0])[1]}"
    except (OSError, TypeError):
        line = ""
    return (
        f"{source}{line}: {kinds[0].__name__} is no towpath.App with an endpoint: it has no method "
        "marked by @towpath.endpoint('/')."
    )


def _is_served(kind: type[App]) -> bool:
    """Return whether a class has endpoints; one without is a base for others.

    Raises:
        AppDefinitionError: it has some that cannot be served together.
    """
    if not has_endpoints(kind):
        return False
    endpoints_of(kind)
    return True


def _load_file(source: str) -> ModuleType:
    """Run a file as a module; its folder is importable, as for `python file.py`."""
    path = Path(source).absolute()
    check_there(AppReference(source))
    name = _module_name(path)
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        message = f"{shown(source)} is not a Python file."
        raise AppDefinitionError(message)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    _add_folders(path.parent)
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise _import_failure(source, error, path.parent) from error
    return module


def _module_name(path: Path) -> str:
    """Return the name of a file's module; it replaces no module of Python's."""
    is_free = path.stem.isidentifier() and path.stem not in sys.stdlib_module_names
    return path.stem if is_free else "app"


def _add_folders(first: Path) -> None:
    """Have modules found in *first* before all others, and in the working folder after them."""
    for position, folder in ((0, first), (len(sys.path) + 1, Path.cwd())):
        if str(folder) not in sys.path:
            sys.path.insert(position, str(folder))


def _no_file(source: str, path: Path) -> str:
    """Say that there is no such file, and which one may be meant."""
    if path.is_dir():
        return f"{shown(source)} is a folder. Give a Python file with a towpath.App in it."
    try:
        beside = [each.name for each in path.parent.glob("*.py")]
    except OSError:
        beside = []
    hint = _near(path.name, beside)
    return f"There is no file {shown(source)}.{hint} Give a Python file with a towpath.App in it."


def _near(given: str, known: Sequence[str]) -> str:
    """Return a question whether a name like *given* is meant, '' if none is like it."""
    near = difflib.get_close_matches(given, known, n=1)
    return f" Did you mean {near[0]}?" if near else ""


def _import(name: str) -> ModuleType:
    """Import a module; the working folder is importable."""
    if not all(part.isidentifier() for part in name.split(".")):
        message = (
            f"{shown(name)!r} is neither a Python file nor a module. Give file.py, "
            "file.py::Class, module or module:Class."
        )
        raise AppDefinitionError(message)
    _add_folders(Path.cwd())
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{name}.".startswith(f"{error.name}."):
            raise AppDefinitionError(_no_module(name, error.name)) from None
        raise _import_failure(name, error, Path.cwd()) from error
    except (Exception, SystemExit) as error:
        raise _import_failure(name, error, Path.cwd()) from error


def _no_module(name: str, missing: str) -> str:
    """Say that there is no such module, and which one may be meant."""
    beside = [each.stem for each in Path.cwd().glob("*.py")] if name == missing else []
    which = f"There is no module {missing!r}" + (f" for {name!r}" if name != missing else "")
    return (
        f"{which} in the working folder or among the installed packages.{_near(name, beside)} "
        "Give file.py, file.py::Class, module or module:Class."
    )


def _import_failure(source: str, error: BaseException, folder: Path) -> AppDefinitionError:
    """Say what the author's code raised, and where."""
    place, hint = last_place(error), hiding_hint(error, folder, source)
    if isinstance(error, AppDefinitionError):
        return AppDefinitionError(f"{place}: {error}{hint}" if place else f"{error}{hint}")
    where = f" ({place})" if place else ""
    said = str(error.msg) if isinstance(error, SyntaxError) else shown(str(error))
    if type(error) is ModuleNotFoundError and not hint:
        hint = ' Name its package in the app\'s requirements = ["…"], or install it with pip.'
    stop = "." if hint else ""
    message = f"{source} cannot be imported: {type(error).__name__}: {said}{where}{stop}{hint}"
    return AppDefinitionError(message, traceback=authors_traceback(error))
