"""What a long computation goes on from, where a process that was killed left it.

A *state* is a nest of dicts, lists and tuples (which come back as lists) of tensors, numbers, texts, truths and None. A
loop hands it out where it could begin again with the same numbers, bit by bit; when it is kept, and where, is none of
its business.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import torch

State = Any


class Checkpoint(Protocol):
    """Keeps the last state of one computation."""

    def recall(self, device: torch.device) -> State | None:
        """What an earlier run of the same computation left.

        Args:
            device: Where its tensors are to be.

        Returns:
            Its state; None to begin.
        """
        ...

    def offer(self, state: Callable[[], State]) -> None:
        """Offer to keep a state, from which the computation could go on.

        Args:
            state: Gives it; asked at once or never.
        """
        ...


class Nowhere:
    """Keeps nothing."""

    def recall(self, device: torch.device) -> State | None:
        """See ``Checkpoint``."""
        return None

    def offer(self, state: Callable[[], State]) -> None:
        """See ``Checkpoint``."""


NOWHERE = Nowhere()


@dataclass(frozen=True)
class Within:
    """The checkpoint of a part of a computation: its state stands under ``name`` in that of the whole.

    Args:
        whole: Of the computation.
        name: Of the part.
        around: What else the whole goes on from while the part is at work.
    """

    whole: Checkpoint
    name: str
    around: Callable[[], dict[str, State]] = dict

    def recall(self, device: torch.device) -> State | None:
        """See ``Checkpoint``."""
        found = self.whole.recall(device)
        return None if found is None else found.get(self.name)

    def offer(self, state: Callable[[], State]) -> None:
        """See ``Checkpoint``."""
        self.whole.offer(lambda: {**self.around(), self.name: state()})
