import http.server
import io
import threading
import wave
from pathlib import Path

import av
import numpy as np
import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.codecs.test_clips import frames
from tests.codecs.test_sounds import peak_of, tone

from towpath.codecs.clips import encode_clip
from towpath.codecs.decoder import Media
from towpath.codecs.records import MediaLimits
from towpath.codecs.sounds import encode_sound
from towpath.errors import BrokenMediaError, ImageTooLargeError
from towpath.settings import environment_of_decoder


def media(data, limits: MediaLimits | None = None, **options) -> Media:
    return Media(data, limits or MediaLimits(), environment_of_decoder(), **options)


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("clips") / "clip.mp4"
    encode_clip(path, frames(24), 12, audio=(tone(44_100, 2.0, 2), 44_100), quality=95)
    return path


def recoded(clip: Path, name: str, codec: str, tmp_path: Path, turn: int = 0) -> Path:
    target = tmp_path / name
    with av.open(str(clip)) as source, av.open(str(target), "w") as container:
        stream = container.add_stream(codec, rate=12)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        if turn:
            stream.set_display_rotation(turn)
        for frame in source.decode(video=0):
            frame.pict_type = 0
            container.mux(stream.encode(frame.reformat(format="yuv420p")))
        container.mux(stream.encode(None))
    return target


def test_facts_of_a_video(clip: Path) -> None:
    facts = media(clip).facts()
    assert facts == {
        "width": 64,
        "height": 48,
        "codec": "h264",
        "audio_codec": "aac",
        "frames": 24,
        "fps": 12.0,
        "duration": pytest.approx(2.0, abs=0.1),
        "sample_rate": 44_100,
        "channels": 2,
    }
    assert media(clip.read_bytes()).facts() == facts


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("a.webm", "libvpx"),
        ("a.mkv", "mpeg4"),
        ("a.avi", "mpeg4"),
        ("a.mov", "mpeg4"),
        ("b.webm", "libvpx-vp9"),
    ],
)
def test_the_usual_containers_are_read(clip: Path, name: str, codec: str, tmp_path: Path) -> None:
    path = recoded(clip, name, codec, tmp_path)
    facts = media(path).facts()
    assert (facts["width"], facts["height"], facts["frames"]) == (64, 48, 24)
    assert facts["duration"] == pytest.approx(2.0, abs=0.2)
    assert len(list(media(path).pictures())) == 24


def test_h265_is_read_as_phones_write_it() -> None:
    """From a file: the threads of libx265 crash or hang, once in ten thousand clips."""
    path = Path(__file__).parent / "h265.mp4"
    facts = media(path).facts()
    assert (facts["width"], facts["height"], facts["frames"]) == (64, 48, 24)
    assert facts["codec"] == "hevc"
    for got, expected in zip(media(path).pictures(), frames(24), strict=True):
        assert np.abs(got.astype(int) - expected).mean() < 8


@pytest.mark.parametrize("sound_format", ["wav", "flac", "mp3", "opus"])
def test_facts_and_samples_of_a_sound(sound_format: str) -> None:
    samples = tone(48_000, 1.0, 2)
    source = media(encode_sound(samples, 48_000, sound_format))
    facts = source.facts()
    assert (facts["sample_rate"], facts["channels"]) == (48_000, 2)
    assert facts["duration"] == pytest.approx(1.0, abs=0.1)
    heard, rate = source.samples()
    assert (rate, heard.dtype, heard.shape[1]) == (48_000, np.float32, 2)
    assert abs(peak_of(heard[:, 1], rate) - 880) < 5
    if sound_format in {"wav", "flac"}:
        assert np.abs(heard - samples).max() < 1 / 32_000


@pytest.mark.parametrize("rate", [16_000, 44_100])
def test_samples_are_resampled(rate: int) -> None:
    heard, got = media(encode_sound(tone(48_000, 1.0), 48_000)).samples(rate)
    assert got == rate
    assert len(heard) == pytest.approx(rate, rel=0.01)
    assert abs(peak_of(heard[:, 0], rate) - 440) < 5


def test_pictures_come_in_order_and_in_their_colours(clip: Path) -> None:
    pictures = list(media(clip).pictures())
    assert len(pictures) == 24
    for got, expected in zip(pictures, frames(24), strict=True):
        assert got.shape == (48, 64, 3)
        assert np.abs(got.astype(int) - expected).mean() < 8


def test_a_reader_may_stop_early_and_no_process_stays(clip: Path) -> None:
    before = set(psutil.Process().children(recursive=True))
    pictures = media(clip).pictures()
    next(pictures)
    assert set(psutil.Process().children(recursive=True)) - before
    pictures.close()
    assert set(psutil.Process().children(recursive=True)) - before == set()


def test_a_poster_is_the_picture_that_is_seen_then(clip: Path) -> None:
    for at, number in ((0.0, 0), (1.0, 12), (99.0, 23)):
        picture = media(clip).picture(at)
        assert np.abs(picture.astype(int) - frames(24)[number]).mean() < 8


# --- what strangers send ---


def wav_header(channels: int, rate: int, size: int) -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(b"\0\0" * 100)
    data = bytearray(buffer.getvalue())
    data[22:24] = channels.to_bytes(2, "little")
    data[24:28] = rate.to_bytes(4, "little")
    data[40:44] = size.to_bytes(4, "little")
    return bytes(data)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not media",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/passwd\n",
        b"ffconcat version 1.0\nfile /etc/passwd\n",
        b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nm=video 5004 RTP/AVP 96\n",
        b"\x1aE\xdf\xa3" + bytes(100),
        b"\0\0\0\x18ftypmp42" + bytes(200),
        b"OggS" + bytes(500),
        b"fLaC" + bytes(500),
        b"ID3\x04\0\0\x7f\x7f\x7f\x7f" + bytes(100),
        b"RIFF\xff\xff\xff\x7fAVI LIST" + bytes(300),
        wav_header(0, 8000, 200),
        wav_header(1, 0, 200),
    ],
)
def test_what_is_not_media_is_one_error(data: bytes) -> None:
    with pytest.raises(BrokenMediaError):
        media(data).facts()


def test_half_a_video_is_an_error(clip: Path) -> None:
    whole = clip.read_bytes()
    with pytest.raises(BrokenMediaError):
        list(media(whole[: len(whole) // 8]).pictures())


def test_a_playlist_reaches_nothing(tmp_path: Path) -> None:
    """Neither as itself nor as a member of a container, under any name."""
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/a.ts"
        playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{url}\n#EXT-X-ENDLIST\n"
        for data in (playlist, f"ffconcat version 1.0\nfile '{url}'\n"):
            path = tmp_path / "a.mp4"
            path.write_text(data)
            with pytest.raises(BrokenMediaError):
                media(path).facts()
        server.shutdown()
    assert asked == []


@pytest.mark.parametrize(
    ("limits", "error", "word"),
    [
        (MediaLimits(pixels=3071), ImageTooLargeError, "limit is 3071"),
        (MediaLimits(frames=23), BrokenMediaError, "23"),
        (MediaLimits(seconds=1.5), BrokenMediaError, "limit is 1.5 s"),
        (MediaLimits(bytes=64 * 48 * 3 * 5), BrokenMediaError, "more than 5 frames"),
    ],
)
def test_each_limit_is_crossed_by_one(clip: Path, limits, error, word: str) -> None:
    with pytest.raises(error, match=word):
        list(media(clip, limits).pictures())


def test_exactly_at_the_limits_it_is_decoded(clip: Path) -> None:
    limits = MediaLimits(pixels=3072, frames=24, seconds=2.2, bytes=64 * 48 * 3 * 24)
    assert len(list(media(clip, limits).pictures())) == 24


def test_sound_that_is_too_long_is_refused() -> None:
    with pytest.raises(BrokenMediaError, match=r"limit is 0\.5 s"):
        media(encode_sound(tone(8000, 1.0), 8000), MediaLimits(seconds=0.5)).samples()


def test_a_message_holds_no_path(tmp_path: Path) -> None:
    path = tmp_path / "secret-name.mp4"
    path.write_bytes(b"\0\0\0\x18ftypmp42" + bytes(200))
    with pytest.raises(BrokenMediaError) as caught:
        media(path, url="https://x.test/a.mp4?token=s3cret").facts()
    assert "secret-name" not in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_a_decoder_that_says_nothing_is_stopped(clip: Path) -> None:
    with pytest.raises(BrokenMediaError, match="within"):
        media(clip, patience=0.001).facts()


@settings(max_examples=12)
@given(data=st.data())
def test_random_damage_never_raises_anything_else(data, clip: Path) -> None:
    whole = bytearray(clip.read_bytes())
    for _ in range(data.draw(st.integers(1, 40))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    count = 0
    try:
        count = len(list(media(bytes(whole)).pictures()))
    except (BrokenMediaError, ImageTooLargeError):
        count = 0
    assert count <= 200
