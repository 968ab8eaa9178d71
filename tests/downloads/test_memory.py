"""Memory stays flat, however large a file is, with sixteen connections at work."""

import socket
import ssl
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import trustme

from towpath.testing.origins import Exchange, origin_of

GIB = 2**30
MOST_MIB = 8
CONNECTIONS = 16
CODE = """
import re, sys
from towpath.toolkit import download_file
def memory(name):
    return int(re.search(name + r":\\s+(\\d+)", open("/proc/self/status").read())[1]) / 1024
before = memory("VmRSS")
path = download_file(sys.argv[1], "in", allow_hosts=["127.0.0.1", "localhost"], progress="off")
print(path.stat().st_size, memory("VmHWM") - before)
"""


class Zeros:
    """Stands for a sparse file on a throttled server: answers any range of it with zeros.

    A connection has some 40 MiB/s, so that one of them is not enough.
    """

    def __init__(self, size: int) -> None:
        self.size = size

    def __call__(self, exchange: Exchange) -> None:
        start, last = exchange.range or (0, None)
        stop = self.size if last is None else last + 1
        fields = {"ETag": '"zeros"', "Accept_Ranges": "bytes", "Content_Length": stop - start}
        if exchange.range is None:
            exchange.head("200 OK", **fields)
        else:
            where = f"bytes {start}-{stop - 1}/{self.size}"
            exchange.head("206 Partial Content", Content_Range=where, **fields)
        block = bytes(1 << 20)
        for at in range(start, stop, len(block)):
            exchange.send(block[: stop - at])
            exchange.wait(0.02)


def grown(size: int, data_dir: Path, authority: trustme.CA | None = None) -> float:
    """Download a file of zeros in a process of its own; return the MiB it needed above imports."""
    data_dir.mkdir(parents=True, exist_ok=True)
    env = {"TOWPATH_DATA_DIR": str(data_dir), "TOWPATH_STORE_RESERVE": "0"}
    scheme, wrap = "http://127.0.0.1", lambda plain: plain
    if authority is not None:
        env["SSL_CERT_FILE"] = str(data_dir / "ca.pem")
        authority.cert_pem.write_to_path(env["SSL_CERT_FILE"])
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert("localhost").configure_cert(context)
        scheme, wrap = "https://localhost", partial(secured, context)
    with origin_of({"/zeros": Zeros(size)}, wrap) as server:
        done = subprocess.run(
            [sys.executable, "-c", CODE, f"{scheme}:{server.port}/zeros"],
            capture_output=True,
            text=True,
            check=True,
            env=env,
        )
    (data_dir / "in" / "zeros").unlink()
    assert len(server.seen) >= CONNECTIONS, "they were all at work"
    got, mib = done.stdout.split()
    assert int(got) == size
    return float(mib)


def secured(context: ssl.SSLContext, plain: socket.socket) -> socket.socket:
    return context.wrap_socket(plain, server_side=True, do_handshake_on_connect=False)


def test_a_quarter_of_a_gib_needs_a_few_mib(data_dir: Path) -> None:
    assert grown(GIB // 4, data_dir) <= MOST_MIB


def test_under_tls_it_needs_no_more(data_dir: Path) -> None:
    assert grown(GIB // 4, data_dir, trustme.CA()) <= MOST_MIB


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_ten_gib_need_no_more(data_dir: Path) -> None:
    assert grown(10 * GIB, data_dir) <= MOST_MIB
