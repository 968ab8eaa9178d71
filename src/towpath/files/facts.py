"""What is known of media beside the file itself."""

from typing import Any

from pydantic import (
    BaseModel,
    ConfigDict,
    SerializerFunctionWrapHandler,
    ValidationError,
    ValidatorFunctionWrapHandler,
    model_serializer,
)

__all__ = ["MediaFacts", "known_facts"]


class MediaFacts(BaseModel):
    """What a picture, a video or a sound is like; only what is known is in its JSON.

    Attributes:
        width: pixels across, as seen.
        height: pixels down, as seen.
        duration: seconds.
        fps: pictures a second, on average.
        frames: pictures in all.
        codec: such as h264, png, mp3; of the pictures where there are some.
        audio_codec: of the sound beside pictures.
        sample_rate: samples a second of each channel.
        channels: of the sound.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    width: int | None = None
    height: int | None = None
    duration: float | None = None
    fps: float | None = None
    frames: int | None = None
    codec: str | None = None
    audio_codec: str | None = None
    sample_rate: int | None = None
    channels: int | None = None

    @model_serializer(mode="wrap")
    def _known(self, handler: SerializerFunctionWrapHandler):  # type: ignore[no-untyped-def]  # noqa: ANN202 - a return type would be its schema
        told: dict[str, Any] = handler(self)
        return {key: value for key, value in told.items() if value is not None}


def known_facts(value: object, handler: ValidatorFunctionWrapHandler) -> MediaFacts | None:
    """Take facts that make sense; what callers call so otherwise counts for nothing."""
    try:
        facts: MediaFacts | None = handler(value)
    except ValidationError:
        return None
    return facts
