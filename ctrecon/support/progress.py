"""How a long job says where it is: one small value, and any callable that takes it.

``reconstruct(scan, progress=print)`` prints a line for each; the command line draws its bars from the same values.
Nothing in the library prints of its own accord.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Where a job is: ``done`` of ``total`` (None where that is not known) ``unit``s of its present ``stage``.

    ``values`` are numbers by their names, for people and plots; ``item`` says which of many it is at, such as
    ``slice 3 of 40``. ``said`` is a sentence in the place of a count: a note, or delta. As text it is one line.
    """

    stage: str
    unit: str
    done: int
    total: int | None = None
    values: Mapping[str, float] = field(default_factory=dict)
    item: str = ""
    said: str = ""

    def __str__(self) -> str:
        before = f"{self.item}: " if self.item else ""
        if self.said:
            return before + self.said
        count = f"{self.unit} {self.done:3d}" + ("" if self.total is None else f" of {self.total}")
        return before + "   ".join([count, *(f"{name} {value:.6g}" for name, value in self.values.items())])


Report = Callable[[Progress], None]
"""What a caller gives as ``progress=``. It is called often: it should be quick, and may raise to end the job."""
