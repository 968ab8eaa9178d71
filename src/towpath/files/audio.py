"""Audio: a File that the Playground plays as sound."""

from pydantic import ConfigDict

from towpath.files.file import File

__all__ = ["Audio"]


class Audio(File):
    """A sound with a public URL. WAV and MP3 play in every browser."""

    model_config = ConfigDict(
        json_schema_extra={"description": "A sound with a public URL.", "ui": {"field": "audio"}}
    )
