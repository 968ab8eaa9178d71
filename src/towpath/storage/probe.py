"""What a store must do before files are trusted to it, tried out on the store itself."""

import secrets
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from towpath.errors import ObjectExistsError, ObjectNotFoundError, StorageError, StoreUnusableError
from towpath.storage.objects import Attributes, ObjectStore
from towpath.storage.opening import open_objects
from towpath.storage.places import StorePlace

__all__ = ["Finding", "check_usable", "probe"]

_CONTENT = bytes(range(256)) * 64
_ATTRIBUTES = Attributes("text/plain", "probe ü ∑.txt", "probe", 1.5, 2, "hide", "0" * 64)


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found.

    Attributes:
        promise: what the store should do.
        trouble: what it did instead; None = all is well.
    """

    promise: str
    trouble: str | None


def check_usable(place: StorePlace) -> None:
    """Try a store out.

    Raises:
        StoreUnusableError: it breaks a promise that files depend on; it says which.
    """
    for finding in probe(place):
        if finding.trouble is not None:
            where = place.address.shown()
            reason = f"The store {where} cannot be trusted with files: {finding.promise}: "
            raise StoreUnusableError(f"{reason}{finding.trouble}. Use another one.")


def probe(place: StorePlace) -> Iterator[Finding]:
    """Try a store out with a small object of a name that nobody has; yield what each check found.

    Nothing of it is left. After one that shows that the store does not answer there are no more.

    Raises:
        StoreUnusableError: it cannot even be opened.
    """
    objects = open_objects(place)
    key = f"zz-probe-{secrets.token_hex(8)}"
    checks: list[tuple[str, Callable[[], str | None]]] = [
        ("what is written is read back", partial(_round_trip, objects, key)),
        ("names and types are kept with it", partial(_attributes, objects, key)),
        ("a range is answered with that range", partial(_range, objects, key)),
        ("an object that must not exist is not replaced", partial(_create, objects, key)),
        ("lists show it", partial(_listed, objects, key)),
        ("a wrong checksum is refused", partial(_checksum, place, key)),
        ("what is removed is gone", partial(_removed, objects, key)),
    ]
    try:
        for number, (promise, check) in enumerate(checks):
            trouble = _tried(check)
            yield Finding(promise, trouble)
            if trouble is not None and not number:
                return
    finally:
        with suppress(StorageError):
            objects.delete([key])


def _tried(check: Callable[[], str | None]) -> str | None:
    """Return what is wrong, None if nothing is."""
    try:
        return check()
    except (StorageError, OSError) as error:
        return str(error).rstrip(".")


def _round_trip(objects: ObjectStore, key: str) -> str | None:
    objects.put(key, _CONTENT, _ATTRIBUTES)
    return None if b"".join(objects.get(key)) == _CONTENT else "other bytes come back"


def _attributes(objects: ObjectStore, key: str) -> str | None:
    kept = objects.head(key).attributes
    if kept is None or (kept.name, kept.expires) != (_ATTRIBUTES.name, _ATTRIBUTES.expires):
        return "they come back changed"
    return None


def _range(objects: ObjectStore, key: str) -> str | None:
    got = b"".join(objects.get(key, start=100, stop=357))
    return None if got == _CONTENT[100:357] else f"{len(got)} bytes come instead of 257"


def _create(objects: ObjectStore, key: str) -> str | None:
    try:
        objects.put(key, b"another one", _ATTRIBUTES)
    except ObjectExistsError:
        return None
    return "it was replaced"


def _listed(objects: ObjectStore, key: str) -> str | None:
    return None if key in {info.key for info in objects.list(key[:2])} else "it is missing"


def _checksum(place: StorePlace, key: str) -> str | None:
    if place.address.scheme != "s3":
        return None
    from towpath.storage.cloud import takes_anything  # noqa: PLC0415 - an extra

    return "it is taken" if takes_anything(place.address, f"{key}-sum") else None


def _removed(objects: ObjectStore, key: str) -> str | None:
    objects.delete([key])
    try:
        objects.head(key)
    except ObjectNotFoundError:
        return None
    return "it is still there"
