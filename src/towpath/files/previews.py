"""Pictures that show how far a request is; they are not kept for long."""

from __future__ import annotations

from typing import TYPE_CHECKING

from towpath.files.file import File
from towpath.files.image import Image

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image as PILImage

    Preview = File | PILImage | NDArray[np.generic]

__all__ = ["preview_file"]

_LIFE = 3600


def preview_file(preview: Preview) -> File:
    """Return a preview as a file; one that is none yet is saved as a JPEG, for an hour.

    Raises:
        UploadError: it could not be stored.
    """
    if isinstance(preview, File):
        return preview
    from PIL.Image import Image as PILImage  # noqa: PLC0415 - imports stay quick

    if isinstance(preview, PILImage):
        return Image.from_pil(preview, "jpeg", expires_in=_LIFE)
    return Image.from_array(preview, "jpeg", expires_in=_LIFE)
