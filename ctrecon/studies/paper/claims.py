"""What a figure of the paper claims, as numbers that are computed and bars that they meet or do not."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A sentence, its number, and the bar: the number must be ``<=`` or ``>=`` it. A NaN meets no bar."""

    claim: str
    number: float
    bar: float
    sense: Literal["<=", ">="]

    @property
    def met(self) -> bool:
        if math.isnan(self.number):
            return False
        return self.number <= self.bar if self.sense == "<=" else self.number >= self.bar

    def to_dict(self) -> dict[str, Any]:
        """For JSON.

        Returns:
            Sentence, number, bar, sense and whether it is met; a number that is not finite is None.
        """
        # JSON has no infinity and no NaN.
        number = self.number if math.isfinite(self.number) else None
        return {"claim": self.claim, "number": number, "bar": self.bar, "sense": self.sense, "met": self.met}


def at_most(claim: str, number: float, bar: float) -> Claim:
    return Claim(claim=claim, number=float(number), bar=float(bar), sense="<=")


def at_least(claim: str, number: float, bar: float) -> Claim:
    return Claim(claim=claim, number=float(number), bar=float(bar), sense=">=")


@dataclass(frozen=True, kw_only=True)
class Figure:
    """What a reproduction leaves beside its picture: settings, claims, and a table of what is drawn."""

    name: str
    settings: dict[str, Any]
    claims: Sequence[Claim]
    table: Sequence[dict[str, Any]]

    @property
    def met(self) -> bool:
        return all(claim.met for claim in self.claims)

    def to_dict(self) -> dict[str, Any]:
        """For JSON, without the table.

        Returns:
            Name, settings and claims.
        """
        return {"figure": self.name, "settings": self.settings, "claims": [claim.to_dict() for claim in self.claims]}
