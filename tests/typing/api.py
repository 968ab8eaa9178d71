"""How authors write apps, as type checkers see it. Never run."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import assert_type

from PIL import Image as PillowImage

import towpath
from towpath.toolkit import (
    MODEL_WEIGHTS_DIR,
    Head,
    ImageSize,
    Opened,
    PruneReport,
    get_image_size,
    prune,
    register_source,
)


class Typed(towpath.App, name="typed", max_multiplexing=2):
    machine_type = "GPU-A100"

    def setup(self) -> None:
        self.weights = towpath.download_model_weights("https://x.test/w.bin", filesize_limit=10)

    @towpath.endpoint("/")
    def run(self, video_url: str, image: towpath.ImageInput) -> dict[str, object]:
        assert_type(self.weights, Path)
        assert_type(image.to_pil(), PillowImage.Image)
        assert_type(towpath.download_file(video_url, "inputs", force=True), Path)
        picture = towpath.Image.from_pil(image.to_pil(), "webp", expires_in="1h")
        assert_type(picture, towpath.Image)
        assert_type(towpath.Video.from_path("a.mp4", repository="in_memory"), towpath.Video)
        return {"image": picture}

    @towpath.endpoint("/later")
    async def later(self, url: str) -> towpath.File:
        assert_type(await towpath.download_file_async(url, "inputs"), Path)
        assert_type(await towpath.File.from_bytes_async(b"x", "text/plain"), towpath.File)
        return await towpath.File.from_path_async("x")


def many(urls: list[str]) -> None:
    assert_type(towpath.download_files(urls, "inputs", sha256="0" * 64), list[Path])
    assert_type(towpath.clone_repository("https://x.test/a.git", commit_hash="0" * 40), Path)
    assert_type(prune(max_bytes=10**9), PruneReport)
    towpath.download_file(urls[0], "inputs", progress=lambda done, total: None, patience=3.0)
    towpath.download_file(urls[0], "inputs", progress="bar", sources={"s3"}, max_age=3)


class Own:
    schemes = frozenset({"own"})

    @contextmanager
    def open(
        self,
        url: str,
        *,
        headers: Mapping[str, str],
        start: int = 0,
        stop: int | None = None,
        validator: str | None = None,
    ) -> Iterator[Opened]:
        yield Opened(Head(url, "name", 1), lambda: iter([b"x"]))


register_source(Own())

assert_type(get_image_size("square"), ImageSize)
assert_type(MODEL_WEIGHTS_DIR, Path)
