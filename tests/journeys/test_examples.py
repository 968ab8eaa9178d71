"""Each example answers a real request, and what it returns is decoded and checked."""

import base64
import io
import wave
import zipfile
from collections.abc import Iterator
from pathlib import Path

import av
import httpx2
import numpy as np
import pytest
from PIL import Image as PillowImage
from tests.support.origin import Origin

from towpath.testing import serve

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="module")
def weights() -> Iterator[Origin]:
    with Origin() as server:
        server.put("/weights/colours.json", (EXAMPLES / "weights" / "colours.json").read_bytes())
        yield server


@pytest.fixture(scope="module")
def client(weights: Origin, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx2.Client]:
    """All six examples behind one server."""
    patch = pytest.MonkeyPatch()
    patch.setenv("WEIGHTS_URL", weights.url("/weights/colours.json"))
    files = [str(path) for path in sorted(EXAMPLES.glob("*.py"))]
    data = tmp_path_factory.mktemp("data")
    with (
        serve(*files, data_dir=data, store_reserve=0, allow_hosts="127.0.0.1") as server,
        httpx2.Client(base_url=server.url, timeout=60) as own,
    ):
        assert len(server.running.engine.specs) == 7
        yield own
    patch.undo()


def uri(data: bytes, content_type: str) -> str:
    return f"data:{content_type};base64,{base64.b64encode(data).decode()}"


def png(image: PillowImage.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "png")
    return buffer.getvalue()


def run(client: httpx2.Client, path: str, **inputs: object) -> dict:
    answer = client.post(f"/local/{path}", json=inputs)
    assert answer.status_code == 200, answer.text
    return answer.json()


def fetch(file: dict) -> bytes:
    answer = httpx2.get(file["url"])
    assert answer.status_code == 200
    assert answer.headers["content-type"] == file["content_type"]
    assert len(answer.content) == file["file_size"]
    return answer.content


def picture(file: dict) -> PillowImage.Image:
    image = PillowImage.open(io.BytesIO(fetch(file)))
    assert image.size == (file["width"], file["height"])
    return image


def test_upscale_returns_a_larger_picture(client: httpx2.Client) -> None:
    source = PillowImage.new("RGB", (32, 20), "blue")
    source.paste("yellow", (0, 0, 16, 20))
    image = run(client, "upscale", image_url=uri(png(source), "image/png"), scale=2)["image"]
    assert list(image) == [
        *("url", "content_type", "file_name", "file_size", "width", "height", "expires_at"),
    ]
    larger = picture(image)
    assert larger.size == (64, 40)
    assert larger.getpixel((5, 20)) == (255, 255, 0)
    assert larger.getpixel((60, 20)) == (0, 0, 255)


def test_upscale_takes_a_form_with_an_uploaded_picture(client: httpx2.Client) -> None:
    files = {"image_url": ("photo.png", png(PillowImage.new("RGB", (5, 4), "red")), "image/png")}
    answer = client.post("/local/upscale", files=files, data={"scale": "3"})
    assert answer.status_code == 200, answer.text
    assert picture(answer.json()["image"]).size == (15, 12)


def test_its_output_is_the_next_ones_input(client: httpx2.Client) -> None:
    drawn = run(client, "text-to-image", prompt="canal", image_size="square")["images"][0]
    larger = run(client, "upscale", image_url=drawn["url"], scale=2, format="jpeg")["image"]
    assert picture(larger).size == (1024, 1024)
    assert larger["content_type"] == "image/jpeg"


def test_text_to_image_draws_as_many_as_asked_for_in_the_size_asked_for(client) -> None:
    size = {"width": 320, "height": 200}
    first = run(client, "text-to-image", prompt="a canal", num_images=3, image_size=size)
    pixels = [picture(image).convert("RGB").tobytes() for image in first["images"]]
    assert len(set(pixels)) == 3
    again = run(client, "text-to-image", prompt="a canal", image_size=size)
    assert picture(again["images"][0]).convert("RGB").tobytes() == pixels[0]
    wide = run(client, "text-to-image", prompt="x", image_size="landscape_16_9")["images"][0]
    assert picture(wide).size == (1024, 576)


def clip(seconds: float = 2, rate: int = 10) -> bytes:
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="matroska") as sink:
        stream = sink.add_stream("libx264", rate=rate)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        for number in range(int(seconds * rate)):
            pixels = np.full((64, 64, 3), number * 12 % 256, dtype=np.uint8)
            for packet in stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")):
                sink.mux(packet)
        for packet in stream.encode(None):
            sink.mux(packet)
    return buffer.getvalue()


def test_slow_motion_trims_and_slows(client: httpx2.Client) -> None:
    source = uri(clip(), "video/x-matroska")
    answer = run(client, "slow-motion", video_url=source, start=0.5, duration=1, factor=2)
    assert (answer["frames"], answer["seconds"]) == (10, 2.0)
    data = fetch(answer["video"])
    assert answer["video"]["content_type"] == "video/mp4"
    assert data.index(b"moov") < data.index(b"mdat"), "a browser can start before the end"
    with av.open(io.BytesIO(data)) as opened:
        stream = opened.streams.video[0]
        assert stream.codec_context.pix_fmt == "yuv420p"
        frames = [frame.to_ndarray(format="rgb24") for frame in opened.decode(video=0)]
        assert abs(float(stream.duration * stream.time_base) - 2.0) < 0.25
    assert len(frames) == 10
    assert abs(float(frames[0].mean()) - 60) < 6


@pytest.mark.parametrize(
    "data",
    [
        b"not a video",
        b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n",
        b"ffconcat version 1.0\nfile '/etc/passwd'\n",
    ],
)
def test_slow_motion_refuses_what_is_no_video_or_a_playlist(client, data: bytes) -> None:
    answer = client.post("/local/slow-motion", json={"video_url": uri(data, "video/mp4")})
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["body", "video_url"]


def test_speech_is_a_wav_and_its_loudness_can_be_measured(client: httpx2.Client) -> None:
    answer = run(client, "speech", text="hello towpath")
    with wave.open(io.BytesIO(fetch(answer["audio"]))) as sound:
        assert (sound.getframerate(), sound.getnchannels()) == (24_000, 1)
        samples = np.frombuffer(sound.readframes(sound.getnframes()), dtype="<i2")
    assert len(samples) / 24_000 == pytest.approx(answer["seconds"], abs=0.01)
    assert np.abs(samples).max() > 10_000
    measured = run(client, "speech/loudness", audio_url=answer["audio"]["url"])
    rms = 20 * np.log10(np.sqrt(np.mean((samples / 32768) ** 2)))
    assert measured["rms_dbfs"] == pytest.approx(rms, abs=0.1)
    assert measured["peak_dbfs"] == pytest.approx(-6.02, abs=0.1)
    assert measured["seconds"] == pytest.approx(answer["seconds"], abs=0.01)


def test_contact_sheet_shows_every_png_of_the_archive(client: httpx2.Client) -> None:
    colours = {"a.png": "red", "more/b.png": "lime", "c.png": "blue"}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("readme.txt", "no picture")
        for name, colour in colours.items():
            archive.writestr(name, png(PillowImage.new("RGB", (64, 64), colour)))
    answer = run(
        client,
        "contact-sheet",
        archive_url=uri(buffer.getvalue(), "application/zip"),
        columns=2,
        thumbnail=64,
    )
    assert answer["names"] == ["a.png", "c.png", "b.png"]
    sheet = picture(answer["image"]).convert("RGB")
    assert sheet.size == (144, 144)
    centres = [sheet.getpixel(point) for point in ((36, 36), (108, 36), (36, 108))]
    assert centres == [(255, 0, 0), (0, 0, 255), (0, 255, 0)]


def test_colours_loads_its_weights_once_and_has_two_endpoints(client, weights: Origin) -> None:
    source = PillowImage.new("RGB", (40, 40), (254, 1, 1))
    source.paste((1, 1, 250), (0, 0, 40, 10))
    source_uri = uri(png(source), "image/png")
    named = run(client, "colours", image_url=source_uri, count=2)["colours"]
    assert named == [{"name": "red", "share": 0.75}, {"name": "blue", "share": 0.25}]
    painted = picture(run(client, "colours/repaint", image_url=source_uri)["image"])
    assert sorted(painted.getcolors()) == [(400, (0, 0, 255)), (1200, (255, 0, 0))]
    assert len(weights.seen) == 1


def broken_zip() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.png", b"no picture")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("path", "inputs", "field", "kind", "words"),
    [
        ("upscale", {"scale": 2}, "image_url", "missing", ["Field required"]),
        ("upscale", {"image_url": "data:,x", "scale": "x"}, "scale", "int_parsing", ["integer"]),
        ("upscale", {"image_url": "photo.png"}, "image_url", "value_error", ["https://"]),
        ("upscale", {"image_url": "http://10.0.0.1/a"}, "image_url", "file_download_error", ["10.0.0.1", "not public", "Upload the file"]),
        ("upscale", {"image_url": "http://nowhere.invalid/a"}, "image_url", "file_download_error", ["does not resolve"]),
        ("upscale", {"image_url": "{origin}/missing.png"}, "image_url", "file_download_error", ["404", "private window"]),
        ("upscale", {"image_url": "{origin}/weights/colours.json"}, "image_url", "image_load_error", ["not an image", "PNG"]),
        ("upscale", {"image_url": "{origin}/huge.png"}, "image_url", "file_too_large", ["900000000", "limit"]),
        ("upscale", {"image_url": uri(png(PillowImage.new("1", (4000, 3000))), "image/png"), "scale": 8}, "scale", "value_error", ["32000 x 24000", "smaller scale"]),
        ("contact-sheet", {"archive_url": "data:application/zip,x"}, "archive_url", "invalid_archive", ["not an archive", "ZIP"]),
        ("contact-sheet", {"archive_url": uri(broken_zip(), "application/zip")}, "archive_url", "value_error", ["a.png"]),
        ("speech/loudness", {"audio_url": "data:audio/wav,x"}, "audio_url", "value_error", ["WAV"]),
        ("text-to-image", {"prompt": "x", "image_size": "huge"}, "image_size", "literal_error", ["square_hd"]),
    ],
)  # fmt: skip
def test_a_bad_input_is_named_with_its_field_its_value_and_the_fix(
    client: httpx2.Client, weights: Origin, *, path, inputs, field, kind, words
) -> None:
    weights.put("/huge.png", b"", declared=900_000_000)
    given = {
        name: value.format(origin=weights.url("")) if isinstance(value, str) else value
        for name, value in inputs.items()
    }
    answer = client.post(f"/local/{path}", json=given)
    assert answer.status_code == 422, answer.text
    entries = [e for e in answer.json()["detail"] if e["loc"][1] == field and e["type"] == kind]
    assert entries, answer.text
    for word in words:
        assert word in entries[0]["msg"]
    if kind != "missing":
        assert "input" in entries[0]
    assert answer.headers["x-fal-billable-units"] == "0"
