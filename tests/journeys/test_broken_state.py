"""A server whose queue cannot be opened: reads and direct calls go on (trust T53)."""

from pathlib import Path

import httpx2
from tests.support.command import Command, write

MAKER = """
    import towpath
    class Maker(towpath.App):
        @towpath.endpoint("/")
        def run(self) -> towpath.File:
            return towpath.File.from_bytes(b"content", "text/plain")
"""


def test_a_damaged_queue_takes_no_files_and_no_direct_calls_away(tmp_path: Path) -> None:
    app = write(tmp_path, "maker.py", MAKER)
    state = tmp_path / "d" / ".towpath" / "state"
    state.mkdir(parents=True)
    (state / "queue.db").write_bytes(b"no database " * 500)
    flags = ("--port", "0", "--data-dir", str(tmp_path / "d"))
    env = {"TOWPATH_STORE_RESERVE": "0", "TOWPATH_LOG_FORMAT": "text"}
    with Command(app, *flags, env=env) as server:
        server.wait_for("ready in", 90)
        made = httpx2.post(f"{server.url}/local/maker").json()
        assert httpx2.get(made["url"]).text == "content"
        refused = httpx2.post(f"{server.url}/queue/local/maker")
        assert refused.status_code == 503
        assert "The server's queue cannot be used at the moment" in refused.json()["detail"]
        assert str(state) not in refused.text
        assert httpx2.get(f"{server.url}/metrics").status_code == 200
        status = httpx2.get(f"{server.url}/admin/status").json()
        assert status["apps"]["local/maker"]["state"] == "ready"
        assert "cannot be used" in status["queue"]["failure"]
    assert f"path={state}/queue.db" in server.output
    assert "move the file away" in server.output
    assert "Traceback" not in server.output
    assert (state / "queue.db").read_bytes().startswith(b"no database")
