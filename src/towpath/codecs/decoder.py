"""Audio and video of strangers, decoded in a process of its own that can reach nothing.

What is promised and why: docs/architecture.md; the measures are those of worker.py.
"""

from __future__ import annotations

import fcntl
import json
import os
import select
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NoReturn

from towpath.codecs.records import HEADER, Ask, MediaLimits, Work, unpacked
from towpath.errors import BrokenMediaError, ImageTooLargeError
from towpath.media.content_types import demuxer_of
from towpath.temporaries import telling_full

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Media"]

_HEAD = 64
_PATIENCE = 60.0
_BUFFER = 1024 * 1024
_LEAST_RECORD = 16 * 2**20


class Media:
    """A file of sound or video, to be asked for its facts, pictures and samples.

    Args:
        data: its bytes, or a path.
        limits: what it may ask for.
        environment: what the decoder's process may see.
        url: for messages.
        patience: seconds without a record after which the decoder is stopped.
    """

    def __init__(
        self,
        data: bytes | Path,
        limits: MediaLimits,
        environment: dict[str, str],
        *,
        url: str | None = None,
        patience: float = _PATIENCE,
    ) -> None:
        self._data = data
        self._limits = limits
        self._environment = environment
        self._url = url
        self._patience = patience

    def facts(self) -> dict[str, Any]:  # Any: JSON
        """Return width, height, duration, fps, frames, codec, sample_rate, channels: what is known.

        Raises:
            BrokenMediaError: it is neither sound nor video that is decoded here.
            ImageTooLargeError: its pictures have too many pixels.
        """
        for kind, content in self._records("facts"):
            if kind == b"J":
                found: dict[str, Any] = json.loads(content)
                return found
        raise self._error("the decoder said nothing")

    def pictures(self) -> Iterator[NDArray[np.uint8]]:
        """Yield every picture, upright, uint8 HxWx3; decoded as they are taken.

        Raises:
            BrokenMediaError: as for facts; also midway, when the rest is damaged.
            ImageTooLargeError: its pictures have too many pixels.
        """
        for kind, content in self._records("frames"):
            if kind == b"V":
                yield _picture(content)

    def picture(self, at: float) -> NDArray[np.uint8]:
        """Return the picture that is seen at *at* seconds, the last one beyond the end.

        Raises:
            BrokenMediaError: as for facts.
            ImageTooLargeError: its pictures have too many pixels.
        """
        for kind, content in self._records("picture", at=at):
            if kind == b"V":
                return _picture(content)
        raise self._error("it holds no picture")

    def samples(self, rate: int | None = None) -> tuple[NDArray[np.float32], int]:
        """Return samples, float32 of (n, channels), and how many there are a second.

        Args:
            rate: samples a second that are wanted; None = as they are.

        Raises:
            BrokenMediaError: as for facts.
        """
        import numpy as np  # noqa: PLC0415 - when the first sound comes

        told: dict[str, int] = {}
        blocks: list[bytes] = []
        heard = 0
        for kind, content in self._records("samples", rate=rate or 0):
            if kind == b"J":
                told = json.loads(content)
            elif kind == b"A":
                blocks.append(content)
                heard += len(content)
                if heard > 1.1 * self._limits.seconds * told["sample_rate"] * told["channels"] * 4:
                    raise self._error("its decoder says more than there can be")
        samples = np.frombuffer(b"".join(blocks), np.float32).reshape(-1, told["channels"])
        return samples.copy(), told["sample_rate"]

    # --- the process ---

    def _records(
        self, work: Work, *, at: float = 0.0, rate: int = 0
    ) -> Iterator[tuple[bytes, bytes]]:
        """Run the decoder; yield its records; it is gone when this ends, however it ends."""
        with self._opened() as source:
            demuxer = demuxer_of(source.read(_HEAD))
            source.seek(0)
            if demuxer is None:
                self._broken(
                    "it is not of a kind that is decoded here (MP4, MOV, WebM, MKV, AVI, "
                    "WAV, FLAC, MP3, Ogg, AAC)"
                )
            ask = Ask(work, demuxer, self._limits, at, rate)
            process = subprocess.Popen(  # noqa: S603 - our own interpreter, no word of a stranger
                [sys.executable, "-m", "towpath.codecs.worker", ask.to_json()],
                stdin=source,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=self._environment,
            )
        try:
            yield from self._read(process)
        finally:
            _end(process)

    def _opened(self) -> IO[bytes]:
        """Return the file, or the bytes as one without a name; the child shares its offset."""
        if isinstance(self._data, Path):
            return self._data.open("rb", buffering=0)
        file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - the caller closes it
        left = memoryview(self._data)
        try:
            with telling_full():
                while left:
                    left = left[file.write(left) :]
        except BaseException:
            file.close()
            raise
        file.seek(0)
        return file

    def _read(self, process: subprocess.Popen[bytes]) -> Iterator[tuple[bytes, bytes]]:
        """Yield records up to the end of all."""
        assert process.stdout is not None  # noqa: S101 - a pipe was asked for
        read = _reader(process.stdout, self._patience)
        while True:
            header = read(HEADER.size)
            if header is None:
                self._broken(f"it could not be decoded within {self._patience:g} s")
            if len(header) < HEADER.size:
                self._broken("its decoder died of it")
            kind, size = unpacked(header)
            most = max(_LEAST_RECORD, 3 * self._limits.pixels + 16)
            content = read(size) if size <= most else b""
            if kind == b"Z":
                return
            if content is None or len(content) < size:
                self._broken("its decoder died of it")
            if kind == b"E":
                self._refuse(json.loads(content))
            yield kind, content

    def _refuse(self, told: dict[str, str]) -> NoReturn:
        """Raise what the decoder says."""
        if told["kind"] == "pixels":
            raise ImageTooLargeError(
                pixels=self._limits.pixels + 1, limit=self._limits.pixels, url=self._url
            )
        self._broken(told["message"])

    def _broken(self, reason: str) -> NoReturn:
        """Raise the error of media that are not decoded."""
        raise self._error(reason) from None

    def _error(self, reason: str) -> BrokenMediaError:
        """Return the error of media that are not decoded."""
        return BrokenMediaError(f"The file is not decoded: {reason}.", url=self._url)


def _reader(pipe: IO[bytes], patience: float) -> Callable[[int], bytes | None]:
    """Return a function that reads so many bytes; fewer at the end, None when none come."""
    descriptor, poll = pipe.fileno(), select.poll()
    poll.register(descriptor, select.POLLIN)
    with suppress(OSError, AttributeError):  # not everywhere
        fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, _BUFFER)

    def read(size: int) -> bytes | None:
        got = bytearray()
        deadline = time.monotonic() + patience
        while len(got) < size:
            left = deadline - time.monotonic()
            if left <= 0 or not poll.poll(left * 1000):
                return None
            piece = os.read(descriptor, min(size - len(got), _BUFFER))
            if not piece:
                break
            got += piece
        return bytes(got)

    return read


def _end(process: subprocess.Popen[bytes]) -> None:
    """Stop the decoder, and wait for its end."""
    process.kill()
    if process.stdout is not None:
        process.stdout.close()
    process.wait()


def _picture(content: bytes) -> NDArray[np.uint8]:
    """Read one picture."""
    import numpy as np  # noqa: PLC0415 - when the first frame comes

    width, height = struct.unpack_from("<II", content)
    return np.frombuffer(content, np.uint8, offset=8).reshape(height, width, 3)
