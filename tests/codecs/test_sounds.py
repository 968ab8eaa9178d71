import io
import wave

import av
import numpy as np
import pytest
from tests.codecs.test_arrays import Tensor

from towpath.codecs.sounds import encode_sound, samples_of
from towpath.errors import UnsupportedFormatError


def tone(rate: int = 48_000, seconds: float = 0.5, channels: int = 1) -> np.ndarray:
    times = np.arange(int(rate * seconds)) / rate
    waves = [0.5 * np.sin(2 * np.pi * 440 * (n + 1) * times) for n in range(channels)]
    return np.stack(waves, axis=1).astype(np.float32)


def decoded(data: bytes) -> tuple[np.ndarray, int]:
    with av.open(io.BytesIO(data)) as container:
        stream = container.streams.audio[0]
        resampler = av.AudioResampler(format="flt", layout=stream.layout, rate=stream.rate)
        blocks = [b for f in container.decode(stream) for b in resampler.resample(f)]
        blocks += resampler.resample(None)
        flat = np.concatenate([block.to_ndarray().reshape(-1) for block in blocks])
        return flat.reshape(-1, stream.channels), stream.rate


def peak_of(samples: np.ndarray, rate: int) -> float:
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.fft.rfftfreq(len(samples), 1 / rate)[spectrum.argmax()])


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rate", [8000, 44_100, 48_000])
@pytest.mark.parametrize("sound_format", ["wav", "flac"])
def test_what_loses_nothing_comes_back_as_it_was(sound_format: str, rate: int, channels) -> None:
    samples = tone(rate, channels=channels)
    again, got = decoded(encode_sound(samples, rate, sound_format))
    assert got == rate
    assert again.shape == samples.shape
    assert np.abs(again - samples).max() < 1 / 32_000


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rate", [16_000, 44_100, 96_000])
@pytest.mark.parametrize("sound_format", ["mp3", "opus"])
def test_what_loses_something_sounds_the_same(sound_format: str, rate: int, channels: int) -> None:
    samples = tone(rate, 1.0, channels)
    again, got = decoded(encode_sound(samples, rate, sound_format))
    assert again.shape[1] == channels
    assert abs(len(again) / got - 1.0) < 0.1
    for channel in range(channels):
        assert abs(peak_of(again[:, channel], got) - 440 * (channel + 1)) < 5
        assert abs(again[:, channel].std() - samples[:, channel].std()) < 0.05


def test_a_wav_is_16_bit_pcm() -> None:
    with wave.open(io.BytesIO(encode_sound(tone(channels=2), 48_000))) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (2, 2, 48_000)
        assert file.getnframes() == 24_000


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.array([0.0, 1.0, -1.0, 1.5]), [0, 32767, -32767, 32767]),
        (np.array([1, -2], np.int16), [1, -2]),
        (np.array([2**31 - 1, -(2**31)], np.int32), [32767, -32768]),
        (np.array([128, 255, 0], np.uint8), [0, 32512, -32768]),
    ],
)
def test_every_type_is_scaled_to_16_bits(value, expected: list[int]) -> None:
    assert samples_of(value)[:, 0].tolist() == expected


def test_a_tensor_may_have_its_channels_first() -> None:
    assert samples_of(Tensor(np.zeros((2, 100)))).shape == (100, 2)
    assert samples_of(Tensor(np.zeros(100))).shape == (100, 1)


@pytest.mark.parametrize(
    ("samples", "rate", "sound_format", "word"),
    [
        (np.zeros(0), 8000, "wav", "shape 0x1"),
        (np.zeros((2, 44_100)), 8000, "wav", "shape 2x44100"),
        (np.zeros((2, 2, 2)), 8000, "wav", "channels"),
        (np.full(9, 20_000.0), 8000, "wav", "up to 20000"),
        (np.full(9, np.nan), 8000, "wav", "nan"),
        (np.zeros(9, np.int64), 8000, "wav", "int64"),
        (np.zeros(9), 0, "wav", "sample_rate=0"),
        (np.zeros(9), 8000, "aiff", "wav, flac, mp3, opus"),
        (np.zeros((9, 3)), 8000, "mp3", "at most 2 channels"),
    ],
)
def test_what_is_no_sound_is_said_with_its_numbers(samples, rate, sound_format, word) -> None:
    with pytest.raises(UnsupportedFormatError, match=word) as caught:
        encode_sound(samples, rate, sound_format)
    assert caught.value.slug == "unsupported_audio_format"
