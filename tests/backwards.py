"""Other processes as a test has them: they compute the last piece first, from copies."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ctrecon.support.arrays import Array


class Backwards:
    """An ``Elsewhere`` that remembers how many pieces it was given."""

    def __init__(self) -> None:
        self.open, self.pieces = True, 0

    def each(
        self, work: Callable[..., Array], shared: Array | None, pieces: Sequence[tuple[Any, ...]]
    ) -> Iterator[Array]:
        """As ``Elsewhere.each``."""
        self.pieces += len(pieces)
        found = [work(copy.deepcopy(shared), *pickle.loads(pickle.dumps(piece))) for piece in reversed(pieces)]
        yield from reversed(found)
