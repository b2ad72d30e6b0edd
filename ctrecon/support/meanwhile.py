"""One call that goes on while the caller does something else."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event
from types import TracebackType
from typing import Generic, Self, TypeVar

from ctrecon.support.threads import threads

T = TypeVar("T")


class Meanwhile(Generic[T]):
    """A call on a thread of its own within ``with``, where torch may use more than one; else when it is asked for.

    Args:
        work: Called once, with what says whether its result is still wanted, to be asked now and then.
    """

    def __init__(self, work: Callable[[Callable[[], bool]], T]) -> None:
        self._work, self._unwanted = work, Event()
        self._pool: ThreadPoolExecutor | None = None
        self._result: Future[T] | None = None

    def __enter__(self) -> Self:
        if threads() > 1:
            self._pool = ThreadPoolExecutor(1, thread_name_prefix="ctrecon-meanwhile")
            self._result = self._pool.submit(self._work, self._wanted)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.drop()
        if self._pool is not None:
            self._pool.shutdown(wait=True)

    def drop(self) -> None:
        """Say that nobody will ask for the result."""
        self._unwanted.set()

    def result(self) -> T:
        """What the call gives, or raises; waits for it.

        Returns:
            The result of ``work``.
        """
        return self._work(self._wanted) if self._result is None else self._result.result()

    def _wanted(self) -> bool:
        return not self._unwanted.is_set()
