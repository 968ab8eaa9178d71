"""How authors write apps, as type checkers see it. Never run."""

from pathlib import Path
from typing import assert_type

from PIL import Image as PillowImage

import towpath
from towpath.toolkit import MODEL_WEIGHTS_DIR, ImageSize, get_image_size


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


assert_type(get_image_size("square"), ImageSize)
assert_type(MODEL_WEIGHTS_DIR, Path)
