"""A `data:` URI is judged by the length of its text, before anything copies it (trust T12)."""

import json
import subprocess
import sys

import pytest

pytestmark = pytest.mark.timeout(120)
MOST_MIB = 4
CODE = """
import json, re, sys
from pydantic import TypeAdapter
from towpath.errors import DownloadError
from towpath.files.file import File
from towpath.files.inputs import FileInput
from towpath.toolkit import download_file, download_model_weights

def status(name):
    return int(re.search(name + r":\\s+(\\d+)", open("/proc/self/status").read())[1]) / 1024

MIB = 2**20
kinds = TypeAdapter(FileInput)
limited = {
    "file": lambda uri: download_file(uri, "in", filesize_limit=1),
    "headers": lambda uri: download_file(uri, "in", filesize_limit=1, request_headers={"a": "b"}),
    "digest": lambda uri: download_file(uri, "in", filesize_limit=1, sha256="0" * 64),
    "weights": lambda uri: download_model_weights(uri, filesize_limit=1),
    "bytes": lambda uri: File(url=uri)._fetched(MIB),
    "path": lambda uri: File(url=uri)._fetch(MIB),
}
calls = limited | {
    "default": lambda uri: download_file(uri, "in"),
    "whole": lambda uri: File(url=uri).as_bytes(),
    "save": lambda uri: File(url=uri).save("x", overwrite=True),
    "input": kinds.validate_python,
}

def grown(call, uri):
    open("/proc/self/clear_refs", "w").write("5")
    before = status("VmRSS")
    try:
        calls[call](uri)
    except DownloadError as error:
        assert len(str(error)) < 2000, len(str(error))
    except ValueError:
        pass
    return status("VmHWM") - before

for call in calls:  # what is imported at first use
    grown(call, "data:,x"), grown(call, "http://[x]/")
found = {}
for name, (header, fill) in json.loads(sys.argv[1]).items():
    uri = header + fill * (40 * MIB // len(fill))
    found |= {f"{name}, {call}": grown(call, uri) for call in limited}
    del uri
uri = "data:;base64," + "A" * (100 * MIB)
found |= {f"base64, {call}": grown(call, uri) for call in calls if call not in limited}
print(json.dumps(found))
"""
LIMITED = ["file", "headers", "digest", "weights", "bytes", "path"]
WITHOUT_LIMIT = ["default", "whole", "save", "input"]
TEXTS = {
    "base64": ("data:;base64,", "A"),
    "plain": ("data:,", "x"),
    "escapes": ("data:,", "%41"),
    "escaped base64": ("data:;base64,", "%51%55%4A%44"),
    "blanks": ("data:;base64,", " "),
    "no comma": ("data:", "x"),
    "a long type": ("data:x;base64", ";a"),
    "a long URL": ("http://a.test/", "x"),
}


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> dict[str, float]:
    """The MiB that each refusal needed beside the text itself, in a process of its own."""
    folder = tmp_path_factory.mktemp("data")
    done = subprocess.run(
        [sys.executable, "-c", CODE, json.dumps(TEXTS)],
        capture_output=True,
        text=True,
        check=True,
        env={"TOWPATH_DATA_DIR": str(folder), "TOWPATH_STORE_RESERVE": "0"},
        cwd=folder,
    )
    found: dict[str, float] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("call", LIMITED)
@pytest.mark.parametrize("text", TEXTS)
def test_no_way_in_copies_a_long_text(grown: dict[str, float], text: str, call: str) -> None:
    assert grown[f"{text}, {call}"] <= MOST_MIB


@pytest.mark.parametrize("call", WITHOUT_LIMIT)
def test_without_a_limit_the_default_is_one(grown: dict[str, float], call: str) -> None:
    assert grown[f"base64, {call}"] <= MOST_MIB
