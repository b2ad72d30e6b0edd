"""Asking a direction: what it answers is checked, and so is that it leaves the point as it was."""

from __future__ import annotations

import torch
from torch import Tensor

from ctrecon.descent.directions import Direction
from ctrecon.energies.base import Point
from ctrecon.errors import SettingError


def proposal(direction: Direction, point: Point) -> Tensor:
    """``direction(point)``, in the dtype of ``point.u``, apart from any graph.

    Raises:
        SettingError: for an answer that is no floating point tensor of the shape and on the device of ``point.u``, and
            for a direction that writes into the point.
    """
    kept = Kept(point, "u", "gradient", "residual", "last_step")
    z = direction(point)
    kept.check("the direction")
    return checked(z, point.u)


class Kept:
    """Copies of a point's tensors ``names``, to notice whoever writes into them or puts others in their place: E would
    rise unseen.
    """

    def __init__(self, point: Point, *names: str) -> None:
        held = [(name, getattr(point, name)) for name in names]
        self._point, self._held = point, [(name, one, one.clone()) for name, one in held if one is not None]

    def check(self, who: str) -> None:
        """Raises SettingError where ``who`` wrote into one of them."""
        for name, held, before in self._held:
            now = getattr(self._point, name)
            if now is None or not _same(held, before) or (now is not held and not _same(now, before)):
                raise SettingError(
                    f"{who} wrote into point.{name}, from which the descent goes on; work on point.{name}.clone()"
                )


def checked(z: object, u: Tensor) -> Tensor:
    """``z`` as a direction at ``u``. Raises SettingError where it is none."""
    wanted = f"the direction must return a tensor of shape {list(u.shape)} on {u.device}, like point.u"
    if not isinstance(z, Tensor):
        shape = getattr(z, "shape", None)
        remedy = "" if shape is None else "; use torch.as_tensor(x, dtype=point.u.dtype)"
        raise SettingError(
            f"{wanted}; it returned {type(z).__name__}{'' if shape is None else f' of shape {list(shape)}'}{remedy}"
        )
    # Before its shape: a nested tensor has none.
    if z.is_nested or z.layout is not torch.strided:
        kind, remedy = ("nested", "torch.stack") if z.is_nested else ("sparse", "z.to_dense()")
        raise SettingError(f"{wanted}; it returned a {kind} tensor; use {remedy}")
    if z.shape != u.shape:
        remedy = f"; use z.reshape({list(u.shape)})" if z.numel() == u.numel() else ""
        raise SettingError(f"{wanted}; it returned shape {list(z.shape)}{remedy}")
    if not z.is_floating_point():
        raise SettingError(f"{wanted}, with floating point values; it returned {z.dtype}; use z.to(point.u.dtype)")
    if z.device != u.device:
        raise SettingError(f"{wanted}; it returned a tensor on {z.device}; use z.to(point.u.device)")
    return z.detach().to(u.dtype)


def _same(a: Tensor, b: Tensor) -> bool:
    """Equal where they are numbers, and no number at the same places."""
    return a.shape == b.shape and bool(((a == b) | ((a != a) & (b != b))).all())
