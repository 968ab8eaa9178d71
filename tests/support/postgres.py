"""A PostgreSQL server of the test's own."""

import os
import pwd
import shutil
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


@contextmanager
def postgres() -> Iterator[str]:
    """Run a server on a free port; give the URL of an empty database."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    command = found[-1] if found else shutil.which("postgres")
    assert command, "Debian has it: apt-get install postgresql"
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="towpath-postgres-") as folder:
        if _user():
            owner = pwd.getpwnam("postgres")
            os.chown(folder, owner.pw_uid, owner.pw_gid)
        data, quiet = f"{folder}/data", {"stdout": subprocess.DEVNULL, "cwd": folder, **_user()}
        initdb = str(Path(command).with_name("initdb"))
        subprocess.run(
            [initdb, "-D", data, "-U", "postgres", "-A", "trust", "-N"],
            check=True,
            stderr=subprocess.DEVNULL,
            **quiet,
        )
        process = subprocess.Popen(
            [str(command), "-D", data, "-p", str(port), "-h", "127.0.0.1", "-k", folder],
            stderr=subprocess.DEVNULL,
            **quiet,
        )
        try:
            yield _ready(f"postgresql+psycopg://postgres@127.0.0.1:{port}/postgres")
        finally:
            process.terminate()
            process.wait()


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
