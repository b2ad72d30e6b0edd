"""Blocks of a volume's projector as tasks of Dask.

What a task needs is held by the workers. Where one of them dies, what only it held is sent again.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from typing import Any

from distributed import Client, Future, KilledWorker

from ctrecon.errors import OperatorError
from ctrecon.support.arrays import Array

_TRIES = 4
# Until the scheduler knows that a worker is gone.
_PAUSE_S = 0.5
_LOST = "workers died again and again; give them more memory, or use fewer on each machine"


class Products:
    """An ``Elsewhere`` of the workers of a Dask client.

    It is not kept in a pickle: what comes out of one computes here.

    Args:
        client: Open until ``close``.
    """

    def __init__(self, client: Client) -> None:
        self._client: Client | None = client

    def __getstate__(self) -> dict[str, None]:
        return {"_client": None}

    def __setstate__(self, state: dict[str, None]) -> None:
        self.__dict__.update(state)

    @property
    def open(self) -> bool:
        """Until ``close``."""
        return self._client is not None

    def close(self) -> None:
        """From now on all is computed here; the client is its owner's to close."""
        self._client = None

    def each(
        self, work: Callable[..., Array], shared: Array | None, pieces: Sequence[tuple[Any, ...]]
    ) -> Iterator[Array]:
        """``work(shared, *piece)`` for each piece, in order; at most two pieces a worker are on their way.

        Args:
            work: A function that the workers can import.
            shared: Sent to all workers once; None for nothing.
            pieces: The further arguments of each.

        Yields:
            The results.

        Raises:
            OperatorError: Where workers die again and again.
        """
        client = self._client
        assert client is not None, "closed"
        held: Future[Any] | None = None

        def send(number: int, anew: bool) -> Future[Any]:
            nonlocal held
            if shared is not None and (held is None or anew):
                held = _sent(lambda: client.scatter(shared, broadcast=True, hash=False))
            piece = _sent(lambda: client.scatter([list(pieces[number])], hash=False)[0])
            return client.submit(_on_worker, work, held, piece, pure=False, priority=-number)

        ahead = 2 * max(1, len(client.nthreads()))
        on_their_way: deque[tuple[int, Future[Any]]] = deque()
        next_one = 0
        while next_one < len(pieces) or on_their_way:
            while next_one < len(pieces) and len(on_their_way) < ahead:
                on_their_way.append((next_one, send(next_one, False)))
                next_one += 1
            number, task = on_their_way.popleft()
            for _ in range(_TRIES):
                try:
                    yield task.result()
                    break
                except CancelledError:  # what it needed was held by a worker that is gone
                    task = send(number, True)
                except KilledWorker:
                    raise OperatorError(_LOST) from None
            else:
                raise OperatorError(_LOST)


def _sent(send: Callable[[], Any]) -> Any:
    """What ``send`` gives, in the end: it fails where a worker dies in the midst of it."""
    for left in reversed(range(_TRIES)):
        try:
            return send()
        except OSError as why:  # a connection that is closed is one
            if not left:
                raise OperatorError(_LOST) from why
            time.sleep(_PAUSE_S)
    raise AssertionError


def _on_worker(work: Callable[..., Array], shared: Array | None, piece: list[Any]) -> Array:
    return work(shared, *piece)
