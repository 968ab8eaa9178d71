"""Content type, file extension and first bytes: which belongs to which."""

import re

__all__ = [
    "OCTET_STREAM",
    "demuxer_of",
    "extension_of",
    "guess",
    "is_header_safe",
    "is_inline",
    "is_one_type",
    "is_passive",
    "is_script",
    "sent_type",
    "sniff",
    "type_of_name",
]

OCTET_STREAM = "application/octet-stream"

# The first extension of a type is the one that new names get.
_EXTENSIONS: dict[str, tuple[str, ...]] = {
    "image/png": ("png",),
    "image/jpeg": ("jpg", "jpeg", "jpe", "jfif"),
    "image/webp": ("webp",),
    "image/gif": ("gif",),
    "image/bmp": ("bmp",),
    "image/tiff": ("tiff", "tif"),
    "image/avif": ("avif",),
    "image/heic": ("heic",),
    "image/svg+xml": ("svg",),
    "image/x-icon": ("ico",),
    "image/x-exr": ("exr",),
    "image/vnd.radiance": ("hdr",),
    "image/vnd.adobe.photoshop": ("psd",),
    "video/mp4": ("mp4", "m4v"),
    "video/webm": ("webm",),
    "video/quicktime": ("mov", "qt"),
    "video/x-matroska": ("mkv",),
    "video/x-msvideo": ("avi",),
    "video/mpeg": ("mpg", "mpeg"),
    "video/mp2t": ("ts",),
    "video/iso.segment": ("m4s",),
    "application/vnd.apple.mpegurl": ("m3u8",),
    "audio/mpeg": ("mp3",),
    "audio/wav": ("wav",),
    "audio/flac": ("flac",),
    "audio/ogg": ("ogg", "oga"),
    "audio/opus": ("opus",),
    "audio/mp4": ("m4a",),
    "audio/aac": ("aac",),
    "audio/midi": ("mid", "midi"),
    "text/plain": ("txt", "log"),
    "text/csv": ("csv",),
    "text/markdown": ("md",),
    "text/html": ("html", "htm"),
    "text/css": ("css",),
    "text/javascript": ("js", "mjs"),
    "text/vtt": ("vtt",),
    "application/x-subrip": ("srt",),
    "application/json": ("json",),
    "application/x-ndjson": ("jsonl", "ndjson"),
    "application/xml": ("xml",),
    "application/yaml": ("yaml", "yml"),
    "application/pdf": ("pdf",),
    "application/zip": ("zip",),
    "application/gzip": ("gz", "tgz"),
    "application/x-tar": ("tar",),
    "application/x-bzip2": ("bz2",),
    "application/x-xz": ("xz",),
    "application/zstd": ("zst",),
    "application/x-7z-compressed": ("7z",),
    "application/vnd.rar": ("rar",),
    "application/wasm": ("wasm",),
    "application/vnd.sqlite3": ("sqlite", "sqlite3"),
    "model/gltf-binary": ("glb",),
    "model/gltf+json": ("gltf",),
    "model/obj": ("obj",),
    "model/stl": ("stl",),
    "model/ply": ("ply",),
    "model/vnd.usdz+zip": ("usdz",),
    "font/ttf": ("ttf",),
    "font/otf": ("otf",),
    "font/woff2": ("woff2",),
    OCTET_STREAM: ("bin", "safetensors", "gguf", "pt", "pth", "ckpt", "onnx", "npy", "npz"),
}
_ALIASES = {
    "image/jpg": "image/jpeg",
    "audio/x-wav": "audio/wav",
    "audio/wave": "audio/wav",
    "audio/vnd.wave": "audio/wav",
    "audio/mp3": "audio/mpeg",
    "audio/x-flac": "audio/flac",
    "audio/x-m4a": "audio/mp4",
    "application/x-zip-compressed": "application/zip",
    "application/javascript": "text/javascript",
    "text/xml": "application/xml",
}
_TYPES = {ext: kind for kind, extensions in _EXTENSIONS.items() for ext in extensions}

_SIGNATURES: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"),
    (8, b"WEBP", "image/webp"),
    (0, b"BM", "image/bmp"),
    (0, b"II*\x00", "image/tiff"),
    (0, b"MM\x00*", "image/tiff"),
    (8, b"WAVE", "audio/wav"),
    (8, b"AVI ", "video/x-msvideo"),
    (0, b"fLaC", "audio/flac"),
    (0, b"OggS", "audio/ogg"),
    (0, b"ID3", "audio/mpeg"),
    (0, b"\xff\xfb", "audio/mpeg"),
    (0, b"\xff\xf3", "audio/mpeg"),
    (0, b"\xff\xf1", "audio/aac"),
    (0, b"\x1aE\xdf\xa3", "video/x-matroska"),
    (0, b"%PDF-", "application/pdf"),
    (0, b"PK\x03\x04", "application/zip"),
    (0, b"PK\x05\x06", "application/zip"),
    (0, b"\x1f\x8b", "application/gzip"),
    (0, b"BZh", "application/x-bzip2"),
    (0, b"\xfd7zXZ\x00", "application/x-xz"),
    (0, b"\x28\xb5\x2f\xfd", "application/zstd"),
    (0, b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    (257, b"ustar", "application/x-tar"),
    (0, b"glTF", "model/gltf-binary"),
    (0, b"\x00asm", "application/wasm"),
    (0, b"SQLite format 3\x00", "application/vnd.sqlite3"),
)
_RIFF = {"image/webp", "audio/wav", "video/x-msvideo"}
_BRANDS = {b"avif": "image/avif", b"avis": "image/avif", b"heic": "image/heic"}
_BRANDS |= {b"qt  ": "video/quicktime", b"M4A ": "audio/mp4", b"M4B ": "audio/mp4"}


def type_of_name(name: str) -> str | None:
    """Return the content type that the extension of *name* stands for, or None."""
    stem, dot, extension = name.rpartition(".")
    return _TYPES.get(extension.lower()) if dot and stem else None


def extension_of(content_type: str) -> str:
    """Return the extension, without a dot, that files of *content_type* get; `bin` if unknown."""
    bare = content_type.partition(";")[0].strip().lower()
    known = _EXTENSIONS.get(_ALIASES.get(bare, bare))
    if known:
        return known[0]
    return "txt" if bare.startswith("text/") else "bin"


def sniff(head: bytes) -> str | None:
    """Return the content type that the first bytes of a file show, or None."""
    if head[4:8] == b"ftyp":
        return _BRANDS.get(head[8:12], "video/mp4")
    for offset, mark, kind in _SIGNATURES:
        if head.startswith(mark, offset) and (kind not in _RIFF or head.startswith(b"RIFF")):
            return "video/webm" if mark == b"\x1aE\xdf\xa3" and b"webm" in head[:64] else kind
    return None


_BOXES = frozenset({b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot"})
_DEMUXERS: tuple[tuple[bytes, str], ...] = (
    (b"\x1aE\xdf\xa3", "matroska"),
    (b"OggS", "ogg"),
    (b"fLaC", "flac"),
    (b"ID3", "mp3"),
)


def demuxer_of(head: bytes) -> str | None:
    """Return FFmpeg's name of the format of sound or video that *head* shows, or None.

    Only formats that cannot refer to other files, however they are named, are known here.
    """
    if head[4:8] in _BOXES:
        return "mov"
    if head[:4] in {b"RIFF", b"RF64"}:
        return {b"WAVE": "wav", b"AVI ": "avi"}.get(head[8:12])
    for mark, demuxer in _DEMUXERS:
        if head.startswith(mark):
            return demuxer
    if len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0:  # noqa: PLR2004 - frame sync
        return "aac" if head[1] & 0xF6 == 0xF0 else "mp3"  # noqa: PLR2004 - layer 0 is ADTS
    return None


def guess(name: str | None, head: bytes) -> str:
    """Return the content type by the name, else by the first bytes, else octet-stream.

    The first bytes win where they show that the name is wrong: a JPEG named `.png` is a JPEG.
    """
    named, seen = type_of_name(name) if name else None, sniff(head)
    if named is None or (seen is not None and _contradicts(named, seen)):
        return seen or OCTET_STREAM
    return named


_SEEN = {kind for _, _, kind in _SIGNATURES} | set(_BRANDS.values()) | {"video/mp4", "video/webm"}
_FAMILIES = (
    {"video/mp4", "video/quicktime", "audio/mp4"},
    {"audio/ogg", "audio/opus"},
    {"video/webm", "video/x-matroska"},
    {"audio/mpeg", "audio/aac"},
)


def _contradicts(named: str, seen: str) -> bool:
    """Return whether first bytes of *seen* cannot begin a file of the type *named*."""
    if named not in _SEEN | {"audio/opus"} or named == seen:
        return False
    return not any({named, seen} <= family for family in _FAMILIES)


_INLINE = frozenset(
    {"image/png", "image/jpeg", "image/webp", "image/gif", "image/avif", "image/bmp"}
    | {"video/mp4", "video/webm", "video/quicktime"}
    | {"audio/mpeg", "audio/wav", "audio/x-wav", "audio/ogg", "audio/flac", "audio/mp4"}
    | {"audio/opus", "audio/aac"}
    | {"text/plain", "application/json", "application/pdf", "model/gltf-binary"}
)
_STREAMS = frozenset(
    {OCTET_STREAM, "application/zip", "application/gzip", "application/x-tar", "application/zstd"}
)


def is_inline(content_type: str) -> bool:
    """Return whether browsers show such a file rather than offer to save it."""
    return _bare(content_type) in _INLINE


def is_passive(content_type: str) -> bool:
    """Return whether no browser runs anything in such a file, whatever headers come with it."""
    bare = _bare(content_type)
    family, _, kind = bare.partition("/")
    if "xml" in kind or "html" in kind or "script" in kind or not is_one_type(content_type):
        return False
    return family in {"image", "video", "audio", "font", "model"} or bare in _STREAMS


_SCRIPTS = frozenset(
    {f"application/{x}{name}" for x in ("", "x-") for name in ("ecmascript", "javascript")}
    | {f"text/{x}{name}" for x in ("", "x-") for name in ("ecmascript", "javascript")}
    | {f"text/javascript1.{minor}" for minor in range(6)}
    | {"text/jscript", "text/livescript"}
)
"""JavaScript's types (WHATWG MIME Sniffing, 4.6)."""


def is_script(content_type: str) -> bool:
    """Return whether a page may run such a file as a script."""
    return _bare(content_type) in _SCRIPTS


def _bare(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()


def is_header_safe(content_type: str) -> bool:
    """Return whether *content_type* may stand in an HTTP header as it is."""
    return len(content_type) <= 255 and bool(  # noqa: PLR2004
        re.fullmatch(r"[\w!#$&^.+-]+/[\w!#$&^.+*-]+(?:\s*;[\x20-\x7e]*)?", content_type, re.ASCII)
    )


_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')


def is_one_type(content_type: str) -> bool:
    """Return whether *content_type* is safe in a header and cannot be read as a list of types.

    Browsers take the last one of a list: `image/png; a=1, text/html` is a page (Fetch, "extract a
    MIME type").
    """
    return is_header_safe(content_type) and "," not in _QUOTED.sub("", content_type)


def sent_type(content_type: str) -> str:
    """Return the type that receivers of a file are told: as given, if it is a type and only one."""
    return content_type if is_one_type(content_type) else OCTET_STREAM
