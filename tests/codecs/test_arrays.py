import numpy as np
import pytest

from towpath.codecs.arrays import image_of, pixels_of
from towpath.errors import UnsupportedFormatError


class Tensor:
    """What a tensor of torch looks like from outside."""

    def __init__(self, array, dtype: str = "torch.float32") -> None:
        self.array, self.dtype = np.asarray(array), dtype

    def detach(self) -> "Tensor":
        return self

    def cpu(self) -> "Tensor":
        return self

    def float(self) -> "Tensor":
        return Tensor(self.array.astype(np.float32))

    def numpy(self):
        if "bfloat16" in self.dtype:
            message = "Got unsupported ScalarType BFloat16"
            raise TypeError(message)
        return self.array


@pytest.mark.parametrize(
    ("shape", "mode"),
    [
        ((4, 6), "L"),
        ((4, 6, 1), "L"),
        ((4, 6, 2), "LA"),
        ((4, 6, 3), "RGB"),
        ((4, 6, 4), "RGBA"),
        ((1, 4, 6, 3), "RGB"),
    ],
)
def test_shapes_are_modes(shape, mode: str) -> None:
    image = image_of(np.arange(np.prod(shape), dtype=np.uint8).reshape(shape))
    assert (image.mode, image.size) == (mode, (6, 4))


@pytest.mark.parametrize("shape", [(3, 4, 6), (1, 3, 4, 6), (1, 4, 6), (4, 6), (4, 4, 6)])
def test_tensors_have_their_channels_first(shape) -> None:
    values = np.random.default_rng(1).random(shape)
    image = image_of(Tensor(values))
    assert image.size == (6, 4)
    flat = values.reshape(shape[-3:] if len(shape) == 4 else shape)
    first = flat[0, 0, 0] if flat.ndim == 3 else flat[0, 0]
    pixel = image.getpixel((0, 0))
    assert (pixel if isinstance(pixel, int) else pixel[0]) == round(first * 255)


def test_bfloat16_goes_through_float32() -> None:
    assert image_of(Tensor(np.ones((3, 2, 2)), "torch.bfloat16")).getpixel((0, 0)) == (255,) * 3


@pytest.mark.parametrize(
    ("value", "expected"), [(0.0, 0), (1.0, 255), (0.5, 128), (1 / 255, 1), (-0.1, 0), (1.2, 255)]
)
def test_floats_are_rounded_and_slightly_beyond_is_clipped(value: float, expected: int) -> None:
    assert pixels_of(np.full((2, 2), value))[0, 0] == expected


def test_integers_are_taken_as_they_are() -> None:
    assert pixels_of(np.array([[True, False]])).tolist() == [[255, 0]]
    assert pixels_of(np.array([[0, 255]], dtype=np.int64)).tolist() == [[0, 255]]
    deep = image_of(np.array([[0, 40_000]], dtype=np.uint16))
    assert (deep.mode, deep.getpixel((1, 0))) == ("I;16", 40_000)
    assert pixels_of(np.full((1, 1, 3), 65_535, np.uint16)).tolist() == [[[255] * 3]]


@pytest.mark.parametrize(
    ("array", "word"),
    [
        (np.zeros(5), "shape 5"),
        (np.zeros((2, 2, 5)), "2x2x5"),
        (np.zeros((3, 4, 6)), "HxWxC"),
        (np.zeros((2, 4, 6, 3)), "one picture at a time"),
        (np.zeros((0, 4)), "0x4"),
        (np.full((2, 2), 255.0), "go from 255 to 255"),
        (np.full((2, 2), -1.0), "from 0 to 1"),
        (np.full((2, 2), np.nan), "nan"),
        (np.full((2, 2), 300), "go from 300 to 300"),
        (np.full((2, 2), 1j), "complex"),
        (np.array([["a"]]), "type"),
    ],
)
def test_what_is_no_picture_is_said_with_its_numbers(array, word: str) -> None:
    with pytest.raises(UnsupportedFormatError, match=word):
        pixels_of(array)
