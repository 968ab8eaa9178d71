"""Downloads in processes of their own, to be killed or counted."""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.support.folders import files_below

CODE = """
import json, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores it
from towpath.toolkit import {function}
print("ready", flush=True)
path = {function}(sys.argv[1], {target}allow_hosts=["127.0.0.1"], progress="off", request_headers=json.loads(sys.argv[2]))
print(path)
"""


def start(
    url: str, data_dir: Path, *, weights: bool = False, headers: Mapping[str, str] | None = None
) -> subprocess.Popen[str]:
    """Begin a download of *url* in another process."""
    function = "download_model_weights" if weights else "download_file"
    code = CODE.format(function=function, target="" if weights else '"in", ')
    return subprocess.Popen(
        [sys.executable, "-c", code, url, json.dumps(dict(headers or {}))],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={
            "TOWPATH_DATA_DIR": str(data_dir),
            "TOWPATH_STORE_RESERVE": "0",
            "PATH": "/usr/bin:/bin",
        },
        cwd=data_dir.parent,
    )


def everything_in(folder: Path) -> list[str]:
    """Return the names of all files below *folder*, hidden ones too."""
    return sorted(path.name for path in files_below(folder))


def signed(url: str, at: int) -> str:
    """Return *url* as a store signs it, anew for each *at*."""
    names = ("Algorithm", "Credential", "Date", "Expires", "SignedHeaders", "Signature")
    return f"{url}?{'&'.join(f'X-Amz-{name}={at}' for name in names)}"
