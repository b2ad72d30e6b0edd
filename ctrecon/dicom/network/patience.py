"""How long somebody has to wait who talks much and says little, so that others keep the processor."""

from __future__ import annotations

import time
from dataclasses import dataclass

from ctrecon.dicom.network.pdu import PduError

SMALL_BYTES = 1024
"""A data value below this is a command, or noise."""
_MANY_SMALL, _MOST_PAUSE_S = 64, 0.25
# Who waited for so long and still says no more than this at a time is broken off; a C-STORE request is longer.
_MOST_PAUSED_S, _CRUMB_BYTES = 10.0, 128


@dataclass
class Patience:
    """Counts data values that carry next to nothing, however many of them a P-DATA-TF holds; one a second is free."""

    _small: float = 0.0
    _at: float = 0.0
    _paused_s: float = 0.0

    def pause_s(self, size: int) -> float:
        """Seconds to wait before a small value of ``size`` bytes is looked at.

        Raises PduError for those who go on after ten seconds of it: what was sent before can fill the buffers of the
        network for hours, also when its sender has long gone.
        """
        now = time.monotonic()
        self._small = max(0.0, self._small - (now - self._at)) + 1
        self._at = now
        if self._small <= _MANY_SMALL:
            return 0.0
        if self._paused_s > _MOST_PAUSED_S and size < _CRUMB_BYTES:
            raise PduError("values of nothing without end")
        pause = min((self._small - _MANY_SMALL) * 1e-3, _MOST_PAUSE_S)
        self._paused_s += pause
        return pause
