"""Pictures, clips and sounds: encoded and uploaded, beside the peer toolkit's way."""

import itertools
import json
import statistics
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image as PillowImage

from measure import Run, Sample, Table, python, tables_of

__all__ = ["bench"]

_TIMES = 60
_PICTURE = """
import io, os
from PIL import Image as PillowImage
picture = PillowImage.open(target + "/{name}.ppm"); picture.load()
picture = picture.copy()
def level_1():
    buffer = io.BytesIO(); picture.save(buffer, "png", compress_level=1); return buffer.getvalue()
"""
_KINDS = {"gradient": 0.0, "photo": 0.5, "noisy": 2.0}
"""How much noise is on the colours, in standard deviations of one step of 256."""
_HOSTED = """
from towpath import settings as room
from towpath.storage.hosting import hosting_of
from towpath.toolkit import Audio, File, Image, Video
"""
_TONE = """
import numpy as np
tone = (np.sin(np.arange(480_000) / 20) * 0.4).astype(np.float32)
"""
_PEERS_TONE = """
import array, io, math, wave
from fal.toolkit import File
tone = array.array("h", (int(math.sin(n / 20) * 13_000) for n in range(480_000)))
def wav():
    buffer = io.BytesIO(); file = wave.open(buffer, "wb"); file.setnchannels(1)
    file.setsampwidth(2); file.setframerate(48000); file.writeframes(tone.tobytes())
    file.close(); return buffer.getvalue()
"""
_FRAMES = """
import numpy as np
base = np.random.default_rng(1).integers(0, 256, (512, 512, 3)).astype(np.uint8)
frames = [np.roll(base, 4 * n, axis=1) for n in range(48)]
for _ in range(3): base = (base // 2 + np.roll(base, 1, axis=0) // 2)
"""


def bench(peers: str, rounds: int) -> Iterator[Table]:
    """Measure everything."""
    with tempfile.TemporaryDirectory(prefix="towpath-bench-") as name:
        root = Path(name)
        _folders(root / "store")
        for kind, noise in _KINDS.items():
            _picture(noise).save(root / f"{kind}.ppm")
            yield _encoders(root, rounds, kind)
        for kind in ("photo", "noisy"):
            yield _pictures(root, peers, rounds, kind)
        yield _sounds(root, peers, rounds)
        yield _clips(root, rounds)


def _folders(store: Path) -> None:
    """Make the folders that a store has once it is in use."""
    letters = "abcdefghijklmnopqrstuvwxyz234567"
    for part, first, second in itertools.product("om", letters, letters):
        (store / part / (first + second)).mkdir(parents=True, mode=0o700)


def _picture(noise: float) -> PillowImage.Image:
    """Return colours that change slowly, with some noise."""
    grid = np.linspace(0, 6, 1024)
    slow = [np.outer(np.sin(grid * (n + 1)), np.cos(grid * (n + 2))) * 110 + 128 for n in range(3)]
    grain = np.random.default_rng(1).normal(0, noise, (1024, 1024, 3))
    return PillowImage.fromarray(np.clip(np.dstack(slow) + grain, 0, 255).astype(np.uint8))


def _each(
    root: Path, setup: str, work: str, *, interpreter: str = sys.executable, times: int = _TIMES
) -> Sample:
    """Do *work* once, then measure it many times; return what each costs."""
    code = {
        "setup": f"{setup}\ndef once():\n  {work}\nonce()",
        "work": f"for _ in range({times}): once()",
    }
    got = python(interpreter, code, ["", str(root)], **_place(root))
    return Sample(got.wall / times, got.cpu / times, got.rss, got.grown)


def _place(root: Path) -> dict[str, str]:
    """Return the settings of a process that has a store."""
    return {
        "TOWPATH_DATA_DIR": str(root / "data"),
        "TOWPATH_STORE": f"file://{root}/store",
        "TOWPATH_PUBLIC_URL": "http://127.0.0.1:8000",
    }


def _encoders(root: Path, rounds: int, kind: str) -> Table:
    """Encoders alone, on one picture."""
    picture = _PICTURE.format(name=kind)
    ours = f"{picture}from towpath.codecs import png\nfrom towpath.codecs.images import encode\n"
    without = f"{ours}png.fpng_writer(); png._Fpng.write = None\n"
    alone = (
        f"{without}from towpath.codecs import deflate\n"
        "deflate.has_isal(); deflate._Isal.module = None\n"
    )
    runs: dict[str, Run] = {
        "towpath": partial(_each, root, ours, "encode(picture, 'png')"),
        "towpath without fpng": partial(_each, root, without, "encode(picture, 'png')"),
        "towpath on numpy and zlib": partial(_each, root, alone, "encode(picture, 'png')"),
        "Pillow level 1 (the peer's)": partial(_each, root, picture, "level_1()"),
    }
    goals = {"Pillow level 1 (the peer's)": 10.0}
    table = tables_of(f"PNG of 1024x1024 RGB, {kind}, encoded", runs, rounds, goals)
    slow, fallback = (_median(table, name) for name in list(runs)[:-3:-1])
    note = f"on numpy and zlib: Pillow level 1 takes {slow / fallback:.1f} times as long (goal: 2)"
    return Table(table.title, table.samples, table.ours, note, table.goals)


def _pictures(root: Path, peers: str, rounds: int, kind: str) -> Table:
    """From a PIL image to a durable public URL."""
    picture = _PICTURE.format(name=kind)
    ours = f"{picture}{_HOSTED}"
    encoded = f"{picture}from towpath.codecs.images import encode\ndata = encode(picture, 'png')\n"
    bare = f"{encoded}{_BARE}"
    peer = f"{picture}from fal.toolkit import Image\n"
    runs: dict[str, Run] = {
        "towpath": partial(_each, root, ours, "Image.from_pil(picture)"),
        "encode alone": partial(_each, root, encoded, "encode(picture, 'png')"),
        "durable write alone": partial(_each, root, bare, "durable(data)"),
        "encode, then durable write": partial(_each, root, bare, "durable(encode(picture, 'png'))"),
        "Pillow level 1 alone": partial(_each, root, picture, "level_1()"),
        "fal, as a data: URI": partial(
            _each,
            root,
            peer,
            "Image.from_pil(picture, repository='in_memory')",
            interpreter=peers,
            times=5,
        ),
    }
    title = f"1024x1024 PIL image, {kind}, to a durable public URL"
    table = tables_of(title, runs, rounds, {"Pillow level 1 alone": 8})
    whole, encode, write, least = (
        _median(table, name)
        for name in ("towpath", "encode alone", "durable write alone", "encode, then durable write")
    )
    turns = statistics.median(_in_turns(root, f"{ours}{bare}") for _ in range(rounds))
    note = (
        f"beyond encoding: {(whole - encode) / write:.2f} times a durable write, each repeated "
        f"alone (goal: < 1.5)\n  there, encoding and then a bare durable write are "
        f"{(least - encode) / write:.2f}; all done in turns: {turns:.2f}"
    )
    return Table(title, table.samples, table.ours, note, table.goals)


def _in_turns(root: Path, setup: str) -> float:
    """Return what a saved picture costs beyond its encoding, in durable writes.

    The three are done in turns, as saves are in `stores`: a disk's speed changes from one minute
    to the next, and both encodings and writes that are repeated alone are quicker than those that
    follow the other.
    """
    code = {"setup": f"{setup}{_IN_TURNS}", "work": f"in_turns({_TIMES})"}
    python(sys.executable, code, ["", str(root)], **_place(root))
    whole, encode, write = json.loads((root / "turns.json").read_text())
    return (whole - encode) / write


_BARE = """
import secrets
def durable(data):
    name = target + "/" + secrets.token_hex(8)
    with open(name + ".tmp", "wb") as file:
        file.write(data); file.flush(); os.fsync(file.fileno())
    os.rename(name + ".tmp", name)
    folder = os.open(target, os.O_RDONLY); os.fsync(folder); os.close(folder)
"""


_IN_TURNS = """
import json, statistics
def in_turns(times):
    kinds = (
        lambda: Image.from_pil(picture), lambda: encode(picture, "png"), lambda: durable(data)
    )
    took = [[], [], []]
    for turn in range(times + 1):
        for kind, times_of_it in zip(kinds, took):
            began = time.perf_counter(); kind(); times_of_it.append(time.perf_counter() - began)
    with open(target + "/turns.json", "w") as file:
        json.dump([statistics.median(each[1:]) for each in took], file)
"""


def _sounds(root: Path, peers: str, rounds: int) -> Table:
    """From samples to a URL."""
    runs: dict[str, Run] = {
        "towpath": partial(
            _each, root, f"{_TONE}{_HOSTED}", "Audio.from_array(tone, 48000)", times=10
        ),
        "fal, as a data: URI": partial(
            _each,
            root,
            _PEERS_TONE,
            "File.from_bytes(wav(), 'audio/wav', repository='in_memory')",
            interpreter=peers,
            times=10,
        ),
    }
    return tables_of("10 s of sound as WAV (ours durable)", runs, rounds)


def _clips(root: Path, rounds: int) -> Table:
    """From frames to a URL; the peer has no encoder, so its way is FFmpeg's as the docs show it."""
    by_hand = f"""{_FRAMES}
import av, os
def clip():
    with av.open(target + "/a.mp4", "w") as out:
        stream = out.add_stream("libx264", rate=24); stream.width = stream.height = 512
        stream.pix_fmt = "yuv420p"
        for frame in frames:
            out.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        out.mux(stream.encode(None))
"""
    runs: dict[str, Run] = {
        "towpath": partial(
            _each, root, f"{_FRAMES}{_HOSTED}", "Video.from_frames(frames, 24)", times=2
        ),
        "PyAV by hand, not uploaded": partial(_each, root, by_hand, "clip()", times=2),
    }
    return tables_of("48 frames of 512x512 as MP4 (ours durable)", runs, rounds)


def _median(table: Table, name: str) -> float:
    """Return the median time of a candidate."""
    times = sorted(sample.wall for sample in table.samples[name])
    return times[len(times) // 2]
