"""Repositories over a real git server on loopback, with TLS."""

import os
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import trustme

from towpath import settings as settings_room
from towpath.errors import BlockedAddressError, DownloadError, InvalidURLError
from towpath.toolkit import clone_repository, prune

GIT = {
    "PATH": "/usr/bin:/bin",
    "GIT_AUTHOR_NAME": "a",
    "GIT_AUTHOR_EMAIL": "a@x.test",
    "GIT_COMMITTER_NAME": "a",
    "GIT_COMMITTER_EMAIL": "a@x.test",
    "GIT_CONFIG_GLOBAL": os.devnull,
}


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-c", "init.defaultBranch=main", "-c", "protocol.file.allow=always", *arguments],
        cwd=folder,
        env=GIT,
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()


class Quiet(SimpleHTTPRequestHandler):
    """Serves bare repositories as plain files, and counts."""

    seen: list[str]

    def log_message(self, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        self.seen.append(self.path)
        super().do_GET()


class GitServer:
    """Makes commits and publishes them."""

    def __init__(self, root: Path, port: int, seen: list[str]) -> None:
        self.root, self.port, self.seen = root, port, seen

    def url(self, name: str) -> str:
        return f"https://localhost:{self.port}/{name}.git"

    def commit(self, name: str, **files: str) -> str:
        """Add a commit to the repository *name*; return it."""
        work = self.root / "work" / name
        if not work.exists():
            work.mkdir(parents=True)
            git(work, "init", "--quiet")
        for file, text in files.items():
            (work / file).write_text(text)
        git(work, "add", ".")
        git(work, "commit", "--quiet", "-m", "x")
        self.publish(name)
        return git(work, "rev-parse", "HEAD")

    def publish(self, name: str) -> None:
        bare = self.root / "www" / f"{name}.git"
        if not bare.exists():
            bare.parent.mkdir(parents=True, exist_ok=True)
            git(self.root, "clone", "--quiet", "--bare", str(self.root / "work" / name), str(bare))
        git(self.root / "work" / name, "push", "--quiet", str(bare), "main")
        git(bare, "update-server-info")


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def server(tmp_path: Path, authority: trustme.CA, monkeypatch) -> Iterator[GitServer]:
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    seen: list[str] = []
    handler = type("Handler", (Quiet,), {"seen": seen})
    (tmp_path / "git" / "www").mkdir(parents=True)
    httpd = ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(handler, directory=tmp_path / "git" / "www")
    )
    httpd.handle_error = lambda *_: None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    httpd.socket = context.wrap_socket(httpd.socket, server_side=True)
    threading.Thread(target=httpd.serve_forever, args=(0.02,), daemon=True).start()
    yield GitServer(tmp_path / "git", httpd.server_address[1], seen)
    httpd.shutdown()
    httpd.server_close()


@pytest.fixture(autouse=True)
def settings(data_dir: Path):
    own = settings_room.load(data_dir=data_dir, store_reserve=0, allow_hosts="localhost")
    with settings_room.using(own):
        yield own


def test_a_repository_is_cloned_into_the_folder_of_all_apps(server, data_dir: Path) -> None:
    server.commit("model", code="print(1)")
    path = clone_repository(server.url("model"))
    assert path == data_dir / ".towpath" / "repos" / "model"
    assert (path / "code").read_text() == "print(1)"
    assert sorted(each.name for each in path.parent.iterdir()) == ["model"]


def test_a_commit_is_pinned_and_never_asked_about_again(server, data_dir: Path) -> None:
    first = server.commit("model", code="one")
    server.commit("model", code="two")
    path = clone_repository(server.url("model"), commit_hash=first)
    assert path.name == f"model-{first[:8]}"
    assert (path / "code").read_text() == "one"
    server.seen.clear()
    assert clone_repository(server.url("model"), commit_hash=first[:10]) == path
    assert server.seen == []


def test_without_a_commit_it_is_cloned_again_only_when_the_head_moved(server) -> None:
    server.commit("model", code="one")
    path = clone_repository(server.url("model"))
    mark = path / "mark"
    mark.write_text("x")
    assert clone_repository(server.url("model")) == path
    assert mark.exists()
    server.commit("model", code="two")
    assert (clone_repository(server.url("model")) / "code").read_text() == "two"
    assert not mark.exists()


def test_force_clones_again(server) -> None:
    server.commit("model", code="one")
    path = clone_repository(server.url("model"))
    (path / "mark").write_text("x")
    clone_repository(server.url("model"), force=True)
    assert not (path / "mark").exists()


def test_names_and_folders_can_be_chosen(server, data_dir: Path, monkeypatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    server.commit("model", code="one")
    path = clone_repository(
        server.url("model"), target_dir="src", repo_name="mine", include_to_path=True
    )
    assert path == data_dir / "src" / "mine"
    assert sys.path[0] == str(path)


def test_two_repositories_of_one_name_keep_their_own_code(server) -> None:
    server.commit("one/model", code="1")
    server.commit("two/model", code="2")
    first = clone_repository(server.url("one/model"))
    second = clone_repository(server.url("two/model"))
    assert first.name == "model"
    assert second.name.startswith("model-")
    assert (first / "code").read_text() == "1"
    assert (second / "code").read_text() == "2"
    assert clone_repository(server.url("two/model")) == second


def with_submodule(server: GitServer, url: str, *, outer: str = "outer") -> None:
    """Make a repository *outer* whose submodule has *url*."""
    server.commit("inner", inside="yes")
    server.commit(outer, code="x")
    work = server.root / "work" / outer
    git(work, "submodule", "--quiet", "add", str(server.root / "www" / "inner.git"), "deps/inner")
    git(work, "config", "--file", ".gitmodules", "submodule.deps/inner.url", url)
    server.commit(outer, more="y")


@pytest.fixture
def inside() -> Iterator[tuple[int, list[object]]]:
    """A port of 127.0.0.1 that is not allowed, and the connections that came to it."""
    came: list[object] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        while True:
            try:
                connection, address = listener.accept()
            except OSError:
                return
            came.append(address)
            connection.close()

    thread = threading.Thread(target=accept)
    thread.start()
    yield listener.getsockname()[1], came
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()


def test_submodules_come_along(server) -> None:
    with_submodule(server, "../inner.git")
    path = clone_repository(server.url("outer"))
    assert (path / "deps" / "inner" / "inside").read_text() == "yes"


@pytest.mark.parametrize(
    "url",
    [
        "https://10.0.0.1/x.git",
        "https://127.0.0.1/x.git",
        "file:///etc",
        "ext::sh -c id",
        "http://localhost/x",
    ],
)
def test_submodules_go_through_the_guard_too(server, url: str, data_dir: Path) -> None:
    with_submodule(server, url)
    with pytest.raises((BlockedAddressError, InvalidURLError)):
        clone_repository(server.url("outer"))
    assert list((data_dir / ".towpath" / "repos").iterdir()) == []


@pytest.mark.parametrize(
    "url",
    [
        "../../../127.0.0.1:{port}/x.git",
        "./../../../127.0.0.1:{port}/x.git",
        ".//../../../127.0.0.1:{port}/x.git",
        "../../..//127.0.0.1:{port}/x.git",
        "../../../../127.0.0.1:{port}/x.git",
        "../..//127.0.0.1:{port}/x.git",
        "../../../10.0.0.1/x.git",
        "../../../169.254.169.254/latest.git",
        "../../../../http://127.0.0.1:{port}/x.git",
        "https://127.0.0.1:{port}/x.git",
        "https://localhost:{port}@127.0.0.1:{port}/x.git",
        "https:/127.0.0.1:{port}/x.git",
        "https:127.0.0.1:{port}/x.git",
        "https://0x7f.1:{port}/x.git",
        "HTTPS://127.0.0.1:{port}/x.git",
        "https://127.0.0.1:{port}\\@localhost/x.git",
    ],
)
def test_no_url_of_a_submodule_leads_inside(
    server, inside: tuple[int, list[object]], url: str, data_dir: Path
) -> None:
    """Trust T1: git resolves the URL, and what it would dial is judged before a packet."""
    port, came = inside
    with_submodule(server, url.format(port=port))
    with pytest.raises(DownloadError) as caught:
        clone_repository(server.url("outer"))
    assert came == []
    assert str(data_dir) not in str(caught.value)
    assert list((data_dir / ".towpath" / "repos").iterdir()) == []


def test_a_submodule_of_a_submodule_is_judged_too(
    server, inside: tuple[int, list[object]], data_dir: Path
) -> None:
    """Trust T1, at the second level."""
    port, came = inside
    with_submodule(server, f"../../../127.0.0.1:{port}/x.git", outer="middle")
    server.commit("outer", code="x")
    work = server.root / "work" / "outer"
    git(work, "submodule", "--quiet", "add", str(server.root / "www" / "middle.git"), "middle")
    git(work, "config", "--file", ".gitmodules", "submodule.middle.url", "../middle.git")
    server.commit("outer", more="y")
    with pytest.raises(DownloadError):
        clone_repository(server.url("outer"))
    assert len([path for path in server.seen if path.startswith("/middle.git")]) > 1
    assert came == []
    assert list((data_dir / ".towpath" / "repos").iterdir()) == []


def test_git_is_given_the_host_that_was_judged(server) -> None:
    """Trust T1: Python and curl read some names differently; git gets ours, in ASCII."""
    server.commit("model", code="x")
    path = clone_repository(server.url("model").replace("localhost", "LocalHost."))
    assert git(path, "config", "remote.origin.url") == server.url("model")
    assert clone_repository(server.url("model")) == path
    with_submodule(server, server.url("inner").replace("localhost", "localhost."))
    inner = clone_repository(server.url("outer")) / "deps" / "inner"
    assert git(inner, "config", "remote.origin.url") == server.url("inner")


def test_a_server_sends_git_nowhere_else(server, inside: tuple[int, list[object]]) -> None:
    """Trust T1: alternates of the dumb protocol are not followed."""
    port, came = inside
    server.commit("model", code="x")
    bare = server.root / "www" / "model.git"
    (bare / "objects" / "info" / "http-alternates").write_text(f"https://127.0.0.1:{port}/o\n")
    (bare / "objects" / "info" / "alternates").write_text(f"https://127.0.0.1:{port}/o\n")
    for path in (bare / "objects").glob("??/*"):
        path.unlink()
    with pytest.raises(DownloadError):
        clone_repository(server.url("model"))
    assert came == []


def test_more_submodules_than_allowed_are_refused_before_the_first(server, monkeypatch) -> None:
    from towpath.downloads import repository

    with_submodule(server, "../inner.git")
    monkeypatch.setattr(repository, "_MOST_SUBMODULES", 0)
    server.seen.clear()
    with pytest.raises(DownloadError, match="1 submodules, and 0 are allowed"):
        clone_repository(server.url("outer"))
    assert not [path for path in server.seen if path.startswith("/inner.git")]


def test_force_leaves_the_clone_of_another_repository_alone(server) -> None:
    server.commit("one/model", code="1")
    server.commit("two/model", code="2")
    first = clone_repository(server.url("one/model"))
    second = clone_repository(server.url("two/model"), force=True)
    assert (first / "code").read_text() == "1"
    assert (second / "code").read_text() == "2"


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("https://10.0.0.1/x.git", BlockedAddressError),
        ("https://[::1]/x.git", BlockedAddressError),
        ("http://localhost/x.git", InvalidURLError),
        ("ssh://git@localhost/x.git", InvalidURLError),
        ("file:///etc", InvalidURLError),
        ("--upload-pack=evil", InvalidURLError),
        ("https://user:secret@localhost/x.git", InvalidURLError),
    ],
)
def test_only_https_to_judged_addresses(url: str, error: type[DownloadError]) -> None:
    with pytest.raises(error) as caught:
        clone_repository(url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("commit", ["abc", "zzzzzzzz", "--upload-pack", ""])
def test_a_commit_that_is_none_is_refused(commit: str) -> None:
    with pytest.raises(ValueError, match="commit_hash"):
        clone_repository("https://localhost/x.git", commit_hash=commit)


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".git"])
def test_a_name_that_is_no_folder_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="repo_name"):
        clone_repository("https://localhost/x.git", repo_name=name)


def test_what_does_not_exist_is_a_sentence(server, data_dir: Path) -> None:
    with pytest.raises(DownloadError, match="git says"):
        clone_repository(server.url("nothing"))
    server.commit("model", code="x")
    with pytest.raises(DownloadError, match="git says"):
        clone_repository(server.url("model"), commit_hash="0123456789abcdef")
    assert list((data_dir / ".towpath" / "repos").iterdir()) == []


def test_callers_at_once_clone_once(server) -> None:
    server.commit("model", code="x")
    paths: list[Path] = []
    threads = [
        threading.Thread(target=lambda: paths.append(clone_repository(server.url("model"))))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(paths) == 4
    assert len(set(paths)) == 1
    assert sum(path.endswith("/HEAD") for path in server.seen) <= 4 * 2


def test_drafts_of_dead_processes_go(server, data_dir: Path) -> None:
    server.commit("model", code="x")
    draft = data_dir / ".towpath" / "repos" / ".model.clone-deadbeef"
    draft.mkdir(parents=True)
    clone_repository(server.url("model"))
    assert not draft.exists()


def test_clones_are_evicted_with_the_rest(server) -> None:
    server.commit("model", code="x")
    path = clone_repository(server.url("model"))
    assert prune(max_bytes=0).removed == (path,)
    assert not path.exists()
