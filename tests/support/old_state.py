"""What the code of an older commit leaves on the disk, made by running that code."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import trustme

OLD = "9e3a435"
"""The oldest commit whose state every later one opens."""

ROOT = Path(__file__).parents[2]

APP = """
    import os, pathlib, time
    import towpath

    class Keeper(towpath.App):
        @towpath.endpoint("/")
        def make(self, text: str, life: int | None = None) -> towpath.File:
            return towpath.File.from_bytes(
                text.encode(), "text/plain", "naïve note.txt", expires_in=life
            )

        @towpath.endpoint("/told")
        def told(self, name: str) -> dict:
            print(f"about {name}")
            towpath.progress(1, 2, f"half of {name}")
            return {"name": name, "tries": len(self.tried(name))}

        @towpath.endpoint("/code")
        def code(self) -> str:
            return towpath.__file__

        @towpath.endpoint("/fail")
        def fail(self) -> None:
            raise RuntimeError("inner reason")

        @towpath.endpoint("/gate")
        def gate(self, name: str) -> dict:
            tries = self.tried(name)
            while not (self.folder / "open").exists():
                time.sleep(0.01)
            return {"name": name, "tries": len(tries)}

        @property
        def folder(self) -> pathlib.Path:
            return pathlib.Path(os.environ["TOWPATH_DATA_DIR"])

        def tried(self, name: str) -> str:
            with (self.folder / f"tried-{name}").open("a+") as file:
                file.write("x")
                file.seek(0)
                return file.read()
"""

DOWNLOADS = """
import json, sys
from towpath.toolkit import clone_repository, download_file, download_model_weights

given = json.loads(sys.argv[1])
quiet = {"progress": "off"}
made = {name: str(download_model_weights(url, **quiet)) for name, url in given["weights"].items()}
made |= {name: str(download_file(url, "inputs", **quiet)) for name, url in given["files"].items()}
made |= {
    name: str(clone_repository(url, commit_hash=commit))
    for name, (url, commit) in given["clones"].items()
}
print(json.dumps(made))
"""

SETTINGS = """
import json
from towpath.settings import load
print(json.dumps(load().to_environment()))
"""


def old_source(folder: Path) -> Path:
    """Unpack the package of the old commit; return the folder to import it from."""
    packed = subprocess.run(
        ["git", "-C", str(ROOT), "archive", OLD, "src", "docs/reference/settings.md"],
        capture_output=True,
        check=False,
    )
    if packed.returncode != 0:
        pytest.fail(
            f"This test runs the code of commit {OLD}, and git does not have it here "
            f"({packed.stderr.decode(errors='replace').strip()}). In a shallow clone run: "
            "git fetch --unshallow"
        )
    folder.mkdir(parents=True)
    subprocess.run(["tar", "-x", "-C", str(folder)], input=packed.stdout, check=True)
    return folder / "src"


def run_old(source: Path, code: str, *arguments: str, cwd: Path, **env: str) -> Any:
    """Run *code* on the old package; return what it printed, read as JSON."""
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        env={**os.environ, **env, "PYTHONPATH": str(source)},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


class GitHost:
    """One repository of one commit, served over TLS as plain files.

    Attributes:
        commit: its head.
        authority: the file of who signed the certificate.
        seen: the paths that were asked for.
    """

    def __init__(self, folder: Path) -> None:
        self.authority = folder / "ca.pem"
        self.seen: list[str] = []
        bare = folder / "www" / "model.git"
        self.commit = _publish(folder / "work", bare)
        self._serve(folder / "www")

    @property
    def url(self) -> str:
        return f"https://localhost:{self._server.server_address[1]}/model.git"

    def _serve(self, folder: Path) -> None:
        import ssl
        from functools import partial
        from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

        host = self

        class Quiet(SimpleHTTPRequestHandler):
            def log_message(self, *args: object) -> None:
                host.seen.append(self.path)

        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(self.authority))
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert("localhost").configure_cert(context)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder))
        self._server.handle_error = lambda *_: None
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def _publish(work: Path, bare: Path) -> str:
    """Make a repository of one commit; return the commit."""

    def git(*arguments: str) -> str:
        names = {
            f"GIT_{who}_{what}": "a@x.test"
            for who in ("AUTHOR", "COMMITTER")
            for what in ("NAME", "EMAIL")
        }
        done = subprocess.run(
            ["git", "-c", "init.defaultBranch=main", *arguments],
            cwd=work,
            env={"PATH": "/usr/bin:/bin", "GIT_CONFIG_GLOBAL": os.devnull, **names},
            check=True,
            capture_output=True,
            text=True,
        )
        return done.stdout.strip()

    work.mkdir(parents=True)
    (work / "code.py").write_text("print(1)\n")
    git("init", "--quiet")
    git("add", ".")
    git("commit", "--quiet", "-m", "x")
    git("clone", "--quiet", "--bare", str(work), str(bare))
    git("--git-dir", str(bare), "update-server-info")
    return git("rev-parse", "HEAD")
