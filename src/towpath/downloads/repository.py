"""clone_repository: code from a git server, pinned, whole or not at all, kept for all runners."""

import fcntl
import os
import re
import secrets
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from os import PathLike, fspath
from pathlib import Path

from towpath.concurrency import in_thread
from towpath.context import places
from towpath.downloads.cache import evict
from towpath.downloads.git import Git, https_target
from towpath.downloads.landing import unwritable
from towpath.downloads.ledger import Ledger
from towpath.downloads.places import clone_key, facts_dir, key_of, repository_dir, target_folder
from towpath.downloads.reuse import Facts
from towpath.errors import DownloadError, InvalidURLError
from towpath.errors.redaction import shown, shown_url
from towpath.media.names import clean_name
from towpath.settings import active

__all__ = ["clone_repository", "clone_repository_async"]

_COMMIT = re.compile(r"[0-9a-f]{8,64}")
_MOST_LEVELS = 8
_MOST_SUBMODULES = 100


def clone_repository(
    https_url: str,
    *,
    commit_hash: str | None = None,
    target_dir: str | PathLike[str] | None = None,
    repo_name: str | None = None,
    force: bool = False,
    include_to_path: bool = False,
) -> Path:
    """Clone a git repository, submodules included, and return its folder.

    The folder is `<name>`, or `<name>-<first 8 of the commit>`; it appears when it is whole. It is
    cloned again only when the commit is another one, or without a commit when the remote's head
    has moved. Git reaches only addresses that were judged, and follows no redirects.

    Args:
        https_url: the repository; https only.
        commit_hash: the commit to check out, at least 8 hex digits of it.
        target_dir: where the folder goes; by default a folder that all apps share.
        repo_name: the folder's name, instead of the one made of the URL and the commit.
        force: clone even if it is here already.
        include_to_path: put the folder first on `sys.path`.

    Raises:
        DownloadError: it could not be cloned; its subclasses say why.
        ValueError: the commit or the name cannot be used.
    """
    url = https_target(https_url).url  # what git is given, so that both mean the same host
    commit = _checked_commit(commit_hash)
    folder = _folder(https_url, commit, target_dir, repo_name)
    ledger = Ledger(facts_dir(active().data_dir))
    if _is_of_another(folder, url):
        folder = folder.with_name(f"{folder.name}-{key_of(https_url)[:8]}")
    key = clone_key(folder)
    with ledger.lock(key, lambda: _signs(folder)):
        git = Git(https_url)
        git.check_version()
        git = git.reaching([url])
        if force or not _is_right(git, folder, url, commit):
            _clone(git, folder, url, commit)
        head = _head_of(folder)
        ledger.note(key, folder, Facts(folder.name, 0, 0, head), shown_url(https_url))
    most = active().cache_max_bytes
    if most is not None and folder.parent == repository_dir(active().data_dir):
        evict(most, spared=folder.name)
    if include_to_path and str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    return folder


clone_repository_async = in_thread(clone_repository)


def _checked_commit(commit: str | None) -> str | None:
    """Return the commit in lower case."""
    if commit is not None and not _COMMIT.fullmatch(commit.lower()):
        message = f"commit_hash={shown(commit, 70)!r}; give at least 8 hex digits of a commit"
        raise ValueError(message)
    return commit.lower() if commit is not None else None


def _folder(
    url: str, commit: str | None, target_dir: str | PathLike[str] | None, name: str | None
) -> Path:
    """Return where the clone goes."""
    data_dir = active().data_dir
    root = repository_dir(data_dir)
    if target_dir is not None:
        root = target_folder(fspath(target_dir), data_dir=data_dir, temp=places().temp)
    if name is not None and (clean_name(name) != name or not name):
        message = f"repo_name={shown(name, 70)!r} cannot be the name of a folder"
        raise ValueError(message)
    path = https_target(url).path.partition("?")[0].rstrip("/")
    stem = clean_name(path.rpartition("/")[2].removesuffix(".git")) or "repository"
    return root / (name or (stem if commit is None else f"{stem}-{commit[:8]}"))


def _is_right(git: Git, folder: Path, url: str, commit: str | None) -> bool:
    """Return whether what is here is what is asked for."""
    head = _head_of(folder)
    if head is None:
        return False
    if commit is not None:
        return head.startswith(commit)
    remote = git.run("ls-remote", "--", url, "HEAD")
    return remote.partition("\t")[0] == head


def _clone(git: Git, folder: Path, url: str, commit: str | None) -> None:
    """Clone beside *folder* and put it in its place."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _draft(folder) as draft:
        git.run("clone", "--no-checkout", "--quiet", "--", url, str(draft / "clone"))
        tree = draft / "clone"
        git.run("checkout", "--quiet", "--force", commit or "HEAD", "--", folder=tree)
        _submodules(git, tree, _MOST_LEVELS)
        _put(url, tree, folder)


def _submodules(git: Git, tree: Path, levels: int) -> None:
    """Bring the submodules of *tree*; the hosts of a level are judged before its first packet."""
    if not (tree / ".gitmodules").is_file():
        return
    if not levels:
        raise DownloadError(git.url, f"its submodules nest over {_MOST_LEVELS} deep")
    git = git.pin_submodules(tree, _MOST_SUBMODULES)
    git.run("submodule", "--quiet", "update", "--force", folder=tree)
    for folder in git.submodule_folders(tree):
        _submodules(git, folder, levels - 1)


@contextmanager
def _draft(folder: Path) -> Iterator[Path]:
    """Give a folder beside *folder* for the time of a clone; those of dead processes go."""
    for old in folder.parent.glob(f".{folder.name}.clone-*"):
        with suppress(OSError):
            _remove_if_dead(old)
    draft = folder.with_name(f".{folder.name}.clone-{secrets.token_hex(4)}")
    draft.mkdir()
    descriptor = os.open(draft, os.O_RDONLY | os.O_CLOEXEC)
    try:
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield draft
    finally:
        os.close(descriptor)
        shutil.rmtree(draft, ignore_errors=True)


def _remove_if_dead(draft: Path) -> None:
    """Remove a draft that nobody holds."""
    descriptor = os.open(draft, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(draft, ignore_errors=True)
    finally:
        os.close(descriptor)


def _put(url: str, tree: Path, folder: Path) -> None:
    """Put *tree* in the place of *folder*."""
    trash = folder.with_name(f".trash-{folder.name[:16]}-{time.monotonic_ns()}")
    try:
        if folder.exists():
            folder.rename(trash)
        tree.rename(folder)
    except OSError as error:
        raise unwritable(url, folder, error) from error
    finally:
        shutil.rmtree(trash, ignore_errors=True)


def _is_of_another(folder: Path, url: str) -> bool:
    """Return whether the clone in *folder* is of another repository than *url*."""
    origin = _origin_of(folder)
    try:
        return origin is not None and https_target(origin).url != url
    except InvalidURLError:
        return True


def _origin_of(folder: Path) -> str | None:
    """Return the URL that the clone in *folder* came from, or None when there is none."""
    with suppress(OSError, UnicodeError):
        text = (folder / ".git" / "config").read_text()
        match = re.search(r'\[remote "origin"\][^\[]*?\burl = (\S+)', text)
        return match[1] if match else None
    return None


def _head_of(folder: Path) -> str | None:
    """Return the commit that the clone in *folder* is at, or None."""
    with suppress(OSError, UnicodeError, IndexError):
        head = (folder / ".git" / "HEAD").read_text().strip()
        if not head.startswith("ref: "):
            return head
        return (folder / ".git" / head.removeprefix("ref: ")).read_text().strip()
    return None


def _signs(folder: Path) -> list[int]:
    """Return something that changes while another process clones into *folder*."""
    signs = []
    for draft in folder.parent.glob(f".{folder.name}.clone-*"):
        for path in [draft, *draft.glob("clone/.git/objects/pack/*"), *draft.glob("clone/*")]:
            with suppress(OSError):
                signs.append(path.stat().st_mtime_ns)
    return signs
