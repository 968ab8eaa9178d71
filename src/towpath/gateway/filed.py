"""What is too large for a row of the queue, between its file and a socket."""

from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import replace
from typing import BinaryIO

from towpath.concurrency import in_thread
from towpath.errors import AnswerTooLargeError, RequestNotFoundError
from towpath.gateway.bodies import pieces_of
from towpath.net.upstream import Answer
from towpath.queue.payloads import SMALL, Draft, Payloads, split
from towpath.queue.requests import Claim, Headers, NewRequest, Outcome
from towpath.queue.store import RequestQueue

__all__ = ["copied", "file_of", "forget_answer", "forget_body", "kept_answer", "pieces_in"]

_MOST_BYTES = 64 * 2**20


def file_of(headers: Headers, payloads: Payloads | None) -> tuple[Headers, BinaryIO | None]:
    """Return headers as they were sent, and the open file of their body, if that is in one.

    Raises:
        FileNotFoundError: the file is gone.
    """
    sent, name = split(headers)
    if name is None or payloads is None:
        return sent, None
    return sent, payloads.path(name).open("rb", buffering=0)


async def pieces_in(file: BinaryIO) -> AsyncIterator[bytes]:
    """Yield the bytes of a file, and close it."""
    with closing(file):
        async for piece in pieces_of(file):
            yield piece


async def kept_answer(
    answer: Answer, claim: Claim, payloads: Payloads | None
) -> tuple[bytes, Headers]:
    """Read an answer that is to be kept: a small one as bytes, a large one into a file.

    Returns:
        The bytes, and what its row's headers have besides.

    Raises:
        AnswerTooLargeError: it is larger than can be kept.
        StoreFullError: it would use up the disk's reserve.
        UpstreamError: it broke off.
    """
    batch, size = bytearray(), 0
    draft: Draft | None = None
    try:
        async for chunk in answer.chunks():
            batch += chunk
            size += len(chunk)
            if size > _MOST_BYTES:
                raise AnswerTooLargeError(claim.app.partition("/")[2], limit=_MOST_BYTES)
            if len(batch) > SMALL and payloads is not None:
                draft = draft or await in_thread(payloads.draft)()
                await in_thread(draft.write)(bytes(batch))
                batch.clear()
        if draft is None or payloads is None:
            return bytes(batch), ()
        await in_thread(draft.write)(bytes(batch))
        name = f"{claim.request_id}.answer-{claim.attempt}"
        return b"", (await in_thread(payloads.keep)(draft, name),)
    finally:
        if draft is not None:
            draft.close()


def copied(new: NewRequest, payloads: Payloads | None) -> NewRequest:
    """Return a request like an earlier one, with a file of its own if that had one.

    Raises:
        RequestNotFoundError: the file is gone.
    """
    sent, name = split(new.headers)
    if name is None or payloads is None:
        return new
    try:
        pair = payloads.copy(name, f"{new.request_id}.body")
    except FileNotFoundError:
        raise RequestNotFoundError(new.request_id) from None
    return replace(new, headers=(*sent, pair), file=payloads.path(pair[1]))


def forget_answer(answer: Outcome, kept: Outcome, payloads: Payloads | None) -> None:
    """Remove the file of an attempt's answer that is not the request's: it is tried again."""
    name = split(answer.headers)[1]
    if name is not None and payloads is not None and split(kept.headers)[1] != name:
        payloads.drop(name)


def forget_body(claim: Claim, queue: RequestQueue) -> None:
    """Remove the file of a request's body if its caller wanted it to be forgotten."""
    name = split(claim.headers)[1]
    if name is None or queue.payloads is None:
        return
    try:
        queue.records.copy_of(claim.request_id, "")
    except RequestNotFoundError:
        queue.payloads.drop(name)
