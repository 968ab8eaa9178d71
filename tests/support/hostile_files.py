"""Archives and images that strangers send to do harm: made here, each with its right outcome."""

import bz2
import gzip
import io
import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable

from PIL import Image as PillowImage

Case = tuple[Callable[[], bytes], str]
"""How it is made, and what happens: `refused`, or `either` (taken within the limits)."""


# --- ZIP -----------------------------------------------------------------------------------------


def zipped(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def special(mode: int, content: bytes = b"/etc/passwd") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        info = zipfile.ZipInfo("special")
        info.external_attr = mode << 16
        archive.writestr(info, content)
    return buffer.getvalue()


def many_names_for_one_bomb(count: int = 2000) -> bytes:
    """A ZIP whose directory names one packed member many times."""
    whole = zipped({"a": bytes(5_000_000)})
    start = whole.index(b"PK\x01\x02")
    end = whole.index(b"PK\x05\x06")
    entry = whole[start:end]
    tail = bytearray(whole[end:])
    tail[8:12] = struct.pack("<HH", count, count)
    tail[12:16] = struct.pack("<I", len(entry) * count)
    return whole[:start] + entry * count + bytes(tail)


def patched(data: bytes, mark: bytes, offset: int, value: bytes) -> bytes:
    at = data.index(mark) + offset
    return data[:at] + value + data[at + len(value) :]


def lzma_with_a_huge_dictionary() -> bytes:
    """LZMA whose properties ask for a dictionary of 2 GiB (APPNOTE 5.8.8)."""
    data = zipped({"a": b"x" * 1000}, zipfile.ZIP_LZMA)
    at = data.index(b"PK\x03\x04") + 30 + 1 + 5
    return data[:at] + (2**31).to_bytes(4, "little") + data[at + 4 :]


def with_unknown_method() -> bytes:
    data = zipped({"a": b"x" * 100}, zipfile.ZIP_STORED)
    data = patched(data, b"PK\x03\x04", 8, struct.pack("<H", 99))
    return patched(data, b"PK\x01\x02", 10, struct.pack("<H", 99))


def encrypted() -> bytes:
    data = zipped({"a": b"x"}, zipfile.ZIP_STORED)
    data = patched(data, b"PK\x03\x04", 6, b"\x01\x00")
    return patched(data, b"PK\x01\x02", 8, b"\x01\x00")


def duplicated() -> bytes:
    return zipped({"aa": b"1", "ab": b"2"}).replace(b"ab", b"aa")


ZIPS: dict[str, Case] = {
    "traversal": (lambda: zipped({"../evil": b"x"}), "refused"),
    "traversal inside": (lambda: zipped({"a/b/../../../evil": b"x"}), "refused"),
    "absolute": (lambda: zipped({"/etc/evil": b"x"}), "refused"),
    "backslash": (lambda: zipped({"..\\evil": b"x"}), "refused"),
    "drive": (lambda: zipped({"C:/evil": b"x"}), "refused"),
    "null in a name": (lambda: patched(zipped({"abc": b"x"}), b"PK\x01\x02", 47, b"\0"), "refused"),
    "control characters": (lambda: zipped({"a\x07\x1b[31mb": b"x"}), "either"),
    "name of 4096 characters": (lambda: zipped({"x" * 4096: b"x"}), "refused"),
    "device name": (lambda: zipped({"con": b"x", "aux.txt": b"x"}), "either"),
    "bidi": (lambda: zipped({"a\u202etxt.exe": b"x"}), "either"),
    "deep": (lambda: zipped({"/".join("d" * 500): b"x"}), "refused"),
    "symlink": (lambda: special(0o120777), "refused"),
    "fifo": (lambda: special(0o010666), "refused"),
    "character device": (lambda: special(0o020666), "refused"),
    "setuid": (lambda: special(0o106755, b"x"), "either"),
    "zeros": (lambda: zipped({"a": bytes(300_000_000)}), "refused"),
    "many zeros": (lambda: zipped({str(n): bytes(10_000_000) for n in range(30)}), "refused"),
    "bzip2 bomb": (lambda: zipped({"a": bytes(300_000_000)}, zipfile.ZIP_BZIP2), "refused"),
    "lzma bomb": (lambda: zipped({"a": bytes(300_000_000)}, zipfile.ZIP_LZMA), "refused"),
    "one bomb with many names": (many_names_for_one_bomb, "refused"),
    "20000 members": (lambda: zipped({str(n): b"" for n in range(20_000)}), "refused"),
    "lies about its size": (
        lambda: patched(zipped({"a": bytes(9_000_000)}), b"PK\x01\x02", 24, struct.pack("<I", 9)),
        "refused",
    ),
    "declares four gigabytes": (
        lambda: patched(zipped({"a": b"x"}), b"PK\x01\x02", 24, b"\xfe\xff\xff\xff"),
        "refused",
    ),
    "lzma that wants gigabytes": (lzma_with_a_huge_dictionary, "refused"),
    "unknown method": (with_unknown_method, "refused"),
    "encrypted": (encrypted, "refused"),
    "twice the same name": (duplicated, "refused"),
    "file and folder at once": (lambda: zipped({"a": b"x", "a/b": b"y"}), "refused"),
    "twins but for their case": (lambda: zipped({"A.txt": b"1", "a.txt": b"2"}), "either"),
    "cut": (lambda: zipped({"a": bytes(range(256)) * 99})[:200], "refused"),
    "only its end": (lambda: zipped({"a": b"x" * 99})[-30:], "refused"),
    "wrong offset": (
        lambda: patched(zipped({"a": b"x"}), b"PK\x01\x02", 42, b"\xff\xff\xff\x7f"),
        "refused",
    ),
    "an archive in an archive": (lambda: zipped({"b.zip": zipped({"a": bytes(9**7)})}), "either"),
}


# --- tar -----------------------------------------------------------------------------------------


def tarred(*infos: tuple[str, dict[str, object]]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, fields in infos:
            info = tarfile.TarInfo(name)
            for key, value in fields.items():
                setattr(info, key, value)
            archive.addfile(info, io.BytesIO(bytes(info.size)) if info.isreg() else None)
    return buffer.getvalue()


def link_then_file() -> bytes:
    """A link to a folder outside, and a file written through it."""
    return tarred(("a", {"type": tarfile.SYMTYPE, "linkname": "/tmp"}), ("a/evil", {"size": 3}))


def huge_header() -> bytes:
    data = bytearray(tarred(("x" * 50, {"type": tarfile.XHDTYPE})))
    data[124:136] = b"77777777777\0"
    data[148:156] = b" " * 8
    data[148:156] = f"{sum(data[:512]):06o}\0 ".encode()
    return bytes(data)


def sparse() -> bytes:
    """A GNU sparse file of a terabyte in one block."""
    data = bytearray(tarred(("hole", {"type": b"S", "size": 0})))
    data[483:495] = b"\x80" + (2**40).to_bytes(11, "big")
    data[148:156] = b" " * 8
    data[148:156] = f"{sum(data[:512]):06o}\0 ".encode()
    return bytes(data)


def zeros(size: int = 300_000_000) -> bytes:
    return tarred(("zeros", {"size": size}))


TARS: dict[str, Case] = {
    "tar traversal": (lambda: tarred(("../evil", {"size": 1})), "refused"),
    "tar absolute": (lambda: tarred(("/etc/evil", {"size": 1})), "refused"),
    "tar symlink": (
        lambda: tarred(("a", {"type": tarfile.SYMTYPE, "linkname": "/etc"})),
        "refused",
    ),
    "tar through a link": (link_then_file, "refused"),
    "tar hard link": (
        lambda: tarred(("a", {"type": tarfile.LNKTYPE, "linkname": "/etc/passwd"})),
        "refused",
    ),
    "tar device": (lambda: tarred(("a", {"type": tarfile.BLKTYPE})), "refused"),
    "tar sparse": (sparse, "refused"),
    "tar setuid": (lambda: tarred(("a", {"size": 1, "mode": 0o6777})), "either"),
    "tar huge header": (huge_header, "refused"),
    "tar many": (lambda: tarred(*((str(n), {}) for n in range(10_001))), "refused"),
    "tar twice": (lambda: tarred(("a", {"size": 1}), ("a", {"size": 2})), "refused"),
    "tar.gz bomb": (lambda: gzip.compress(zeros()), "refused"),
    "tar.bz2 bomb": (lambda: bz2.compress(zeros()), "refused"),
    "tar.xz bomb": (lambda: lzma.compress(zeros(), preset=1), "refused"),
    "xz that wants gigabytes": (
        lambda: patched_xz(),  # noqa: PLW0108 - made below
        "refused",
    ),
    "gzip of no tar": (lambda: gzip.compress(b"hello" * 1000), "refused"),
    "tar cut": (lambda: zeros(100_000)[:5000], "refused"),
    "nothing": (lambda: b"", "refused"),
    "noise": (lambda: bytes(range(256)) * 40, "refused"),
}


def patched_xz() -> bytes:
    """An xz whose header asks for a dictionary of 1.5 GiB, with the right checksum."""
    data = bytearray(lzma.compress(zeros(1000), filters=[{"id": lzma.FILTER_LZMA2}]))
    length = (data[12] + 1) * 4
    at = data.index(b"\x21\x01", 12, 12 + length)
    data[at + 2] = 37  # 1.5 GiB, xz file format 1.1, section 5.3.1
    data[12 + length - 4 : 12 + length] = zlib.crc32(data[12 : 12 + length - 4]).to_bytes(
        4, "little"
    )
    return bytes(data)


# --- images --------------------------------------------------------------------------------------


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int, *extra: bytes, body: bytes | None = None) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress(bytes((width + 1) * height)) if body is None else body
    parts = (chunk(b"IHDR", header), *extra, chunk(b"IDAT", rows), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def encoded(kind: str, size: tuple[int, int] = (64, 64), **options: object) -> bytes:
    buffer = io.BytesIO()
    PillowImage.effect_noise(size, 80).convert("RGB").save(buffer, kind, **options)
    return buffer.getvalue()


def tiff_that_loops() -> bytes:
    """A TIFF whose second directory is its first."""
    data = bytearray(encoded("tiff"))
    start = int.from_bytes(data[4:8], "little")
    count = int.from_bytes(data[start : start + 2], "little")
    data[start + 2 + 12 * count : start + 6 + 12 * count] = start.to_bytes(4, "little")
    return bytes(data)


def gif_of_many_frames() -> bytes:
    frames = [PillowImage.new("L", (500, 500), n % 250) for n in range(500)]
    buffer = io.BytesIO()
    frames[0].save(buffer, "gif", save_all=True, append_images=frames[1:])
    return buffer.getvalue()


def jpeg_of_many_scans() -> bytes:
    """60 megapixels and a thousand passes over them, in 200 KB: minutes of decoding."""
    buffer = io.BytesIO()
    PillowImage.new("L", (7_700, 7_700)).save(buffer, "jpeg", progressive=True)
    data = buffer.getvalue()
    return data[:-2] + data[data.rindex(b"\xff\xda") : -2] * 1_000 + data[-2:]


def gif_of_tiny_frames() -> bytes:
    """A million frames of one pixel."""
    buffer = io.BytesIO()
    PillowImage.new("L", (1, 1)).save(buffer, "gif")
    data = buffer.getvalue()
    return data[:-1] + data[data.index(b",\0\0\0\0\1") : -1] * 1_000_000 + data[-1:]


def tiff_of_many_directories() -> bytes:
    """200,000 directories of one entry, chained."""
    entry = struct.pack("<HHHII", 1, 256, 3, 1, 1)
    size = len(entry) + 4
    chain = (entry + struct.pack("<I", 8 + size * n) for n in range(1, 200_000))
    return b"II*\0" + struct.pack("<I", 8) + b"".join(chain) + entry + bytes(4)


BOMB = zlib.compress(bytes(200_000_000), 9)

IMAGES: dict[str, Case] = {
    "png of four gigapixels": (lambda: png(65_000, 65_000, body=b""), "refused"),
    "png of no width": (lambda: png(0, 5), "refused"),
    "png with a text bomb": (lambda: png(9, 9, chunk(b"zTXt", b"k\0\0" + BOMB)), "either"),
    "png with a profile bomb": (lambda: png(9, 9, chunk(b"iCCP", b"p\0\0" + BOMB)), "either"),
    "png with 100000 chunks": (lambda: png(9, 9, chunk(b"tEXt", b"k\0v") * 100_000), "either"),
    "png of zeros": (lambda: png(9_000, 9_000, body=BOMB), "either"),
    "png cut": (lambda: encoded("png")[:900], "refused"),
    "png with a wrong checksum": (
        lambda: patched(encoded("png"), b"IDAT", 40, b"\0\0\0\0"),
        "refused",
    ),
    "jpeg cut": (lambda: encoded("jpeg")[:900], "refused"),
    "jpeg of many scans": (jpeg_of_many_scans, "refused"),
    "jpeg of huge size": (
        lambda: patched(encoded("jpeg"), b"\xff\xc0", 5, b"\xff\xff\xff\xff"),
        "refused",
    ),
    "gif of many frames": (gif_of_many_frames, "refused"),
    "gif of a million tiny frames": (gif_of_tiny_frames, "refused"),
    "gif of a huge canvas": (
        lambda: patched(encoded("gif"), b"GIF8", 6, b"\xff\xff\xff\xff"),
        "refused",
    ),
    "webp cut": (lambda: encoded("webp", lossless=True)[:900], "refused"),
    "bmp of huge size": (
        lambda: patched(encoded("bmp"), b"BM", 18, struct.pack("<ii", 60_000, 60_000)),
        "refused",
    ),
    "bmp cut": (lambda: encoded("bmp")[:900], "refused"),
    "tiff that loops": (tiff_that_loops, "either"),
    "tiff of many directories": (tiff_of_many_directories, "refused"),
    "tiff cut": (lambda: encoded("tiff")[:900], "refused"),
    "avif cut": (lambda: encoded("avif")[:300], "refused"),
    "svg": (
        lambda: b"<svg xmlns='http://www.w3.org/2000/svg'><image href='file:///etc'/></svg>",
        "refused",
    ),
    "eps": (lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(/etc) run\n", "refused"),
    "pdf": (lambda: b"%PDF-1.7\n1 0 obj\n<<>>\nendobj\n", "refused"),
    "wmf": (lambda: b"\xd7\xcd\xc6\x9a" + bytes(200), "refused"),
    "fits": (lambda: b"SIMPLE  =                    T" + b" " * 3000, "refused"),
    "psd": (lambda: b"8BPS\0\1" + bytes(200), "refused"),
    "ico": (lambda: b"\0\0\1\0\1\0" + bytes(200), "refused"),
    "html named an image": (lambda: b"<html><script>alert(1)</script></html>", "refused"),
    "image and archive": (lambda: encoded("png") + zipped({"a": b"x"}), "either"),
    "nothing": (lambda: b"", "refused"),
}
