"""Forms (RFC 7578), read as they come: each file goes where its reader says, and nowhere else.

Starlette's reader keeps files in the folder for temporary files, which may lie on any disk, and
lets them fill it. Here a file's bytes go to a sink as they arrive: the store, or a file within the
disk's reserve. Text has a limit in all, for it stays in memory.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Protocol, cast

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from towpath.concurrency import in_thread
from towpath.errors import RequestError
from towpath.web.memory import Loan, Memory

__all__ = ["FormFile", "FormLimits", "Sink", "read_form"]

_BATCH = 256 * 1024
_HEAD = 512
_LONGEST_BOUNDARY = 256  # RFC 2046 has 70
_CODE = "utf-8"


class Sink(Protocol):
    """Where a file goes."""

    def write(self, data: bytes) -> None:
        """Take the next bytes of it."""


@dataclass(frozen=True, slots=True)
class FormLimits:
    """How much a form may have.

    Attributes:
        files: how many.
        fields: how many others.
        text: bytes of those, together.
    """

    files: int
    fields: int
    text: int


@dataclass(slots=True)
class FormFile:
    """A file of a form.

    Attributes:
        name: as it is called.
        content_type: as stated, '' if it is not.
        sink: where it went.
        head: its first bytes.
    """

    name: str
    content_type: str
    sink: Sink
    head: bytes = b""


Part = tuple[str, "str | FormFile"]


async def read_form(
    body: AsyncIterator[bytes],
    content_type: str,
    make: Callable[[], Sink],
    limits: FormLimits,
    memory: Memory | None = None,
) -> list[Part]:
    """Return the fields of a form and their values, in their order.

    Args:
        body: the form.
        content_type: of the request; it names what is between the parts.
        make: makes a sink, in another thread; who makes it closes it, whatever happens.
        limits: how much there may be.
        memory: for what is on its way to the sinks; of its own by default.

    Raises:
        RequestError: it is no form, broke off, or has too much.
    """
    reader = _Reader(limits)
    callbacks = cast("Any", reader.callbacks())  # a TypedDict that is there for checkers only
    parser = MultipartParser(_boundary_in(content_type), callbacks)
    with closing(Loan(memory or Memory(), _BATCH)) as loan:
        try:
            async for chunk in body:
                parser.write(chunk)
                if reader.is_due or not loan.take():
                    await in_thread(reader.pass_on)(make)
                    loan.give_back()
        except FormParserError as error:
            raise _unreadable(str(error)) from None
        if not reader.is_whole:
            raise _unreadable("it broke off")
        await in_thread(reader.pass_on)(make)
    return reader.parts


def _boundary_in(content_type: str) -> bytes:
    """Return what is between the parts.

    Raises:
        RequestError: it is not said.
    """
    stated = content_type.encode("latin-1", "replace")
    boundary = parse_options_header(stated)[1].get(b"boundary", b"")
    if not 0 < len(boundary) <= _LONGEST_BOUNDARY:
        reason = f"its Content-Type has no boundary of 1 to {_LONGEST_BOUNDARY} bytes"
        raise _unreadable(reason)
    return boundary


def _unreadable(reason: str) -> RequestError:
    """Say why a form cannot be read."""
    message = (
        f"The form cannot be read: {reason}. Send fields and files as multipart/form-data "
        "(RFC 7578)."
    )
    return RequestError(message)


def _too_many(limits: FormLimits, files: int) -> RequestError:
    """Say what a form has too much of, and how much it may have."""
    most_files = _counted(limits.files, "file")
    most_fields = _counted(limits.fields, "other field")
    found = most_files if files > limits.files else most_fields
    message = f"The form has more than {found}. It may have {most_files} and {most_fields}."
    return RequestError(message)


def _counted(number: int, noun: str) -> str:
    """Return a number with its noun."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


class _NoSink:
    """Stands for the sink of a file until there is one."""

    def write(self, data: bytes) -> None:
        """Take nothing."""


class _Reader:
    """Takes what the parser finds, and remembers what files are to get."""

    def __init__(self, limits: FormLimits) -> None:
        self.parts: list[Part] = []
        self.is_whole = False
        self._waiting_bytes = 0
        self._is_short_of_sinks = False
        self._limits = limits
        self._waiting: list[tuple[FormFile, bytes]] = []
        self._headers: dict[bytes, bytes] = {}
        self._name = self._value = b""
        self._field = ""
        self._file: FormFile | None = None
        self._text = bytearray()
        self._texts = self._files = self._fields = 0

    @property
    def is_due(self) -> bool:
        """Return whether what waits is to be written now."""
        return self._waiting_bytes >= _BATCH or self._is_short_of_sinks

    def callbacks(self) -> dict[str, Callable[..., None]]:
        """Return what the parser calls."""
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._header_name,
            "on_header_value": self._header_value,
            "on_header_end": self._header_end,
            "on_headers_finished": self._headers_end,
            "on_part_data": self._data,
            "on_part_end": self._end,
            "on_end": self._whole,
        }

    def pass_on(self, make: Callable[[], Sink]) -> None:
        """Make the sinks that are missing, and write what waits; in a thread."""
        for _, value in self.parts:
            if isinstance(value, FormFile) and isinstance(value.sink, _NoSink):
                value.sink = make()
        for file, data in self._waiting:
            file.sink.write(data)
        self._waiting, self._waiting_bytes, self._is_short_of_sinks = [], 0, False

    # --- what the parser finds ---

    def _begin(self) -> None:
        self._headers, self._file, self._text = {}, None, bytearray()

    def _header_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _header_end(self) -> None:
        self._headers[self._name.lower()] = self._value
        self._name = self._value = b""

    def _headers_end(self) -> None:
        """Note whether a file or a text follows; refuse one too many."""
        options = parse_options_header(self._headers.get(b"content-disposition", b""))[1]
        if b"name" not in options:
            raise _unreadable("a part's Content-Disposition has no name")
        self._field = _decoded(options[b"name"])
        if b"filename" in options:
            self._files += 1
            kind = self._headers.get(b"content-type", b"").decode("latin-1")
            self._file = FormFile(_decoded(options[b"filename"]), kind, _NoSink())
            self.parts.append((self._field, self._file))
            self._is_short_of_sinks = True
        else:
            self._fields += 1
        if self._files > self._limits.files or self._fields > self._limits.fields:
            raise _too_many(self._limits, self._files)

    def _data(self, data: bytes, start: int, end: int) -> None:
        """Take a piece of a file or of a text."""
        piece = bytes(data[start:end])
        if self._file is not None:
            if len(self._file.head) < _HEAD:
                self._file.head += piece[: _HEAD - len(self._file.head)]
            self._waiting.append((self._file, piece))
            self._waiting_bytes += len(piece)
            return
        self._texts += len(piece)
        if self._texts > self._limits.text:
            raise _unreadable(f"its text fields have more than {self._limits.text} bytes")
        self._text += piece

    def _end(self) -> None:
        if self._file is None:
            self.parts.append((self._field, _decoded(bytes(self._text))))

    def _whole(self) -> None:
        self.is_whole = True


def _decoded(raw: bytes) -> str:
    """Return a text of a form; what is not UTF-8 is Latin-1."""
    try:
        return raw.decode(_CODE)
    except UnicodeDecodeError:
        return raw.decode("latin-1")
