"""What a caller has set for all of torch holds for the caller's own code: autocast, and a device for new tensors.

Within a training under autocast, or after ``torch.set_default_device("cuda")``, a reconstruction works as ever; a
direction that it asks is the caller's code again.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar, cast

F = TypeVar("F", bound=Callable[..., Any])
_KINDS = ("cpu", "cuda")
_theirs: ContextVar[tuple[dict[str, Any], Any] | None] = ContextVar("theirs", default=None)


@contextmanager
def plain_torch() -> Iterator[None]:
    """Within the block, torch is as it is where nobody has set anything; nothing is imported for it."""
    torch: Any = sys.modules.get("torch")
    if torch is None:
        yield
        return
    casts = {kind: torch.get_autocast_dtype(kind) for kind in _KINDS if torch.is_autocast_enabled(kind)}
    device = torch.empty(0).device  # to ask torch for its default device imports what is not needed else
    if not casts and device.type == "cpu":
        yield
        return
    before = _theirs.set((casts, device))
    try:
        with ExitStack() as stack:
            for kind in casts:
                stack.enter_context(torch.autocast(kind, enabled=False))
            stack.enter_context(torch.device("cpu"))
            yield
    finally:
        _theirs.reset(before)


def as_its_caller_set_torch(function: F) -> F:
    """A function of the caller's that runs with torch as it was before ``plain_torch``.

    Args:
        function: Such as a direction.

    Returns:
        The same function, asked so.
    """
    theirs = _theirs.get()
    if theirs is None:
        return function
    torch: Any = sys.modules["torch"]
    casts, device = theirs

    def asked(*given: Any) -> Any:
        with ExitStack() as stack:
            for kind, dtype in casts.items():
                stack.enter_context(torch.autocast(kind, dtype=dtype))
            stack.enter_context(device)
            return function(*given)

    return cast(F, asked)
