"""What the iterative methods hand out, one after the other."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from torch import Tensor


@dataclass(frozen=True)
class Iterated:
    """One iterate: ``image`` ``[batch, *domain_shape]`` and its ``residual`` ``A u - f``.

    ``state``: what the method was in when it handed this out, and begins anew from with the same numbers
    (``ctrecon/support/checkpoint.py``). ``at_rest``: no later one will differ.
    """

    image: Tensor
    residual: Tensor
    state: dict[str, Any] = field(default_factory=dict)
    at_rest: bool = False
