"""Pieces of one large product, computed here or in other processes.

Views are taken in blocks that depend on their number alone, and what the blocks give is added in their order. So a sum
over views has the same bytes, wherever each block was computed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from ctrecon.support.arrays import Array

# Enough that adding up what the blocks give costs little beside the blocks themselves, few enough to spread.
VIEWS = 64


def blocks(views: int) -> list[tuple[int, int]]:
    """Where blocks of views begin and end.

    Args:
        views: Of the scan.

    Returns:
        ``(first, one past the last)`` of each, in order.
    """
    return [(first, min(first + VIEWS, views)) for first in range(0, views, VIEWS)]


class Elsewhere(Protocol):
    """Other processes that compute pieces."""

    @property
    def open(self) -> bool:
        """Whether they are still there; afterwards all is computed here."""
        ...

    def each(
        self, work: Callable[..., Array], shared: Array | None, pieces: Sequence[tuple[Any, ...]]
    ) -> Iterator[Array]:
        """``work(shared, *piece)`` for each piece.

        Args:
            work: A function that other processes can import.
            shared: What all pieces need; None for nothing.
            pieces: The further arguments of each.

        Yields:
            The results, in the order of the pieces.
        """
        ...


class Spreads(Protocol):
    """Starts, or reaches, other processes."""

    def elsewhere(self) -> AbstractContextManager[Elsewhere]:
        """Them, for as long as the context lasts.

        Returns:
            A context of an ``Elsewhere``, which is closed when it ends.

        Raises:
            SettingError: Where they cannot be reached.
        """
        ...
