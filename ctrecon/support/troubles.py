"""Where a message sends a person who has that trouble: the place of a symptom on one page."""

from __future__ import annotations

from typing import Literal

Symptom = Literal[
    "doubled-edges", "cupping", "rings", "streaks", "mirrored", "dim", "a-bright-rim", "too-noisy-or-too-smooth",
    "infeasible", "exit-code-3", "delta-not-met", "slow", "gpu", "no-geometry",
]  # fmt: skip
"""The headings of ``docs/faq.md``, as links name them."""


def see(symptom: Symptom) -> str:
    """The end of a message: ``see docs/faq.md#rings``."""
    return f"see docs/faq.md#{symptom}"
