"""From a file of ours or a stranger's to its facts, pictures and samples, within the limits."""

from pathlib import Path

from towpath.codecs import images
from towpath.codecs.decoder import Media
from towpath.codecs.records import MediaLimits
from towpath.files.facts import MediaFacts
from towpath.media.content_types import sniff
from towpath.settings import active, environment_of_decoder

__all__ = ["facts_of", "media_of"]

_HEAD = 64


def media_of(data: bytes | Path, url: str) -> Media:
    """Return sound or video that can be asked for its content."""
    settings = active()
    limits = MediaLimits(
        pixels=settings.image_max_pixels,
        frames=settings.media_max_frames,
        seconds=settings.media_max_seconds,
    )
    return Media(data, limits, environment_of_decoder(), url=url)


def facts_of(data: bytes | Path, url: str) -> MediaFacts:
    """Return what is known of a picture, a video or a sound.

    Raises:
        MediaError: it is none that is read here.
    """
    if isinstance(data, bytes):
        head = data[:_HEAD]
    else:
        with data.open("rb") as file:
            head = file.read(_HEAD)
    if (sniff(head) or "").startswith("image/"):
        return MediaFacts(**images.facts_in(data, url=url))
    return MediaFacts(**media_of(data, url).facts())
