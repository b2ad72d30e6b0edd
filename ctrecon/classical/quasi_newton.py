"""The parts of a projected quasi-Newton method for many images at once.

A memory of steps and gradient changes (L-BFGS: J. Nocedal, Math. Comput. 35, 1980) around a circulant
model of ``A^T A + alpha D^T W D`` (J. A. Fessler, S. D. Booth, IEEE Trans. Image Process. 8, 1999), used on the
pixels that are free to move (two-metric projection: D. P. Bertsekas, SIAM J. Control Optim. 20, 1982).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from ctrecon.errors import OperatorError
from ctrecon.operators.base import LinearOperator

# A^T A is no convolution at the highest frequencies and its model may vanish there; the model stays above this
# fraction of its mean. Measured best among 0.1 to 0.6 at 164 x 164; it matters little.
FLOOR = 0.6


def dots(a: Tensor, b: Tensor) -> Tensor:
    """``<a_i, b_i>`` per sample in the tensors' own precision: ``[batch]``."""
    result: Tensor = torch.linalg.vecdot(a.flatten(1), b.flatten(1))
    return result


def fast_length(least: int) -> int:
    """The next length whose Fourier transform is fast: no prime factor above 5."""
    length = least
    while True:
        rest = length
        for factor in (2, 3, 5):
            while rest % factor == 0:
                rest //= factor
        if rest == 1:
            return length
        length += 1


class CirculantModel:
    """``A^T A`` as a convolution, from its answer to one point in the middle of an image ``(1, *axes)``, or a volume.

    ``column`` is the norm of A's column there, ``largest`` about ``||A||^2``. Raises OperatorError
    for a domain that is not one image.
    """

    def __init__(self, operator: LinearOperator, like: Tensor) -> None:
        shape = operator.domain_shape
        if len(shape) not in (3, 4) or shape[0] != 1:
            raise OperatorError(f"expected an operator on images (1, rows, columns) or volumes, got {shape}")
        self.shape = shape[1:]
        # Room beyond the border, and a length with small factors.
        self.padded = tuple(fast_length(n + 16) for n in shape[1:])
        point = like.new_zeros((1, *shape))
        middle = tuple(n // 2 for n in self.shape)
        point[(0, 0, *middle)] = 1
        response = operator.adjoint(operator(point))[0, 0].double()
        self.column = math.sqrt(max(float(response[middle]), 0.0))
        kernel = response.new_zeros(self.padded)
        kernel[self.inside] = response
        kernel = torch.roll(kernel, tuple(-n for n in middle), tuple(range(len(middle))))
        symbol = torch.fft.rfftn(kernel).real
        self.largest = float(symbol.max())
        self.symbol = symbol.clamp_min(max(FLOOR * self.column**2, 1e-6 * self.largest, 1e-30)).to(like)
        laplacian = torch.full((1,) * len(middle), 2.0 * len(middle), dtype=torch.float64)
        for axis, length in enumerate(self.padded):
            last = axis == len(middle) - 1
            frequency = torch.fft.rfftfreq if last else torch.fft.fftfreq
            wave = 2 * torch.cos(2 * math.pi * frequency(length, dtype=torch.float64))
            laplacian = laplacian - wave.view(-1, *(1,) * (len(middle) - 1 - axis))
        self.laplacian = laplacian.to(like)

    @property
    def inside(self) -> tuple[slice, ...]:
        """Where the image stands in its padding."""
        return tuple(slice(0, n) for n in self.shape)

    def solve(self, g: Tensor, roughness: Tensor, scale: Tensor | float = 1.0) -> Tensor:
        """``(scale A^T A + roughness D^T D)^(-1) g`` in the model; ``roughness`` and ``scale`` are ``[batch]``."""
        each, axes = (-1, *(1,) * len(self.shape)), tuple(range(1, 1 + len(self.shape)))
        data = (scale.view(each) if isinstance(scale, Tensor) else scale) * self.symbol
        spectrum = torch.fft.rfftn(g[:, 0], s=self.padded, dim=axes)
        spectrum /= data + roughness.view(each) * self.laplacian
        z: Tensor = torch.fft.irfftn(spectrum, s=self.padded, dim=axes)
        return z[(slice(None), *self.inside)][:, None].contiguous()


class Memory:
    """The last ``size`` pairs (step, change of gradient) of each sample, and the inverse Hessian they imply."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._pairs: tuple[Tensor, Tensor] | None = None
        self._order: list[int] = []

    @property
    def state(self) -> dict[str, Any]:
        """What ``go_on`` takes."""
        return {"pairs": self._pairs, "order": list(self._order)}

    def go_on(self, state: Mapping[str, Any]) -> None:
        """Be as the memory was whose ``state`` it is."""
        self._pairs = None if state["pairs"] is None else (state["pairs"][0], state["pairs"][1])
        self._order = list(state["order"])

    def add(self, step: Tensor, change: Tensor) -> None:
        """``[batch, ...]`` each; the oldest pair gives way."""
        batch = step.shape[0]
        if self._pairs is None:
            empty = step.new_zeros((batch, self.size, step[0].numel()))
            self._pairs = empty, empty.clone()
        slot = len(self._order) if len(self._order) < self.size else self._order.pop(0)
        self._order.append(slot)
        for kept, new in zip(self._pairs, (step, change), strict=True):
            kept[:, slot] = new.reshape(batch, -1)

    def keep(self, samples: Tensor) -> None:
        """Go on with some samples only."""
        if self._pairs is not None:
            self._pairs = self._pairs[0][samples], self._pairs[1][samples]

    def solve(self, g: Tensor, free: Tensor, first: Callable[[Tensor], Tensor]) -> Tensor:
        """``H g`` restricted to the pixels ``free``, around the inverse ``first``; 0 elsewhere.

        The two loops of L-BFGS, with all products of long vectors taken in three batches.
        """
        q = g * free
        if self._pairs is None:
            return first(q) * free
        S, Y = self._pairs
        batch, order = g.shape[0], self._order
        S = S * free.reshape(batch, 1, -1)
        products = torch.bmm(S, Y.mT)
        onto = torch.bmm(S, q.reshape(batch, -1, 1))[:, :, 0]
        curvature = torch.diagonal(products, dim1=1, dim2=2)
        # A pair without positive curvature on the free pixels is passed over.
        rho = torch.where(curvature > 0, 1 / curvature.clamp_min(torch.finfo(g.dtype).tiny), 0.0)
        alpha, change = torch.zeros_like(onto), torch.zeros_like(onto)
        for i in reversed(order):
            alpha[:, i] = rho[:, i] * (onto[:, i] - (alpha * products[:, i, :]).sum(1))
        q = (q - torch.bmm(alpha[:, None], Y).reshape(g.shape)) * free
        z = first(q) * free
        image = torch.bmm(Y, z.reshape(batch, -1, 1))[:, :, 0]
        for i in order:
            change[:, i] = alpha[:, i] - rho[:, i] * (image[:, i] + (change * products[:, :, i]).sum(1))
        return z + torch.bmm(change[:, None], S).reshape(g.shape)
