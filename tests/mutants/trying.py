"""Try mutants: put each into a copy of the checkout and run the fast tests of its room.

The copy has an interpreter of its own, a virtual environment that finds the copy's `src` first and
the project's packages behind it. A PYTHONPATH would not do: some tests start processes with an
environment that they make themselves, and these would run the code that is whole.
"""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from tests.mutants.drawing import Mutant

# What tests read of a checkout.
_PARTS = ("src", "tests", "docs", "examples", "bench", "playground/src", "pyproject.toml")
_PAGES = ("README.md", "CHANGELOG.md", "SECURITY.md", "CONTRIBUTING.md", "hatch_build.py")
# The stories of the gateway go over real sockets, so they are told in the journeys.
_STORIES = {"gateway": ("test_queue.py", "test_endpoints.py")}
_FAILED = re.compile(r"^(?:FAILED|ERROR) (.+?)(?: - .*)?$", re.MULTILINE)
_COLLECTED_NOTHING = 5
_PATIENCE = 1200
_PYTEST = (
    *("-m", "pytest", "-q", "-p", "no:cacheprovider", "-x", "--no-header", "--tb=no"),
    *("-o", "timeout=60"),
)


class Tree:
    """A copy of the checkout that mutants may be put into.

    Args:
        root: the checkout.
        python: the interpreter that has the project's packages.
        folder: where the copy goes; it must not exist.
    """

    def __init__(self, root: Path, python: Path, folder: Path) -> None:
        self._folder = folder
        _copy(root, folder)
        self._python = _interpreter(folder, python)

    def measure(self, room: str) -> tuple[float, str | None]:
        """Return how long the tests of a room take without a mutant, and the one that fails."""
        began = time.monotonic()
        failed = self._failure(self._tests(room, ""), _PATIENCE)
        return time.monotonic() - began, failed

    def catches(self, given: tuple[Mutant, float]) -> str | None:
        """Return the test that a mutant makes fail within the given seconds; None if none does.

        A test counts when it fails twice, and passes without the mutant right after: a busy
        machine catches no mutant.
        """
        mutant, patience = given
        tests = self._tests(mutant.room, mutant.path)
        while tests:
            with self._mutated(mutant):
                failed = self._failure(tests, patience)
                if failed is None or not failed.startswith("tests/"):
                    return failed
                fails_again = self._failure([failed], patience) is not None
            if fails_again and self._failure([failed], patience) is None:
                return failed
            tests = _after(tests, failed)
        return None

    def _tests(self, room: str, path: str) -> list[str]:
        """Return the test files of a room, those of the module *path* first."""
        name = f"test_{Path(path).stem}"
        files = sorted((self._folder / "tests" / room).glob("test_*.py"))
        files.sort(key=lambda file: not file.stem.startswith(name))
        files += [self._folder / "tests" / "journeys" / story for story in _STORIES.get(room, ())]
        return [str(file.relative_to(self._folder)) for file in files]

    def _failure(self, tests: list[str], patience: float) -> str | None:
        """Run *tests*; return the first that fails, or None if all pass.

        A run that has no end in time has failed.
        """
        process = subprocess.Popen(
            [self._python, *_PYTEST, *tests],
            cwd=self._folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            output, _ = process.communicate(timeout=patience)
        except subprocess.TimeoutExpired:
            return "(no end in time)"
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        if process.returncode in {0, _COLLECTED_NOTHING}:
            return None
        found = _FAILED.search(output)
        return found[1] if found else f"(pytest ended with {process.returncode})"

    @contextlib.contextmanager
    def _mutated(self, mutant: Mutant) -> Iterator[None]:
        """Have the mutant's code in the copy while the block runs."""
        file = self._folder / mutant.path
        whole = file.read_text()
        file.write_text(mutant.code)
        try:
            yield
        finally:
            file.write_text(whole)


def _after(tests: list[str], failed: str) -> list[str]:
    """Return the files that come after the one of the test *failed*."""
    file = failed.partition("::")[0]
    return tests[tests.index(file) + 1 :] if file in tests else []


def _copy(root: Path, folder: Path) -> None:
    """Copy what tests read."""
    leave = shutil.ignore_patterns("__pycache__", "node_modules")
    for part in (*_PARTS, *_PAGES):
        source = root / part
        if source.is_dir():
            shutil.copytree(source, folder / part, ignore=leave)
        else:
            (folder / part).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, folder / part)


def _interpreter(folder: Path, python: Path) -> str:
    """Make a virtual environment: the copy's `src`, then the packages of *python*."""
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    asked = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True)
    packages = Path(asked.stdout.strip())
    home = folder / ".venv"
    subprocess.run([python, "-m", "venv", "--without-pip", home], check=True)
    version = next((home / "lib").iterdir()).name
    paths = f"{folder / 'src'}\nimport site; site.addsitedir({str(packages)!r})\n"
    (home / "lib" / version / "site-packages" / "copy.pth").write_text(paths)
    for program in python.parent.iterdir():
        if not (home / "bin" / program.name).exists():
            (home / "bin" / program.name).symlink_to(program)
    mine = home / "bin" / "python"
    asked = subprocess.run(
        [mine, "-c", "import towpath; print(towpath.__file__)"],
        capture_output=True,
        text=True,
        check=True,
        cwd=folder,
    )
    if not asked.stdout.startswith(str(folder)):
        sys.exit(f"The copy in {folder} runs {asked.stdout.strip()} instead of its own code.")
    return str(mine)
