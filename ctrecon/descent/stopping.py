"""When to stop, each rule with its own named reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

import torch
from torch import Tensor

from ctrecon.energies.base import Point, Ray, inner
from ctrecon.errors import SettingError


class Reason(Enum):
    """Why a descent ended, by its own numbers; what is certified, only a certificate says."""

    DISCREPANCY = "discrepancy met"
    LOW_ENERGY = "energy as low as asked for"
    SOLVED = "solved"
    INFEASIBLE = "infeasible"
    STATIONARY = "stationary"
    PLATEAU = "the residual no longer falls"
    STALLED = "stalled at rounding"
    BUDGET = "budget spent"


class StopRule(Protocol):
    """Looks at a point; may also shorten a step so that it ends just where the rule is met."""

    @property
    def reason(self) -> Reason: ...

    def met(self, point: Point, energies: Sequence[Tensor]) -> Tensor:
        """Whether each sample is done.

        Args:
            point: The energy at this iterate.
            energies: E of all iterates so far, this one's last, each ``[batch]``.

        Returns:
            ``[batch]``, bool.
        """
        ...

    def shorten(self, ray: Ray, tau: Tensor, d: Tensor) -> Tensor:
        """A step that does not go beyond what the rule asks for.

        Args:
            ray: The energy along the directions of this step.
            tau: The step, ``[batch, directions]``, float64.
            d: The bent direction, given as ``tau`` is.

        Returns:
            ``tau``, or a shorter step that just meets the rule.
        """
        ...


@dataclass(frozen=True)
class Discrepancy:
    """Stop when ``||W^(1/2) (A u - f)|| <= delta``, and end the last step exactly on that sphere.

    Morozov's principle: below delta an image only explains noise. ``delta`` in the units of the data, one number or
    one per sample; ``margin`` is kept to float32 rounding, so that what is proved in float64 afterwards holds.

    Where the image will be judged by another operator B than the descent's A (exact weights against ASTRA on a GPU),
    ``difference`` is what ``||W^(1/2) (A u - B u)||`` may be, one number or one per sample: the descent then aims at
    ``delta - difference``, so that B too leaves at most delta.

    A step from inside is not cut. Nor, with ``whole``, is one of the direction's own length: a network's answer is an
    image as a whole, and a part of the way would only mix the start into it.
    """

    delta: float | Tensor
    margin: float = 1e-5
    cut: bool = True
    whole: bool = False
    difference: float | Tensor = 0.0
    reason: Reason = Reason.DISCREPANCY

    def __post_init__(self) -> None:
        delta = torch.as_tensor(self.delta)
        if not bool(torch.isfinite(delta).all()) or bool((delta <= 0).any()):
            raise SettingError(f"delta must be finite and > 0, got {self.delta}")
        difference = torch.as_tensor(self.difference, dtype=torch.float64)
        if not bool(torch.isfinite(difference).all()) or bool((difference < 0).any()):
            raise SettingError(f"the operators' difference must be finite and >= 0, got {self.difference}")
        if bool((difference.to(delta.device) >= delta).any()):
            raise SettingError(
                f"the operators differ by {_least(self.difference)}, as much as delta = {_least(self.delta)} or more: "
                "no image can be aimed at; use an operator that is nearer to the one that judges, or a larger delta"
            )

    def _target(self, like: Tensor) -> Tensor:
        delta, difference = (
            torch.as_tensor(given, dtype=torch.float64, device=like.device) for given in (self.delta, self.difference)
        )
        return (delta - difference).expand_as(like)

    def met(self, point: Point, energies: Sequence[Tensor] = ()) -> Tensor:
        """Whether the residual is within ``delta - difference``; of a fresh point where rounding leaves it in doubt.

        Args:
            point: The energy at this iterate.
            energies: Not used.

        Returns:
            ``[batch]``, bool.

        Raises:
            SettingError: For an energy that compares with no data.
        """
        found = point.discrepancy
        if found is None:
            raise SettingError("this energy compares with no data, so no discrepancy can be reached")
        target = self._target(found) * (1 - self.margin / 4)
        unsure = (found <= target) & (found**2 + 2 * point.doubt > target**2)
        if bool(unsure.any()):
            # What the image itself shows counts, not what steps have made of its residual.
            found = point.fresh().discrepancy
            assert found is not None
        return found <= target

    def shorten(self, ray: Ray, tau: Tensor, d: Tensor) -> Tensor:
        """The step cut where it enters the sphere ``||W^(1/2) (A u - f)|| = delta - difference``, if it does.

        Args:
            ray: The energy along the directions of this step.
            tau: The step, ``[batch, directions]``, float64.
            d: The bent direction, given as ``tau`` is; with ``whole`` a step equal to it is not cut.

        Returns:
            ``tau`` or a shorter step, of the same shape; always ``tau`` without ``cut``, or where the energy compares
            with no data.
        """
        reached = ray.discrepancy(tau)
        if not self.cut or reached is None:
            return tau
        target = self._target(reached) * (1 - self.margin / 2)
        before, t = ray.discrepancy(torch.zeros_like(tau)), ray.reach(tau, target)
        if before is None or t is None:
            return tau
        cut = torch.isfinite(t) & (reached < target) & (before > target)
        if self.whole:
            cut = cut & ~(tau == d).all(1)
        return torch.where(cut, t, torch.ones_like(t))[:, None] * tau


def _least(value: float | Tensor) -> str:
    return f"{float(torch.as_tensor(value).min()):g}"


@dataclass(frozen=True)
class SmallGradient:
    """Stop when ``|grad E| <= tolerance``."""

    tolerance: float
    reason: Reason = Reason.STATIONARY

    def met(self, point: Point, energies: Sequence[Tensor] = ()) -> Tensor:
        """Whether ``|grad E| <= tolerance``.

        Args:
            point: The energy at this iterate.
            energies: Not used.

        Returns:
            ``[batch]``, bool.
        """
        return inner(point.gradient, point.gradient).sqrt() <= self.tolerance

    def shorten(self, ray: Ray, tau: Tensor, d: Tensor) -> Tensor:
        """The step as it is.

        Args:
            ray: Not used.
            tau: The step, ``[batch, directions]``, float64.
            d: Not used.

        Returns:
            ``tau``.
        """
        return tau


@dataclass(frozen=True)
class LowEnergy:
    """Stop when ``E(u) <= level``: for energies whose minimum is known, like the distance to constraints."""

    level: float
    reason: Reason = Reason.LOW_ENERGY

    def met(self, point: Point, energies: Sequence[Tensor] = ()) -> Tensor:
        """Whether ``E(u) <= level``.

        Args:
            point: The energy at this iterate.
            energies: Not used.

        Returns:
            ``[batch]``, bool.
        """
        return point.value <= self.level

    def shorten(self, ray: Ray, tau: Tensor, d: Tensor) -> Tensor:
        """The step as it is.

        Args:
            ray: Not used.
            tau: The step, ``[batch, directions]``, float64.
            d: Not used.

        Returns:
            ``tau``.
        """
        return tau


@dataclass(frozen=True)
class Plateau:
    """Stop when E has fallen by less than the fraction ``least`` over the last ``patience`` iterations.

    Where the data fit no image to within delta, going on would only fit their noise.
    """

    least: float
    patience: int = 2
    reason: Reason = Reason.PLATEAU

    def __post_init__(self) -> None:
        if not 0 < self.least < 1 or self.patience < 1:
            raise SettingError(f"a plateau needs 0 < least < 1 and patience >= 1, got {self.least} and {self.patience}")

    def met(self, point: Point, energies: Sequence[Tensor] = ()) -> Tensor:
        """Whether E is at least ``1 - least`` times what it was ``patience`` iterations ago.

        Args:
            point: The energy at this iterate.
            energies: E of all iterates so far, this one's last, each ``[batch]``.

        Returns:
            ``[batch]``, bool; False while there were too few iterations.
        """
        if len(energies) <= self.patience:
            return torch.zeros_like(point.value, dtype=torch.bool)
        return point.value >= energies[-1 - self.patience] * (1 - self.least)

    def shorten(self, ray: Ray, tau: Tensor, d: Tensor) -> Tensor:
        """The step as it is.

        Args:
            ray: Not used.
            tau: The step, ``[batch, directions]``, float64.
            d: Not used.

        Returns:
            ``tau``.
        """
        return tau
