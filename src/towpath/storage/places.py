"""Where a store is. Light: to be imported before the store is needed."""

from dataclasses import dataclass
from pathlib import Path

from towpath.settings import Settings
from towpath.store_address import StoreAddress

__all__ = ["StorePlace", "place_of"]


@dataclass(frozen=True, slots=True)
class StorePlace:
    """Where a store is, and how it keeps files.

    Attributes:
        address: where.
        folder: of this machine: the store itself, or its index and drafts.
        reserve: bytes of free space that a save leaves; None is max(1 GiB, 5 %).
        is_durable: whether saves into a folder outlive a power cut.
    """

    address: StoreAddress
    folder: Path
    reserve: int | None = None
    is_durable: bool = True


def place_of(settings: Settings) -> StorePlace:
    """Return the place that *settings* describe."""
    return StorePlace(
        settings.store_address,
        settings.store_dir,
        settings.store_reserve,
        is_durable=settings.durability == "power",
    )
