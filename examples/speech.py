"""Sound out and sound in: a voice-like tone for each letter, and the loudness of a clip."""

import io
import math
import wave
from pathlib import Path

import av
import numpy as np
from pydantic import BaseModel, Field

import towpath

_RATE = 24_000
_LETTER_SECONDS = 0.09
_FORMATS = "wav,flac,mp3,ogg,mov,mp4,matroska,webm"
_MOST_SECONDS = 600


class SpeakInput(BaseModel):
    """What to say."""

    text: str = Field(min_length=1, max_length=400)
    pitch: float = Field(default=120, ge=60, le=400, description="Hz of the voice.")


class SpeakOutput(BaseModel):
    """What was said."""

    audio: towpath.Audio
    seconds: float


class LoudnessInput(BaseModel):
    """What to measure."""

    audio_url: towpath.AudioInput = Field(description="WAV, FLAC, MP3, OGG, or a clip with sound.")


class LoudnessOutput(BaseModel):
    """How loud it is; 0 dBFS is the loudest that fits."""

    seconds: float
    sample_rate: int
    channels: int
    rms_dbfs: float
    peak_dbfs: float


class Speech(towpath.App, title="Speech"):
    """Make voice-like sound, and measure sound."""

    @towpath.endpoint("/")
    def speak(self, request: SpeakInput) -> SpeakOutput:
        """Return a WAV in which every letter has a vowel-like tone of its own."""
        samples = np.concatenate([letter_tone(c, request.pitch) for c in request.text.lower()])
        audio = towpath.Audio.from_bytes(wav_bytes(samples), "audio/wav", "speech.wav")
        return SpeakOutput(audio=audio, seconds=len(samples) / _RATE)

    @towpath.endpoint("/loudness")
    def loudness(self, request: LoudnessInput) -> LoudnessOutput:
        """Return the loudness of a sound."""
        with request.audio_url.as_temp_file() as path:
            try:
                samples, rate = read_samples(path)
            except (av.FFmpegError, ValueError, IndexError, MemoryError):
                message = "This is not a sound that can be decoded; send a WAV, FLAC or MP3."
                raise towpath.InputError(message, "audio_url") from None
        return LoudnessOutput(
            seconds=samples.shape[1] / rate,
            sample_rate=rate,
            channels=samples.shape[0],
            rms_dbfs=decibels(float(np.sqrt(np.mean(samples.astype(np.float64) ** 2)))),
            peak_dbfs=decibels(float(np.abs(samples).max())),
        )


def letter_tone(letter: str, pitch: float) -> np.ndarray:
    """Return a buzz at *pitch*, coloured by two formants that the letter decides."""
    time = np.arange(int(_RATE * _LETTER_SECONDS)) / _RATE
    if not letter.isalnum():
        return np.zeros_like(time)
    first, second = 300 + ord(letter) % 7 * 90, 900 + ord(letter) % 11 * 140
    tone = np.zeros_like(time)
    for harmonic in range(1, 24):
        frequency = pitch * harmonic
        gain = sum(math.exp(-(((frequency - formant) / 120) ** 2)) for formant in (first, second))
        tone += (gain + 0.02) * np.sin(math.tau * frequency * time)
    fade = np.minimum(1, np.minimum(time, time[::-1]) / 0.01)
    return np.asarray(0.5 * fade * tone / max(1e-9, np.abs(tone).max()))


def wav_bytes(samples: np.ndarray) -> bytes:
    """Return mono samples of -1 to 1 as a 16-bit WAV."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(_RATE)
        file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    return buffer.getvalue()


def read_samples(path: Path) -> tuple[np.ndarray, int]:
    """Decode a stranger's sound: floats of -1 to 1, one row a channel; at most ten minutes."""
    options = {"protocol_whitelist": "none", "format_whitelist": _FORMATS}
    blocks: list[np.ndarray] = []
    seconds = 0.0
    with av.open(path.open("rb", buffering=0), "r", options=options) as source:
        stream = source.streams.audio[0]
        resampler = av.AudioResampler(format="fltp", layout=stream.layout, rate=stream.rate)
        for frame in source.decode(audio=0):
            blocks += [part.to_ndarray() for part in resampler.resample(frame)]
            seconds += frame.samples / stream.rate
            if seconds > _MOST_SECONDS:
                break
        rate = stream.rate
    return np.concatenate(blocks, axis=1), rate


def decibels(level: float) -> float:
    """Return *level* in dB below full scale; silence is -120."""
    return round(20 * math.log10(max(level, 1e-6)), 2)
