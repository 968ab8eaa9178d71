"""Certificates: what is accepted, and that the name and not the address is checked."""

import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import trustme

from towpath.errors import SourceUnavailableError
from towpath.net import guard
from towpath.net.guard import Guard
from towpath.net.origin import Origin
from towpath.net.policy import AddressPolicy


class Hello(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"hello")

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[trustme.CA]:
    """A certificate authority that the operator trusts by SSL_CERT_FILE."""
    own = trustme.CA()
    own.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    monkeypatch.setattr(guard._Tls, "context", None)
    yield own
    monkeypatch.setattr(guard._Tls, "context", None)


def serve(certificate: trustme.LeafCert) -> ThreadingHTTPServer:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hello)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    certificate.configure_cert(context)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.handle_error = lambda *_: None
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    return server


def get(url: str) -> bytes:
    origin = Origin(Guard(AddressPolicy(("127.0.0.1", "localhost"))), "t", patience=5)
    answer = origin.open(url, {})
    try:
        return b"".join(answer.chunks())
    finally:
        answer.close()


def test_the_operators_own_authority_is_honoured(authority: trustme.CA) -> None:
    server = serve(authority.issue_cert("localhost"))
    assert get(f"https://localhost:{server.server_address[1]}/") == b"hello"
    server.shutdown()
    server.server_close()


def test_a_certificate_for_another_name_is_refused(authority: trustme.CA) -> None:
    server = serve(authority.issue_cert("other.test"))
    with pytest.raises(SourceUnavailableError, match="certificate"):
        get(f"https://localhost:{server.server_address[1]}/")
    server.shutdown()
    server.server_close()


def test_a_strangers_authority_is_refused(authority: trustme.CA) -> None:
    server = serve(trustme.CA().issue_cert("localhost"))
    with pytest.raises(SourceUnavailableError, match="certificate"):
        get(f"https://localhost:{server.server_address[1]}/")
    server.shutdown()
    server.server_close()
