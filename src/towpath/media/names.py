"""File names: what a stranger calls a file, made safe; and Content-Disposition, in and out."""

import re
import unicodedata
from urllib.parse import quote, unquote, unquote_to_bytes, urlsplit

from towpath.media.content_types import extension_of, type_of_name

__all__ = [
    "clean_name",
    "content_disposition",
    "name_from_disposition",
    "name_from_url",
    "url_name",
    "with_mark",
]

_LONGEST = 255  # bytes; what file systems take
_LONGEST_IN_URL = 80
_DEVICES = {"con", "prn", "aux", "nul", *(f"{d}{n}" for d in ("com", "lpt") for n in range(1, 10))}
_ACTIVE = {"html", "htm", "xhtml", "xht", "svg", "xml", "xsl", "js", "mjs", "css", "swf", "hta"}
_PLAIN = re.compile(r"[A-Za-z0-9._-]+")  # most names: nothing in them is to be looked at
_FORBIDDEN = {"Cc", "Cf", "Cs", "Zl", "Zp", "Co", "Cn"}


def clean_name(name: str) -> str:
    """Return *name* as one safe path segment of at most 255 bytes, or '' if nothing is left.

    Keeps the base name after either kind of slash, in NFC, without control and bidi characters and
    without dots and blanks at its end; what shells, headers or file systems read otherwise becomes
    an underscore; leading dots and dashes and device names get one in front.
    """
    base = (name if _PLAIN.fullmatch(name) else _base(name)).rstrip(". ")
    if not base.strip(". "):
        return ""
    if base[0] in ".-~" or base.partition(".")[0].lower().strip() in _DEVICES:
        base = f"_{base}"
    return _shortened(base, _LONGEST).rstrip(". ")


def _base(name: str) -> str:
    """Return what follows the last slash, without what no name should have."""
    base = re.split(r"[/\\]", unicodedata.normalize("NFC", name))[-1]
    base = "".join(c for c in base if unicodedata.category(c) not in _FORBIDDEN)
    return re.sub(r'[<>:"|?*;`]', "_", base).strip(" ")


def _shortened(name: str, longest: int) -> str:
    """Cut the stem of *name* so that it fits *longest* bytes; the suffix stays."""
    if len(name.encode()) <= longest:
        return name
    stem, dot, suffix = name.rpartition(".")
    if not dot or len(suffix.encode()) > longest // 4:
        stem, dot, suffix = name, "", ""
    room = longest - len(f"{dot}{suffix}".encode())
    return stem.encode()[:room].decode(errors="ignore") + dot + suffix


def with_mark(name: str, mark: str) -> str:
    """Return *name* with *mark* between its stem and its suffix: `a.png` -> `a-1f2e.png`."""
    stem, dot, suffix = name.rpartition(".")
    if not stem:
        stem, dot, suffix = name, "", ""
    end = f"-{mark}{dot}{suffix}"
    return _shortened(stem, _LONGEST - len(end.encode())) + end


def name_from_url(url: str) -> str:
    """Return the last segment of the URL's path, percent-decoded and cleaned, or ''."""
    return clean_name(unquote(urlsplit(url).path.rpartition("/")[2]))


def name_from_disposition(header: str | None) -> str:
    """Return the cleaned name in a Content-Disposition header, or '' (RFC 6266, RFC 8187).

    `filename*` wins over `filename`; one in an unknown charset is passed over.
    """
    if not header:
        return ""
    extended = re.search(r"filename\*\s*=\s*([\w-]+)'[^']*'([^;\s]+)", header, re.IGNORECASE)
    if extended:
        name = _decoded(extended[1], extended[2])
        if name:
            return name
    plain = re.search(r'filename\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;\s]+))', header, re.IGNORECASE)
    if not plain:
        return ""
    quoted = plain[1]
    return clean_name(_unquoted(quoted) if quoted is not None else plain[2])


def _decoded(charset: str, value: str) -> str:
    """Decode an extended value of RFC 8187."""
    if charset.lower() not in {"utf-8", "iso-8859-1"}:
        return ""
    try:
        return clean_name(unquote_to_bytes(value).decode(charset))
    except UnicodeDecodeError:
        return ""


def _unquoted(value: str) -> str:
    """Undo the escapes of a quoted string, and the UTF-8 that servers send as Latin-1."""
    plain = re.sub(r'\\(["\\])', r"\1", value)
    try:
        return plain.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return plain


def url_name(name: str, content_type: str) -> str:
    """Return the name that a file has in its public URL: ASCII, at most 80 characters.

    The extension comes from the content type; where the type says nothing (octet-stream, or one
    we do not know), the name's own extension stays, unless browsers would run such files.
    """
    cleaned = clean_name(name)
    stem, dot, suffix = cleaned.rpartition(".")
    if not dot or not stem:
        stem, suffix = cleaned, ""
    is_packed_tar = stem.lower().endswith(".tar") and len(stem) > len(".tar")
    stem = stem[: -len(".tar")] if is_packed_tar else stem
    ascii_stem = unicodedata.normalize("NFKD", stem).encode("ascii", "ignore").decode()
    tidy = re.sub(r"[^A-Za-z0-9_-]+", "-", ascii_stem).strip("-_.") or "file"
    extension = _url_extension(suffix.lower(), content_type)
    extension = f"tar.{extension}" if is_packed_tar else extension
    return f"{tidy[: _LONGEST_IN_URL - len(extension) - 1]}.{extension}"


def _url_extension(suffix: str, content_type: str) -> str:
    """Choose between the extension of the type and that of the name."""
    by_type = extension_of(content_type)
    if suffix and type_of_name(f"x.{suffix}") == content_type:
        return suffix
    harmless = re.fullmatch(r"[a-z0-9]{1,12}", suffix) and suffix not in _ACTIVE
    return suffix if by_type == "bin" and harmless else by_type


def content_disposition(kind: str, name: str) -> str:
    """Write a Content-Disposition header with both forms of *name* (RFC 6266 appendix D)."""
    cleaned = clean_name(name) or "file"
    plain = cleaned.encode("ascii", "replace").decode().replace("\\", "_").replace('"', "_")
    plain = plain.replace("%", "_")
    if plain == cleaned:
        return f'{kind}; filename="{plain}"'
    return f"{kind}; filename=\"{plain}\"; filename*=UTF-8''{quote(cleaned, safe='')}"
