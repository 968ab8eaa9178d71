"""Folders that others change while a test looks at them."""

import os
from pathlib import Path


def files_below(folder: Path) -> list[Path]:
    """Return every file below `folder`, sorted.

    `Path.rglob` raises FileNotFoundError when a folder disappears between its listing and its
    visit (Python 3.11 and 3.12); `os.walk` passes over it.
    """
    found = (Path(root) / name for root, _, names in os.walk(folder) for name in names)
    return sorted(path for path in found if path.is_file())
