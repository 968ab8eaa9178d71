"""A contact sheet of the PNGs in a ZIP: an archive URL in, one picture out."""

import math
from pathlib import Path

from PIL import Image as PillowImage
from PIL import ImageDraw
from pydantic import BaseModel, Field

import towpath

_MOST_PICTURES = 400
_MOST_PIXELS = 50_000_000


class ContactSheetInput(BaseModel):
    """Which pictures, and how large."""

    archive_url: towpath.FileInput = Field(description="A ZIP with PNG files in it.")
    columns: int = Field(default=4, ge=1, le=12)
    thumbnail: int = Field(default=160, ge=32, le=512, description="Pixels of a picture's side.")


class ContactSheetOutput(BaseModel):
    """The sheet, and what is on it."""

    image: towpath.Image
    names: list[str]


class ContactSheet(towpath.App, title="Contact sheet"):
    """Lay the PNGs of a ZIP archive out on one sheet."""

    @towpath.endpoint("/")
    def process(self, request: ContactSheetInput) -> ContactSheetOutput:
        """Return one image with every PNG of the archive, in the order of their names."""
        with towpath.CompressedFile(url=request.archive_url) as archive:
            paths = list(archive.glob("**/*.png"))
            if not paths:
                message = "There are no PNG files in the archive; add some that end in .png."
                raise towpath.InputError(message, "archive_url")
            if len(paths) > _MOST_PICTURES:
                message = f"{len(paths)} pictures are too many for one sheet."
                raise towpath.InputError(message, "archive_url", ctx={"max": _MOST_PICTURES})
            pictures = [self._thumbnail(path, request.thumbnail) for path in paths]
        sheet = self._sheet(pictures, request)
        names = [path.name for path in paths]
        return ContactSheetOutput(image=towpath.Image.from_pil(sheet), names=names)

    def _thumbnail(self, path: Path, side: int) -> PillowImage.Image:
        """Return a small copy of one picture, after a look at its header."""
        try:
            with PillowImage.open(path, formats=["PNG"]) as picture:
                if picture.width * picture.height > _MOST_PIXELS:
                    message = (
                        f"{path.name} has {picture.width} x {picture.height} pixels: too many."
                    )
                    raise towpath.InputError(message, "archive_url", ctx={"max": _MOST_PIXELS})
                small = picture.convert("RGB")
        except (OSError, ValueError, SyntaxError):
            message = f"{path.name} is not a whole PNG; pack it again."
            raise towpath.InputError(message, "archive_url") from None
        small.thumbnail((side, side))
        return small

    def _sheet(
        self, pictures: list[PillowImage.Image], request: ContactSheetInput
    ) -> PillowImage.Image:
        """Lay the pictures out."""
        cell = request.thumbnail + 8
        rows = math.ceil(len(pictures) / request.columns)
        sheet = PillowImage.new("RGB", (cell * request.columns, cell * rows), "#202020")
        brush = ImageDraw.Draw(sheet)
        for number, picture in enumerate(pictures):
            left, top = number % request.columns * cell, number // request.columns * cell
            sheet.paste(picture, (left + 4, top + 4))
            brush.rectangle((left, top, left + cell - 1, top + cell - 1), outline="#404040")
        return sheet
