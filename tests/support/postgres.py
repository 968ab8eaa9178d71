"""A PostgreSQL server of the test's own."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import create_engine, text


def _user() -> dict[str, str]:
    """Return as whom it runs: root may not."""
    return {"user": "postgres"} if os.geteuid() == 0 else {}


class Postgres:
    """A server that can be stopped and started again.

    Attributes:
        url: of its empty database.
    """

    def __init__(self, command: str, folder: str, port: int) -> None:
        self.url = f"postgresql+psycopg://postgres@127.0.0.1:{port}/postgres"
        self._words = [command, "-D", f"{folder}/data", "-p", str(port)]
        self._words += ["-h", "127.0.0.1", "-k", folder]
        self._quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": folder}

    def start(self) -> None:
        self._process = subprocess.Popen(self._words, **self._quiet, **_user())
        _ready(self.url)

    def stop(self) -> None:
        """Break all connections off."""
        self._process.send_signal(signal.SIGINT)
        self._process.wait()

    def restart(self) -> None:
        self.stop()
        self.start()


@contextmanager
def running_postgres() -> Iterator[Postgres]:
    """Run a server on a free port."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    command = str(found[-1]) if found else shutil.which("postgres")
    assert command, "Debian has it: apt-get install postgresql"
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="towpath-postgres-") as folder:
        if _user():
            owner = pwd.getpwnam("postgres")
            os.chown(folder, owner.pw_uid, owner.pw_gid)
        subprocess.run(
            [
                str(Path(command).with_name("initdb")),
                "-D",
                f"{folder}/data",
                "-U",
                "postgres",
                "-A",
                "trust",
                "-N",
            ],
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=folder,
            **_user(),
        )
        server = Postgres(command, folder, port)
        server.start()
        try:
            yield server
        finally:
            server.stop()


@contextmanager
def postgres() -> Iterator[str]:
    """Run a server on a free port; give the URL of an empty database."""
    with running_postgres() as server:
        yield server.url


def _ready(url: str) -> str:
    """Wait until the server answers."""
    engine = create_engine(url)
    try:
        for _ in range(300):
            try:
                with engine.connect() as connection:
                    connection.execute(text("SELECT 1"))
            except Exception:
                time.sleep(0.1)
            else:
                return url
    finally:
        engine.dispose()
    raise TimeoutError
