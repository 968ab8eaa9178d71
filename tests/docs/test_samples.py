"""Samples of the documentation stand alone: each name in one is imported or made in it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
SAMPLES = [
    pytest.param(code, id=f"{page.stem} {number}")
    for page in PAGES
    for number, code in enumerate(
        re.findall(r"^```python\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE), 1
    )
]


@pytest.mark.parametrize("code", SAMPLES)
def test_a_sample_lacks_no_name(code: str) -> None:
    """A reader who copies it needs nothing else (trust T55)."""
    compile(code, "sample", "exec")
    command = [sys.executable, "-m", "ruff", "check", "--isolated", "--select", "F821,F823", "-"]
    done = subprocess.run(command, input=code, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
