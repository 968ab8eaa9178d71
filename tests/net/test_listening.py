"""Addresses that we listen on, and who is in the way."""

import os
import socket

import psutil
import pytest

from towpath.errors import AddressInUseError, SettingsError
from towpath.net.listening import _listener, listening


def test_a_free_port_is_taken_and_answers_are_not_held_back() -> None:
    with listening("127.0.0.1", 0) as sock:
        assert sock.getsockname()[1] > 0
        # Event loops set TCP_NODELAY only on sockets that say they are TCP; without it every
        # second answer waits 40 ms for an acknowledgement.
        assert sock.proto == socket.IPPROTO_TCP


def test_a_taken_port_names_its_holder() -> None:
    with listening("127.0.0.1", 0) as sock:
        port = sock.getsockname()[1]
        with pytest.raises(AddressInUseError) as caught, listening("127.0.0.1", port):
            pass
    assert f"--port {port + 1}" in str(caught.value)
    assert f"pid {os.getpid()}, {psutil.Process().name()}" in str(caught.value)


def test_who_is_connected_to_a_port_is_not_its_holder() -> None:
    """A connection's end has the listener's port too, and may be another process's."""
    with listening("127.0.0.1", 0) as sock, socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)), other.accept()[0]:
            other.close()
            assert _listener(port) == ""
        assert _listener(sock.getsockname()[1]).startswith(f"pid {os.getpid()}, ")


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"8\.8\.8\.8"), listening("8.8.8.8", 0):
        pass
