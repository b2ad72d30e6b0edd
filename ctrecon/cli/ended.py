"""Being asked to end by the system: a scheduler's SIGTERM, a terminal that closes. It is taken as Ctrl-C is."""

from __future__ import annotations

import signal
from typing import Any

_ASKS = ("SIGTERM", "SIGHUP")


def end_in_good_order() -> None:
    """From now on such a signal interrupts the work: what is half written goes, what is done is kept, and it is said.

    A signal that is ignored (``nohup``) stays so. A second one ends the process at once.
    """
    for name in _ASKS:
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _interrupt)


def _interrupt(number: int, _: Any) -> None:
    signal.signal(number, signal.SIG_DFL)
    raise KeyboardInterrupt
