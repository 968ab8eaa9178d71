"""Samples to encoded sound: WAV by hand, FLAC, MP3 and Opus by PyAV."""

from __future__ import annotations

import io
import wave
from typing import TYPE_CHECKING, Any

from towpath.codecs.arrays import as_array, is_tensor
from towpath.errors import UnsupportedFormatError
from towpath.errors.redaction import shown

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["checked_rate", "content_type_of_sound", "encode_sound", "samples_of", "sound_frames"]

_TYPES = {"wav": "audio/wav", "flac": "audio/flac", "mp3": "audio/mpeg", "opus": "audio/ogg"}
_CODECS = {"flac": ("flac", "flac"), "mp3": ("libmp3lame", "mp3"), "opus": ("libopus", "ogg")}
_RATES: dict[str, tuple[int, ...]] = {
    "mp3": (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000),
    "opus": (8000, 12000, 16000, 24000, 48000),
}
_MOST_CHANNELS = {"wav": 64, "flac": 8, "mp3": 2, "opus": 8}
_BIT_RATES = {"mp3": 192_000, "opus": 128_000}
_LAYOUTS = {1: "mono", 2: "stereo", 3: "2.1", 4: "4.0", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}
_HIGHEST = 2.0  # beyond it, floats are plainly of another range
_MOST_RATE = 768_000
_BLOCK = 48_000


def content_type_of_sound(sound_format: str) -> str:
    """Return the content type of a format.

    Raises:
        UnsupportedFormatError: sound is not written in it here.
    """
    if sound_format not in _TYPES:
        name = shown(sound_format, 40)
        message = f"Sound is not written as {name!r}. Use one of {', '.join(_TYPES)}."
        raise UnsupportedFormatError(message, kind="audio")
    return _TYPES[sound_format]


def samples_of(value: object) -> NDArray[np.int16]:
    """Return samples as int16 of shape (n, channels).

    Args:
        value: (n,) or (n, channels); a tensor may have its channels first. Floats of -1 to 1,
            int16, int32 of full scale, uint8 around 128. Floats slightly beyond are clipped.

    Raises:
        UnsupportedFormatError: it has another shape or range, or holds NaN.
    """
    array = as_array(value)
    if array.ndim == 2 and is_tensor(value) and array.shape[0] <= 8 < array.shape[1]:  # noqa: PLR2004
        array = array.T
    if array.ndim == 1:
        array = array[:, None]
    if array.ndim != 2 or 0 in array.shape or array.shape[1] > _MOST_CHANNELS["wav"]:  # noqa: PLR2004
        shape = "x".join(map(str, array.shape)) or "nothing"
        message = f"Samples of shape {shape} are not sound; give (n,) or (n, channels)."
        raise UnsupportedFormatError(message, kind="audio")
    return _to_int16(array)


def _to_int16(array: NDArray[Any]) -> NDArray[np.int16]:
    """Scale to 16 bits."""
    import numpy as np  # noqa: PLC0415 - when the first sound comes

    kind = array.dtype
    if kind == np.int16:
        return array
    if kind == np.int32:
        return (array >> 16).astype(np.int16)
    if kind == np.uint8:
        return ((array.astype(np.int16) - 128) << 8).astype(np.int16)
    if kind.kind != "f":
        message = f"Samples of type {kind} are not written; give floats of -1 to 1, or int16."
        raise UnsupportedFormatError(message, kind="audio")
    high = float(np.abs(array).max())
    if not high <= _HIGHEST:  # also refuses NaN
        message = (
            f"Floats of a sound go from -1 to 1; these go up to {high:g}. "
            "Scale them, or pass int16."
        )
        raise UnsupportedFormatError(message, kind="audio")
    scaled: NDArray[np.int16] = np.rint(np.clip(array, -1.0, 1.0) * 32767).astype(np.int16)
    return scaled


def encode_sound(samples: object, sample_rate: int, sound_format: str = "wav") -> bytes:
    """Return *samples* as an encoded file; rates that a format lacks are resampled.

    Args:
        samples: see samples_of.
        sample_rate: samples a second.
        sound_format: wav, flac, mp3 (192 kbit/s) or opus (in Ogg, 128 kbit/s).

    Raises:
        UnsupportedFormatError: the format, the rate, or the samples cannot be written.
    """
    content_type_of_sound(sound_format)
    checked_rate(sample_rate)
    array = samples_of(samples)
    channels = array.shape[1]
    if channels > _MOST_CHANNELS[sound_format]:
        most = _MOST_CHANNELS[sound_format]
        message = f"{sound_format} holds at most {most} channels; these samples have {channels}."
        raise UnsupportedFormatError(message, kind="audio")
    if sound_format == "wav":
        return _wav(array, sample_rate)
    return _by_av(array, sample_rate, sound_format)


def checked_rate(sample_rate: int) -> int:
    """Return the rate, if there is such a one."""
    if isinstance(sample_rate, bool) or not 1 <= sample_rate <= _MOST_RATE:
        message = f"sample_rate={sample_rate}; give samples a second, 1 to {_MOST_RATE}"
        raise UnsupportedFormatError(message, kind="audio")
    return int(sample_rate)


def _wav(array: NDArray[np.int16], sample_rate: int) -> bytes:
    """Write 16-bit PCM."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(array.shape[1])
        file.setsampwidth(2)
        file.setframerate(sample_rate)
        file.writeframesraw(array.astype("<i2", copy=False).tobytes())
    return buffer.getvalue()


def _by_av(array: NDArray[np.int16], sample_rate: int, sound_format: str) -> bytes:
    """Let FFmpeg write it."""
    import av  # noqa: PLC0415 - when the first sound comes

    codec, container_format = _CODECS[sound_format]
    rates = _RATES.get(sound_format, ())
    rate = next((r for r in rates if r >= sample_rate), rates[-1]) if rates else sample_rate
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container_format) as container:
        stream: Any = container.add_stream(codec, rate=rate, layout=_LAYOUTS[array.shape[1]])
        if sound_format in _BIT_RATES:
            stream.bit_rate = _BIT_RATES[sound_format]
        for frame in sound_frames(array, sample_rate):
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return buffer.getvalue()


def sound_frames(array: NDArray[np.int16], sample_rate: int) -> Any:  # noqa: ANN401 - av's frames
    """Yield *array* as FFmpeg's frames, a second or so at a time."""
    import av  # noqa: PLC0415 - as above
    import numpy as np  # noqa: PLC0415 - as above

    layout = _LAYOUTS[array.shape[1]]
    for start in range(0, len(array), _BLOCK):
        block = np.ascontiguousarray(array[start : start + _BLOCK]).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(block, format="s16", layout=layout)
        frame.sample_rate = sample_rate
        frame.pts = start
        yield frame
