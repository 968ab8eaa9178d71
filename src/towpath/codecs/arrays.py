"""Arrays and tensors to pixels and back, by what they look like: no torch is imported."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from towpath.errors import UnsupportedFormatError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image as PILImage

__all__ = ["as_array", "image_of", "is_tensor", "pixels_of"]

_CHANNELS = (1, 2, 3, 4)
_LOWEST, _HIGHEST = -0.5, 1.5  # beyond them, floats are plainly of another range
_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}


def is_tensor(value: object) -> bool:
    """Return whether *value* is a tensor: channels come first in its pictures."""
    return hasattr(value, "detach") and hasattr(value, "cpu")


def as_array(value: Any) -> NDArray[Any]:  # noqa: ANN401 - whatever numpy takes
    """Return *value* as a numpy array; tensors are brought here from wherever they live."""
    import numpy as np  # noqa: PLC0415 - when the first array comes

    if is_tensor(value):
        value = value.detach().cpu()
        if "bfloat16" in str(getattr(value, "dtype", "")):
            value = value.float()
        value = value.numpy()
    return np.asarray(value)


def pixels_of(value: object) -> NDArray[Any]:
    """Return pixels HxW or HxWxC, uint8 (uint16 for a grey picture of uint16).

    Args:
        value: HxW, HxWx1, HxWx2 (grey and alpha), HxWx3, HxWx4; a tensor with its channels first;
            a batch of one. bool, integers 0 to 255, uint16, or floats 0 to 1, which are rounded;
            floats slightly beyond, as models make them, are clipped.

    Raises:
        UnsupportedFormatError: it has another shape or range, or holds NaN.
    """
    array = _shaped(as_array(value), channels_first=is_tensor(value))
    if array.dtype.kind == "f":
        return _from_floats(array)
    return _from_integers(array)


def _shaped(array: NDArray[Any], *, channels_first: bool) -> NDArray[Any]:
    """Return HxW or HxWxC."""
    import numpy as np  # noqa: PLC0415 - as above

    shape = array.shape
    if array.ndim == 4 and shape[0] == 1:  # noqa: PLR2004 - a batch of one
        array = array[0]
    if array.ndim == 3 and channels_first and array.shape[0] in _CHANNELS:  # noqa: PLR2004
        array = np.moveaxis(array, 0, -1)
    if array.ndim == 3 and array.shape[2] == 1:  # noqa: PLR2004
        array = array[:, :, 0]
    is_right = array.ndim == 2 or (array.ndim == 3 and array.shape[2] in _CHANNELS)  # noqa: PLR2004
    if not is_right or 0 in array.shape:
        order = "CxHxW" if channels_first else "HxWxC"
        message = (
            f"An array of shape {'x'.join(map(str, shape))} is not a picture. "
            f"Give HxW or {order} with 1 to 4 channels, one picture at a time."
        )
        raise UnsupportedFormatError(message)
    return array


def _from_floats(array: NDArray[Any]) -> NDArray[Any]:
    """Scale floats of 0 to 1."""
    import numpy as np  # noqa: PLC0415 - as above

    array = array.astype(np.float32, copy=False)
    low, high = float(array.min()), float(array.max())
    if not (low >= _LOWEST and high <= _HIGHEST):  # also refuses NaN
        message = (
            f"Floats of a picture go from 0 to 1; these go from {low:g} to {high:g}. "
            "Scale them, or pass uint8."
        )
        raise UnsupportedFormatError(message)
    scaled: NDArray[Any] = np.rint(np.clip(array, 0.0, 1.0) * 255).astype(np.uint8)
    return scaled


def _from_integers(array: NDArray[Any]) -> NDArray[Any]:
    """Take 8-bit values as they are, and 16-bit grey."""
    import numpy as np  # noqa: PLC0415 - as above

    if array.dtype == np.uint8:
        return array
    if array.dtype == np.bool_:
        return array.astype(np.uint8) * 255
    if array.dtype == np.uint16:
        return array if array.ndim == 2 else (array >> 8).astype(np.uint8)  # noqa: PLR2004
    if array.dtype.kind not in "iu":
        message = f"Pixels of type {array.dtype} are not written; give uint8 or floats of 0 to 1."
        raise UnsupportedFormatError(message)
    low, high = int(array.min()), int(array.max())
    if low < 0 or high > 255:  # noqa: PLR2004
        message = (
            f"Pixels of {array.dtype} go from 0 to 255; these go from {low} to {high}. "
            "Scale them, or pass uint16 for a grey picture."
        )
        raise UnsupportedFormatError(message)
    return array.astype(np.uint8)


def image_of(value: object) -> PILImage:
    """Return a PIL image of an array, a tensor, or a PIL image."""
    from PIL import Image as PillowImage  # noqa: PLC0415 - when the first picture comes

    if isinstance(value, PillowImage.Image):
        return value
    import numpy as np  # noqa: PLC0415 - as above

    pixels = np.ascontiguousarray(pixels_of(value))
    height, width = pixels.shape[:2]
    channels = pixels.shape[2] if pixels.ndim > 2 else 1  # noqa: PLR2004
    mode = "I;16" if pixels.dtype == np.uint16 else _MODES[channels]
    if mode == "I;16":
        pixels = pixels.astype("<u2", copy=False)
    return PillowImage.frombytes(mode, (width, height), pixels.tobytes())
