import socket

import pytest

from towpath.errors import AddressInUseError, SettingsError
from towpath.net.listening import listening


def test_a_free_port_is_taken_and_answers_are_not_held_back() -> None:
    with listening("127.0.0.1", 0) as sock:
        assert sock.getsockname()[1] > 0
        # Event loops set TCP_NODELAY only on sockets that say they are TCP; without it every
        # second answer waits 40 ms for an acknowledgement.
        assert sock.proto == socket.IPPROTO_TCP


def test_a_taken_port_names_its_holder() -> None:
    with listening("127.0.0.1", 0) as sock:
        port = sock.getsockname()[1]
        with (
            pytest.raises(AddressInUseError, match=f"--port {port + 1}"),
            listening("127.0.0.1", port),
        ):
            pass


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"8\.8\.8\.8"), listening("8.8.8.8", 0):
        pass
