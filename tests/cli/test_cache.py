"""towpath cache, as a user runs it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.origin import Origin

from towpath.toolkit import download_model_weights

pytestmark = pytest.mark.usefixtures("settings")


def command(data_dir: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "towpath", "cache", *arguments],
        capture_output=True,
        text=True,
        env={"TOWPATH_DATA_DIR": str(data_dir), "PATH": "/usr/bin:/bin"},
        cwd=data_dir.parent,
        check=False,
    )


@pytest.fixture
def kept(origin: Origin) -> list[Path]:
    bodies = {"a.bin": b"a" * 1000, "b.bin": b"b" * 3000}
    return [
        download_model_weights(origin.put(f"/{name}?token=s3cret", body))
        for name, body in bodies.items()
    ]


def test_ls_lists_what_is_kept_without_secrets(kept: list[Path], data_dir: Path) -> None:
    done = command(data_dir, "ls")
    assert done.returncode == 0
    header, *lines = done.stdout.splitlines()
    assert header.split() == ["KEY", "KIND", "SIZE", "USED", "URL"]
    assert len(lines) == 2
    assert "a.bin" in lines[0]
    assert "1000 B" in lines[0]
    assert "s3cret" not in done.stdout
    assert "2 kept, 3.9 KiB" in done.stderr


def test_ls_as_json_and_as_keys(kept: list[Path], data_dir: Path) -> None:
    rows = json.loads(command(data_dir, "ls", "--json").stdout)
    assert [row["path"] for row in rows] == [str(path) for path in kept]
    assert set(rows[0]) == {"key", "kind", "path", "size", "used_at", "url"}
    keys = command(data_dir, "ls", "-q", "--filter", "b.bin").stdout.split()
    assert keys == [rows[1]["key"]]


def test_rm_takes_the_beginning_of_a_key(kept: list[Path], data_dir: Path) -> None:
    key = kept[0].parent.name
    assert command(data_dir, "rm", key[:12], "--dry-run").returncode == 0
    assert kept[0].exists()
    assert command(data_dir, "rm", key[:12]).stdout.strip() == str(kept[0])
    assert not kept[0].exists()
    again = command(data_dir, "rm", key[:12])
    assert again.returncode == 1
    assert "nothing is kept" in again.stderr


def test_prune_reads_units(kept: list[Path], data_dir: Path) -> None:
    report = json.loads(command(data_dir, "prune", "--max-bytes", "3KiB", "--json").stdout)
    assert report == {"removed": [str(kept[0])], "freed_bytes": 1000, "kept": 1}
    assert command(data_dir, "prune", "--max-age", "30d").stderr.strip().endswith("1 kept")
    wrong = command(data_dir, "prune", "--max-bytes", "much")
    assert wrong.returncode == 2
    assert "64MiB" in wrong.stderr


def test_verify_exits_1_when_one_is_damaged(kept: list[Path], data_dir: Path) -> None:
    assert command(data_dir, "verify").returncode == 0
    status = kept[1].stat()
    kept[1].write_bytes(b"B" * 3000)
    os.utime(kept[1], ns=(status.st_atime_ns, status.st_mtime_ns))
    done = command(data_dir, "verify")
    assert done.returncode == 1
    assert "damaged" in done.stdout
    assert "cache rm" in done.stderr


def test_path_is_where_weights_are(kept: list[Path], data_dir: Path) -> None:
    assert Path(command(data_dir, "path").stdout.strip()) == kept[0].parents[1]


def test_a_wrong_setting_is_a_sentence(data_dir: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "towpath", "cache", "ls"],
        capture_output=True,
        text=True,
        env={"TOWPATH_CACHE_MAX_BYTES": "much", "PATH": "/usr/bin:/bin"},
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("TOWPATH_CACHE_MAX_BYTES cannot be used")
