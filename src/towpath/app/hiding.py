"""Files beside an app that hide a module of Python or of a package.

The folder of an app comes first on `sys.path`, as for `python file.py`, so a `queue.py` in it is
what every `import queue` finds, also one deep in a package. The error is then far from its cause.
"""

import sys
import traceback
from collections.abc import Iterator
from importlib.machinery import PathFinder
from pathlib import Path
from types import ModuleType

__all__ = ["hides", "hiding_hint"]

_PACKAGES = frozenset({"site-packages", "dist-packages"})


def hides(folder: Path, name: str) -> str:
    """Return which module a file *name*.py in *folder* hides; '' if it hides none."""
    if name in sys.stdlib_module_names:
        return f"Python's own module {name}"
    others = [path for path in sys.path if path and Path(path) != folder]
    try:
        spec = PathFinder.find_spec(name, others)
    except (ImportError, OSError, ValueError):
        return ""
    where = Path(spec.origin).parts if spec is not None and spec.origin else ()
    return f"the installed module {name}" if _PACKAGES.intersection(where) else ""


def hiding_hint(error: BaseException, folder: Path, source: str) -> str:
    """Say which file in *folder* hides a module, if that can be why *error* was raised.

    Args:
        error: what an import raised.
        folder: it comes first on `sys.path`.
        source: the file of the app; what it raises itself is no matter of its name.
    """
    met = [path for path in _files_of(error) if path != Path(source).absolute()]
    if name := _missed(error):
        met += [folder / f"{name}.py", folder / name / "__init__.py"]
    for path in met:
        top = path.parent if path.name == "__init__.py" else path
        if top.parent == folder and path.exists() and (hidden := hides(folder, top.stem)):
            return f" {top.name} in {folder} hides {hidden}: rename it."
    return ""


def _files_of(error: BaseException) -> Iterator[Path]:
    """Yield the files that *error* and its causes went through, the last one first."""
    each: BaseException | None = error
    while each is not None:
        if isinstance(each, SyntaxError) and each.filename:
            yield Path(each.filename)
        for frame in reversed(traceback.extract_tb(each.__traceback__)):
            yield Path(frame.filename)
        each = each.__cause__ or each.__context__


def _missed(error: BaseException) -> str:
    """Return the module, less what it is in, that lacks what was asked of it; '' if none does."""
    name: object = getattr(error, "name", None) if isinstance(error, ImportError) else None
    if isinstance(error, AttributeError) and isinstance(error.obj, ModuleType):
        name = error.obj.__name__
    return name.partition(".")[0] if isinstance(name, str) else ""
