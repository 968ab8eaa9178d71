"""Downloads in processes of their own, to be killed or counted."""

import subprocess
import sys
from pathlib import Path

CODE = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores it
from towpath.toolkit import {function}
print("ready", flush=True)
path = {function}(sys.argv[1], {target}allow_hosts=["127.0.0.1"], progress="off")
print(path)
"""


def start(url: str, data_dir: Path, *, weights: bool = False) -> subprocess.Popen[str]:
    """Begin a download of *url* in another process."""
    function = "download_model_weights" if weights else "download_file"
    code = CODE.format(function=function, target="" if weights else '"in", ')
    return subprocess.Popen(
        [sys.executable, "-c", code, url],
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
    return sorted(path.name for path in folder.rglob("*") if path.is_file())
