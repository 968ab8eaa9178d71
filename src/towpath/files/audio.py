"""Audio: a File that the Playground plays as sound, to and from samples."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Literal, Self, Unpack

from pydantic import ConfigDict

from towpath.codecs import sounds
from towpath.concurrency import in_thread
from towpath.files.facts import MediaFacts
from towpath.files.file import File
from towpath.files.upload_options import UploadOptions, described

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Audio", "SoundFormat"]

SoundFormat = Literal["wav", "flac", "mp3", "opus"]


class Audio(File):
    """A sound with a public URL. WAV and MP3 play in every browser."""

    model_config = ConfigDict(
        json_schema_extra={"description": "A sound with a public URL.", "ui": {"field": "audio"}}
    )

    @classmethod
    def from_array(
        cls,
        samples: object,
        sample_rate: int,
        format: SoundFormat = "wav",  # noqa: A002 - as Image's
        *,
        file_name: str | None = None,
        **options: Unpack[UploadOptions],
    ) -> Self:
        """Encode and upload samples.

        Args:
            samples: (n,) or (n, channels): floats of -1 to 1, int16, int32 of full scale, or
                uint8 around 128; a tensor may have its channels first.
            sample_rate: samples a second.
            format: wav (16 bits), flac, mp3 (192 kbit/s) or opus (in Ogg, 128 kbit/s); rates that
                mp3 and opus lack are resampled.
            file_name: the name that people see; a random one by default.
            options: see UploadOptions.

        Raises:
            UnsupportedFormatError: the format, the rate, or the samples cannot be written.
            UploadError: it could not be stored.
        """
        kind = sounds.content_type_of_sound(format)
        array = sounds.samples_of(samples)
        data = sounds.encode_sound(array, sample_rate, format)
        extension = "opus" if format == "opus" else format
        name = file_name or f"{secrets.token_hex(16)}.{extension}"
        audio = cls._uploaded(described(data, kind, name), options).holding(data)
        audio.metadata = MediaFacts(
            duration=round(len(array) / sample_rate, 6),
            sample_rate=sample_rate,
            channels=array.shape[1],
            codec={"wav": "pcm_s16le"}.get(format, format),
        )
        return audio

    def to_array(self, sample_rate: int | None = None) -> tuple[NDArray[np.float32], int]:
        """Return the samples, float32 of (n, channels), and how many there are a second.

        The decoder is a process of its own that can reach neither files nor the network.

        Args:
            sample_rate: samples a second that are wanted; None = as they are.

        Raises:
            DownloadError: the URL cannot be read.
            BrokenMediaError: it is no sound, is damaged, or is longer than
                TOWPATH_MEDIA_MAX_SECONDS.
        """
        return self._media().samples(sample_rate)

    @classmethod
    async def from_array_async(
        cls,
        samples: object,
        sample_rate: int,
        format: SoundFormat = "wav",  # noqa: A002 - as from_array
        *,
        file_name: str | None = None,
        **options: Unpack[UploadOptions],
    ) -> Self:
        """Do what `from_array` does, off the event loop."""
        call = in_thread(cls.from_array)
        return await call(samples, sample_rate, format, file_name=file_name, **options)
