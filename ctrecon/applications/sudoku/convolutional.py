"""The paper's kind of network for Sudoku (section 5.4): DnCNN on the digits as channels, 3 x 3 convolutions.

It knows nothing of rows, columns and boxes; it is here for the comparison.
K. Zhang et al., "Beyond a Gaussian denoiser", IEEE Trans. Image Process. 26, 2017.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional

from ctrecon.applications.sudoku.rules import INPUTS
from ctrecon.networks.stored import StoredNetwork, check_counts


@dataclass(frozen=True, kw_only=True)
class SudokuConvolutionalShape:
    """So many convolutions, with so many channels between them."""

    depth: int = 17
    width: int = 64

    def __post_init__(self) -> None:
        check_counts(self)

    @property
    def least_numbers(self) -> int:
        """A lower bound of the numbers in the weights."""
        return 9 * self.width**2 * max(0, self.depth - 2)


class SudokuConvolutional(StoredNetwork):
    """``[batch, inputs, 9, 9, 9]`` to the chances of each digit in each cell; axes: digits, rows, columns."""

    kind = "sudoku-convolutional"
    Shape = SudokuConvolutionalShape
    shape: SudokuConvolutionalShape

    def __init__(self, shape: SudokuConvolutionalShape | None = None) -> None:
        super().__init__()
        self.shape = shape = SudokuConvolutionalShape() if shape is None else shape
        widths = [9 * INPUTS, *(shape.width,) * (shape.depth - 1), 9]
        self.layers = nn.ModuleList(nn.Conv2d(a, b, 3, padding=1) for a, b in pairwise(widths))
        # Folded into the convolutions after training in the paper's networks; at 9 x 9 pixels they cost nothing.
        self.norms = nn.ModuleList(nn.GroupNorm(1, shape.width) for _ in range(shape.depth - 1))

    def forward(self, x: Tensor) -> Tensor:
        """The chances of each digit.

        Args:
            x: ``[batch, inputs, 9, 9, 9]``.

        Returns:
            ``[batch, 9, 9, 9]``, of sum one over the digits.
        """
        return self.logits(x)[-1].softmax(1)

    def logits(self, x: Tensor) -> list[Tensor]:
        """The unnormalised log-chances.

        Args:
            x: ``[batch, inputs, 9, 9, 9]``.

        Returns:
            One entry, ``[batch, 9, 9, 9]``.
        """
        y = x.flatten(1, 2)
        for layer, norm in zip(self.layers[:-1], self.norms, strict=True):
            y = functional.relu(norm(layer(y)))
        return [self.layers[-1](y)]
