"""Damaged media by the hundred: errors of ours, and nothing is left of it, in memory or beside it."""

import io
import os
import random
import re
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage

from towpath.codecs import images
from towpath.codecs.clips import encode_clip
from towpath.codecs.decoder import Media
from towpath.codecs.records import MediaLimits
from towpath.codecs.sounds import encode_sound
from towpath.errors import MediaError
from towpath.settings import environment_of_decoder

PIXELS = 4_000_000
MOST_MIB = 60


def damaged(data: bytes, dice: random.Random) -> bytes:
    """Cut, change, remove or repeat a few places."""
    changed = bytearray(data)
    for _ in range(dice.randint(1, 6)):
        at, length = dice.randrange(len(changed)), dice.randint(1, 40)
        kind = dice.randrange(4)
        if kind == 0:
            changed[at : at + length] = dice.randbytes(length)
        elif kind == 1:
            del changed[at : at + length]
        elif kind == 2:
            changed[at:at] = changed[at : at + length]
        else:
            changed[at] ^= 1 << dice.randrange(8)
    return bytes(changed[: dice.randrange(1, len(changed))] if dice.random() < 0.1 else changed)


def resident_mib() -> float:
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024


def left_open() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def decoders() -> list[str]:
    """Return the decoders that this process started and that are still there, ended or not."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            name, _, rest = status.read_text().partition(") ")
            parent = rest.split()[1]
            command = status.with_name("cmdline").read_bytes()
            if parent == str(os.getpid()) and (b"codecs.worker" in command or not command):
                found.append(name)
    return found


def pictures() -> dict[str, bytes]:
    """One of every kind that is read, still and moving."""
    still = PillowImage.effect_noise((120, 90), 60).convert("RGB")
    more = [still.rotate(90 * n) for n in range(1, 4)]
    options = {
        "jpeg": {"progressive": True, "exif": b"Exif\0\0II*\0\x08\0\0\0\0\0"},
        **{kind: {"save_all": True, "append_images": more} for kind in ("gif", "webp", "tiff")},
        "png": {"dpi": (72, 72)},
    }
    found = {}
    for kind in ("png", "jpeg", "webp", "gif", "bmp", "tiff", "avif"):
        buffer = io.BytesIO()
        still.save(buffer, kind, **options.get(kind, {}))
        found[kind] = buffer.getvalue()
    return found


def sounds_and_clips(folder: Path) -> dict[str, bytes]:
    """One of every kind that we write."""
    tone = (np.sin(np.arange(24_000) / 20) * 0.4).astype(np.float32)[:, None]
    frames = [np.full((48, 64, 3), n * 8, np.uint8) for n in range(24)]
    encode_clip(folder / "clip.mp4", frames, 12, audio=(tone, 24_000))
    kinds = ("wav", "flac", "mp3", "opus")
    found = {kind: encode_sound(tone, 24_000, kind) for kind in kinds}
    return found | {"mp4": (folder / "clip.mp4").read_bytes()}


def tried(work) -> bool:
    """Return whether it was taken; any error that is none of ours fails the test."""
    try:
        work()
    except MediaError:
        return False
    return True


@pytest.mark.parametrize(
    "rounds", [40, pytest.param(1500, marks=[pytest.mark.soak, pytest.mark.timeout(900)])]
)
def test_damaged_pictures_are_refused_or_read(rounds: int) -> None:
    dice, outcomes = random.Random(7), set()
    corpus = pictures()
    half, files = 0.0, left_open()
    for number in range(rounds):
        for data in corpus.values():
            bad = damaged(data, dice)
            outcomes.add(tried(lambda: images.decode(bad, "RGB", most_pixels=PIXELS, url=None)))  # noqa: B023 - called at once
            tried(lambda: images.facts_in(bad, url=None))  # noqa: B023 - called at once
        if number == rounds // 2:
            half = resident_mib()
    assert outcomes == {True, False}
    assert left_open() <= files
    assert resident_mib() - half < MOST_MIB


@pytest.mark.parametrize(
    "rounds", [2, pytest.param(60, marks=[pytest.mark.soak, pytest.mark.timeout(1200)])]
)
def test_damaged_sounds_and_clips_are_refused_or_read(rounds: int, tmp_path: Path) -> None:
    dice, outcomes = random.Random(8), set()
    corpus = sounds_and_clips(tmp_path)
    limits = MediaLimits(pixels=PIXELS, seconds=60, frames=2000)
    half, files = 0.0, left_open()
    for number in range(rounds):
        for kind, data in corpus.items():
            bad = Media(damaged(data, dice), limits, environment_of_decoder(), patience=20)
            outcomes.add(tried(bad.facts))
            tried((lambda: list(bad.pictures())) if kind == "mp4" else bad.samples)  # noqa: B023 - called at once
        if number == rounds // 2:
            half = resident_mib()
    assert True in outcomes
    assert left_open() <= files
    assert resident_mib() - half < MOST_MIB
    assert decoders() == []
