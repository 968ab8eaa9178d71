"""Video: a File that the Playground plays as video."""

from pydantic import ConfigDict

from towpath.files.file import File

__all__ = ["Video"]


class Video(File):
    """A video with a public URL. MP4 with H.264 plays in every browser."""

    model_config = ConfigDict(
        json_schema_extra={"description": "A video with a public URL.", "ui": {"field": "video"}}
    )
