"""The decoder's process: opens one file of a stranger, shut in, and writes records to its output.

Run as `python -m towpath.codecs.worker ASK` with the file as descriptor 0. It never sees a name:
FFmpeg gets a file object, one format, no protocol; once the file is open no other descriptor can
be made, so that nothing in it can reach a file or the network.
"""

import contextlib
import importlib
import io
import os
import pkgutil
import resource
import struct
import sys
from collections.abc import Iterator
from typing import Any, NoReturn

import av
import numpy as np

from towpath.codecs.records import Ask, MediaLimits, packed

__all__ = ["main"]

_HEAD_ROOM = 3 * 2**30  # of address space, above what is taken after the imports
_CPU_SECONDS = 1800
_MOST_STREAMS = 32
_MOST_BOXES = 100_000
_BOX_HEAD = 8
_OUT = 1


class _RefusedError(Exception):
    """The file is not decoded, for a reason that may be told."""

    def __init__(self, message: str, kind: str = "broken") -> None:
        super().__init__(message)
        self.kind = kind


def main() -> None:
    """Do what the command line asks for."""
    ask = Ask.from_json(sys.argv[1])
    try:
        for record in _records(ask):
            _send(record)
        _send(packed(b"Z", b""))
    except BrokenPipeError:
        os._exit(0)
    except _RefusedError as error:
        _fail(str(error), error.kind)
    except MemoryError:
        _fail("it needs more memory than it may have", "broken")
    except Exception as error:  # noqa: BLE001 - FFmpeg raises every kind there is
        _fail(f"it is damaged, cut off, or not what it seems ({type(error).__name__})", "broken")


def _send(record: bytes) -> None:
    """Write a whole record."""
    view = memoryview(record)
    while view:
        view = view[os.write(_OUT, view) :]


def _fail(message: str, kind: str) -> NoReturn:
    """Tell the parent why, and end."""
    with contextlib.suppress(OSError):
        _send(packed(b"E", {"message": message, "kind": kind}))
    os._exit(1)


def _records(ask: Ask) -> Iterator[bytes]:
    """Open the file, shut the doors, and decode."""
    _import_everything()
    av.logging.set_level(None)
    source = open(0, "rb", buffering=0, closefd=False)  # noqa: SIM115 - a descriptor
    if ask.demuxer == "mov":
        _check_boxes(source)
    _bound_resources()
    options = {
        "protocol_whitelist": "none",
        "format_whitelist": ask.demuxer,
        "max_streams": str(_MOST_STREAMS),
    }
    with av.open(source, format=ask.demuxer, options=options, io_open=_no_files) as container:
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))
        media = _Media(container, ask)
        if ask.work == "facts":
            yield packed(b"J", media.facts())
        elif ask.work == "samples":
            yield from media.samples()
        else:
            yield from media.pictures()


def _check_boxes(source: io.FileIO) -> None:
    """Refuse an MP4 that ends within one of its boxes (ISO/IEC 14496-12, 4.2).

    FFmpeg plays what is there, as if it were all.
    """
    size, at = source.seek(0, io.SEEK_END), 0
    for _ in range(_MOST_BOXES):
        source.seek(at)
        head = source.read(16)
        if len(head) < _BOX_HEAD:
            break
        length = int.from_bytes(head[:4], "big")
        if length == 1:  # the length is the 64 bits that follow
            length = int.from_bytes(head[8:16], "big")
        if length == 0:  # to the end of the file
            break
        at += max(length, _BOX_HEAD)
        if at > size:
            message = f"it is cut off: {at} bytes are declared, and there are {size}"
            raise _RefusedError(message)
    source.seek(0)


def _no_files(*_: object) -> NoReturn:
    """Refuse whatever the file refers to."""
    message = "it refers to other files"
    raise _RefusedError(message)


def _import_everything() -> None:
    """Load all of PyAV: later it could not, with no descriptor left."""
    for module in pkgutil.walk_packages(av.__path__, "av."):
        if not module.name.endswith("__main__"):
            with contextlib.suppress(ImportError):
                importlib.import_module(module.name)


def _bound_resources() -> None:
    """Limit memory, time and files."""
    limits = [(resource.RLIMIT_AS, _address_space() + _HEAD_ROOM)] if _address_space() else []
    for kind, most in (
        *limits,
        (resource.RLIMIT_CPU, _CPU_SECONDS),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(kind, (most, most))


def _address_space() -> int:
    """Return the bytes of address space in use, or 0 where that is not told."""
    try:
        with open("/proc/self/statm") as file:  # noqa: PTH123 - no path of anybody's
            return int(file.read().split()[0]) * resource.getpagesize()
    except OSError:
        return 0


class _Media:
    """An open container, and what is asked of it."""

    def __init__(self, container: Any, ask: Ask) -> None:  # noqa: ANN401 - av's
        self._container = container
        self._ask = ask
        self._limits: MediaLimits = ask.limits
        self._video = _first(container.streams.video)
        self._audio = _first(container.streams.audio)
        if self._video is None and self._audio is None:
            message = "it holds neither picture nor sound"
            raise _RefusedError(message)
        self._check_declared()

    def _check_declared(self) -> None:
        """Judge what the header says, before anything is decoded."""
        if self._video is not None:
            self._check_size(self._video.width, self._video.height)
            self._video.codec_context.options = {"max_pixels": str(self._limits.pixels)}
            self._video.thread_type = "AUTO"
        seconds = (self._container.duration or 0) / av.time_base
        self._check_seconds(seconds)

    def _check_size(self, width: int, height: int) -> None:
        """Refuse a picture that is too large."""
        if width * height > self._limits.pixels:
            message = (
                f"its pictures have {width}x{height} pixels, and the limit is {self._limits.pixels}"
            )
            raise _RefusedError(message, "pixels")

    def _check_seconds(self, seconds: float) -> None:
        """Refuse what is too long."""
        if seconds > self._limits.seconds:
            message = f"it runs for {seconds:.0f} s, and the limit is {self._limits.seconds:g} s"
            raise _RefusedError(message, "length")

    # --- facts ---

    def facts(self) -> dict[str, Any]:
        """Return what is known without decoding it all; one frame is decoded to be sure."""
        found: dict[str, Any] = {}
        end = 0.0
        if self._video is not None:
            count, end = self._counted(self._video)
            found |= self._video_facts(count)
        if self._audio is not None:
            found |= self._audio_facts(is_main=self._video is None)
            if not end:
                end = self._counted(self._audio)[1]
        declared = (self._container.duration or 0) / av.time_base
        found["duration"] = round(declared if declared > 0 else end, 6)
        if self._proved() % 180:
            found["width"], found["height"] = found["height"], found["width"]
        return {key: value for key, value in found.items() if value is not None}

    def _video_facts(self, count: int) -> dict[str, Any]:
        """Return what is known of the pictures."""
        stream = self._video
        fps = stream.average_rate or stream.guessed_rate
        codec = stream.codec_context.codec.canonical_name
        known = {"width": stream.width, "height": stream.height, "codec": codec, "frames": count}
        return known | {"fps": round(float(fps), 6) if fps else None}

    def _audio_facts(self, *, is_main: bool) -> dict[str, Any]:
        """Return what is known of the sound."""
        context = self._audio.codec_context
        found: dict[str, Any] = {"sample_rate": context.sample_rate, "channels": context.channels}
        codec = context.codec.canonical_name
        return found | ({"codec": codec} if is_main else {"audio_codec": codec})

    def _counted(self, stream: Any) -> tuple[int, float]:  # noqa: ANN401 - av's
        """Return how many packets a stream has, and the second at which the last one ends."""
        count, end = 0, 0.0
        for packet in self._container.demux(stream):
            if packet.is_corrupt:
                message = "it is damaged or cut off"
                raise _RefusedError(message)
            if packet.size and packet.pts is not None:
                count += 1
                last = float((packet.pts + (packet.duration or 0)) * packet.time_base)
                end = max(end, last)
                if count > self._limits.frames and stream.type == "video":
                    message = f"it has more than {self._limits.frames} frames"
                    raise _RefusedError(message, "length")
        self._check_seconds(end)
        self._container.seek(0)
        return count, end

    def _proved(self) -> int:
        """Decode one frame, for a header that lies opens well; return how far it is turned."""
        stream = self._video or self._audio
        for frame in self._container.decode(stream):
            if stream is not self._video:
                return 0
            self._check_size(frame.width, frame.height)
            return int(frame.rotation or 0)
        message = "not one frame of it can be decoded"
        raise _RefusedError(message)

    def _decoded(self, stream: Any) -> Iterator[Any]:  # noqa: ANN401 - av's
        """Yield the frames of a stream; a packet that was cut off is an error."""
        for packet in self._container.demux(stream):
            if packet.is_corrupt:
                message = "it is damaged or cut off"
                raise _RefusedError(message)
            yield from packet.decode()

    # --- pictures ---

    def pictures(self) -> Iterator[bytes]:
        """Yield the pictures, upright, as RGB."""
        if self._video is None:
            message = "it holds no picture"
            raise _RefusedError(message)
        one = self._ask.work == "picture"
        spent = last = None
        for number, frame in enumerate(self._decoded(self._video), 1):
            self._check_size(frame.width, frame.height)
            spent = (spent or 0) + 3 * frame.width * frame.height
            if number > self._limits.frames or spent > self._limits.bytes:
                message = f"it has more than {number - 1} frames that may be decoded"
                raise _RefusedError(message, "length")
            if not one:
                yield _picture(frame)
                continue
            last = frame
            if frame.time is None or frame.time + 1e-6 >= self._ask.at:
                break
        if spent is None:
            message = "not one picture of it can be decoded"
            raise _RefusedError(message)
        if last is not None:
            yield _picture(last)

    # --- sound ---

    def samples(self) -> Iterator[bytes]:
        """Yield samples as float32, interleaved, after a record with rate and channels."""
        if self._audio is None:
            message = "it holds no sound"
            raise _RefusedError(message)
        context, count = self._audio.codec_context, 0
        rate, resampler = self._ask.rate or context.sample_rate, None
        for frame in self._decoded(self._audio):
            if resampler is None:
                channels = frame.layout.nb_channels
                rate = self._ask.rate or frame.sample_rate
                resampler = av.AudioResampler(format="flt", layout=frame.layout, rate=rate)
                yield packed(b"J", {"sample_rate": rate, "channels": channels})
            for block in resampler.resample(frame):
                count += block.samples
                self._check_seconds(count / rate)
                yield packed(b"A", block.to_ndarray().astype(np.float32, copy=False).tobytes())
        if resampler is None:
            message = "not one sample of it can be decoded"
            raise _RefusedError(message)
        for block in resampler.resample(None):
            yield packed(b"A", block.to_ndarray().astype(np.float32, copy=False).tobytes())


def _first(streams: Any) -> Any:  # noqa: ANN401 - av's
    """Return the first stream that can be decoded and is no cover picture, or None."""
    for stream in streams:
        attached = getattr(stream, "disposition", None)
        is_cover = attached is not None and bool(attached & type(attached).attached_pic)
        if stream.codec_context is not None and not is_cover:
            return stream
    return None


def _picture(frame: Any) -> bytes:  # noqa: ANN401 - av's
    """Return one picture as a record, turned as its display matrix says."""
    degrees = int(frame.rotation or 0)
    pixels = frame.to_ndarray(format="rgb24")
    if degrees % 90 == 0 and degrees % 360:
        pixels = np.rot90(pixels, k=(degrees // 90) % 4)
    height, width = pixels.shape[:2]
    return packed(b"V", struct.pack("<II", width, height) + np.ascontiguousarray(pixels).tobytes())


if __name__ == "__main__":
    main()
