"""What may be wrong with a scan: a file in this folder is a cause, by being here.

A cause is a function ``(scan) -> Iterable[Suggestion]`` with its file's name. Constants of the file: ``PLACE``, by
which equals are named, the simplest slip first; ``SPEAKS = True`` where it looks at the values alone, which costs
little: then it is asked in every reconstruction; ``CAUSE = False`` for one that is asked there alone.
"""

from __future__ import annotations

import importlib

from ctrecon.diagnosis.suggestion import Cause
from ctrecon.support.folder import in_place


def _asked(constant: str, otherwise: bool) -> tuple[Cause, ...]:
    found = [(name, importlib.import_module(f"{__name__}.{name}")) for name in in_place(__name__)]
    return tuple(getattr(file, name) for name, file in found if getattr(file, constant, otherwise))


CAUSES = _asked("CAUSE", otherwise=True)
"""In the order in which equals are named."""
SPEAKING = _asked("SPEAKS", otherwise=False)
"""Those that look at the values alone, which costs little: they are asked in every reconstruction."""
