"""Sound out and sound in: a voice-like tone for each letter, and the loudness of a clip."""

import math

import numpy as np
from pydantic import BaseModel, Field

import towpath
from towpath.errors import MediaError

_RATE = 24_000
_LETTER_SECONDS = 0.09


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
        audio = towpath.Audio.from_array(samples, _RATE, file_name="speech.wav")
        return SpeakOutput(audio=audio, seconds=len(samples) / _RATE)

    @towpath.endpoint("/loudness")
    def loudness(self, request: LoudnessInput) -> LoudnessOutput:
        """Return the loudness of a sound."""
        try:
            samples, rate = request.audio_url.to_array()
        except MediaError:
            message = "This is not a sound that can be decoded; send a WAV, FLAC or MP3."
            raise towpath.InputError(message, "audio_url") from None
        return LoudnessOutput(
            seconds=samples.shape[0] / rate,
            sample_rate=rate,
            channels=samples.shape[1],
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


def decibels(level: float) -> float:
    """Return *level* in dB below full scale; silence is -120."""
    return round(20 * math.log10(max(level, 1e-6)), 2)
