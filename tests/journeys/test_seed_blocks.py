"""The code blocks of the page that towpath implements, each as it stands there.

`fal` is read as `towpath`, made-up hosts are a server on loopback, and the names that the blocks
leave undefined are given.
"""

import io
import zipfile
from pathlib import Path

import httpx2
import pytest
from PIL import Image as PillowImage
from tests.support.origin import Origin

from towpath.context import ProcessPlaces, set_places
from towpath.errors import FileTooLargeError


def test_downloading_input_files(serve_code, origin: Origin, tmp_path: Path) -> None:
    client, _ = serve_code(
        """
        import towpath
        from towpath.toolkit import download_file

        class MyModel(towpath.App):
            machine_type = "GPU-A100"

            def setup(self):  # the page leaves self.model undefined
                self.model = self

            @towpath.endpoint("/")
            def process(self, video_url: str) -> dict:
                local_path = download_file(video_url, target_dir="/tmp/inputs")
                result = self.model.process_file(str(local_path))
                return {"output": result}

            def process_file(self, path):
                import tempfile
                return [open(path).read(), path.startswith(tempfile.gettempdir())]
        """
    )
    url = origin.put("/clips/a.mp4", b"frames")
    expected = {"output": ["frames", True]}
    assert client.post("/local/my-model", json={"video_url": url}).json() == expected
    assert client.post("/local/my-model", params={"video_url": url}).json() == expected


def test_caching(settings, origin: Origin, data_dir: Path) -> None:
    from towpath.toolkit import download_file

    url = origin.put("/a.bin", b"x" * 1000)
    path = download_file(url, target_dir="/data/inputs")

    path = download_file(url, target_dir="/data/inputs")

    path = download_file(url, target_dir="/data/inputs", force=True)
    assert path == data_dir / "inputs" / "a.bin"
    assert len(origin.seen) == 3


def test_authenticated_downloads(settings, origin: Origin, data_dir: Path) -> None:
    from towpath.toolkit import download_file

    private = origin.put("/model.bin", b"weights")
    path = download_file(
        private,
        target_dir="/data/models",
        request_headers={"Authorization": "Bearer your-token"},
    )
    assert path == data_dir / "models" / "model.bin"
    assert origin.seen[0].headers["authorization"] == "Bearer your-token"


def test_file_size_limits(settings, origin: Origin, tmp_path: Path) -> None:
    from towpath.toolkit import download_file

    set_places(ProcessPlaces(temp=tmp_path / "own-tmp"))
    try:
        url = origin.put("/a.bin", b"x")
        path = download_file(url, target_dir="/tmp", filesize_limit=500)
        assert path == tmp_path / "own-tmp" / "a.bin"
        origin.put("/a.bin", b"x", declared=500 * 2**20 + 1)
        with pytest.raises(FileTooLargeError):
            download_file(url, target_dir="/tmp", filesize_limit=500)
    finally:
        set_places(ProcessPlaces())


def test_downloading_model_weights(serve_code, origin: Origin) -> None:
    url = origin.put("/org/model/resolve/main/weights.bin", b"w" * 10)
    client, _ = serve_code(
        f"""
        import towpath
        from towpath.toolkit import download_model_weights

        def load_from_weights(path):
            return path.stat().st_size

        class MyModel(towpath.App):
            def setup(self):
                weights_path = download_model_weights("{url}")
                self.model = load_from_weights(weights_path)

            @towpath.endpoint("/")  # the page shows only setup
            def run(self) -> dict:
                return {{"model": self.model}}
        """
    )
    assert client.post("/local/my-model").json() == {"model": 10}


def test_returning_files_from_endpoints(serve_code) -> None:
    client, _ = serve_code(
        """
        import towpath
        from towpath.toolkit import Image
        from PIL import Image as PillowImage

        def load_model():
            class Result:
                images = [PillowImage.new("RGB", (8, 6), "green")]
            return lambda prompt: Result

        class MyModel(towpath.App):
            machine_type = "GPU-A100"

            def setup(self):
                self.pipe = load_model()

            @towpath.endpoint("/")
            def generate(self, prompt: str) -> dict:
                pil_image = self.pipe(prompt).images[0]
                return {"image": Image.from_pil(pil_image)}
        """
    )
    image = client.post("/local/my-model", json={"prompt": "x"}).json()["image"]
    opened = PillowImage.open(io.BytesIO(httpx2.get(image["url"]).content))
    assert (opened.size, opened.getpixel((0, 0))) == ((8, 6), (0, 128, 0))


def test_creating_files(hosting, tmp_path: Path) -> None:
    from towpath.toolkit import Audio, File, Image, Video

    pil_image = PillowImage.new("RGB", (4, 4))
    buffer = io.BytesIO()
    pil_image.save(buffer, "png")
    raw_bytes = data = buffer.getvalue()
    for name in ("output.png", "output.mp4", "output.wav", "result.obj"):
        (tmp_path / name).write_bytes(raw_bytes)
    (tmp_path / "output.mp4").write_bytes(b"\0\0\0\x20ftypisom")
    (tmp_path / "output.wav").write_bytes(b"RIFF\0\0\0\0WAVEfmt ")

    image = Image.from_pil(pil_image)
    made = [image]
    image = Image.from_pil(pil_image, format="webp")
    made.append(image)
    image = Image.from_bytes(raw_bytes, format="png")
    made.append(image)
    image = Image.from_path(f"{tmp_path}/output.png")

    video = Video.from_path(f"{tmp_path}/output.mp4")
    audio = Audio.from_path(f"{tmp_path}/output.wav")
    made += [image, video, audio]
    audio = Audio.from_bytes(raw_bytes, content_type="audio/wav", file_name="output.wav")

    generic = File.from_path(f"{tmp_path}/result.obj")
    made += [audio, generic]
    generic = File.from_bytes(data, content_type="application/octet-stream", file_name="model.glb")
    made.append(generic)
    types = [file.content_type for file in made]
    assert types == [
        *("image/png", "image/webp", "image/png", "image/png", "video/mp4", "audio/wav"),
        *("audio/wav", "model/obj", "application/octet-stream"),
    ]
    assert all(file.as_bytes() for file in made)


def test_the_type_system_and_playground(serve_code) -> None:
    client, _ = serve_code(
        """
        import towpath
        from pydantic import BaseModel
        from towpath.toolkit import Image, Video, Audio

        class Output(BaseModel):
            image: Image
            video: Video
            audio: Audio

        class MyModel(towpath.App):
            @towpath.endpoint("/")
            def run(self, image_url: str, file_url: str, prompt: str) -> Output:
                return Output(image="data:,x", video="data:,x", audio="data:,x")
        """
    )
    document = client.get("/local/my-model/openapi.json").json()
    schemas = document["components"]["schemas"]
    shown = {name: schemas[name]["ui"]["field"] for name in ("Image", "Video", "Audio")}
    assert shown == {"Image": "image", "Video": "video", "Audio": "audio"}
    assert schemas["Output"]["x-fal-order-properties"] == ["image", "video", "audio"]
    inputs = schemas["RunInput"]["properties"]
    assert inputs["image_url"]["ui"] == {"field": "image"}
    assert inputs["file_url"]["ui"] == {"field": "file"}
    assert "ui" not in inputs["prompt"]
    assert document["x-fal-order-paths"] == ["/", "/health"]


def test_compressed_files(serve_code, origin: Origin) -> None:
    client, _ = serve_code(
        """
        import towpath
        from towpath.toolkit import CompressedFile

        class MyApp(towpath.App):
            @towpath.endpoint("/")
            def process(self, archive_url: str) -> dict:
                archive = CompressedFile(url=archive_url)
                png_files = list(archive.glob("*.png"))
                return {"file_count": len(png_files)}
        """
    )
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in ("a.png", "b.png", "c.txt"):
            archive.writestr(name, b"x")
    url = origin.put("/a.zip", buffer.getvalue())
    assert client.post("/local/my-app", json={"archive_url": url}).json() == {"file_count": 2}
