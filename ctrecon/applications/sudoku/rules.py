"""A network that knows rows, columns and boxes, and nothing else of Sudoku: the rest it learns.

The unknowns are ``digit x row x column``. Every entry carries a hidden vector, and in every round it hears from the
entries that it shares a rule with: those of its row, column and box (same digit) and of its cell (other digits), and
of the three cells where its row or column crosses its box. What it hears is a learned ``log sum exp``: near the
maximum for large messages ("somebody here is sure"), near the mean for small ones, and the way in which belief
propagation treats "exactly one of these". All entries and all rounds share one set of weights, rows and columns do,
too: whatever maps Sudokus to Sudokus (digits renamed, bands and stacks and their lines permuted, transposition) only
permutes the answer. Sharing over the rounds is that of R. Palm, U. Paquet, O. Winther, "Recurrent relational
networks", NeurIPS 2018, who also teach the answer of every round.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional

from ctrecon.errors import SettingError
from ctrecon.networks.stored import StoredNetwork, check_counts

INPUTS = 4
# exp of a message must not overflow a sum of 81 in float32, nor vanish beside one.
_LOUDEST = 12.0
_MOST_ROUNDS = 256


@dataclass(frozen=True, kw_only=True)
class SudokuRulesShape:
    """Length of hidden vectors and messages; rounds when the network is taught, and when it is asked."""

    width: int = 48
    messages: int = 32
    taught: int = 8
    asked: int = 16

    def __post_init__(self) -> None:
        check_counts(self)
        # Rounds cost time but hold no weights, so a file's size does not bound them.
        if max(self.taught, self.asked) > _MOST_ROUNDS:
            raise SettingError(f"at most {_MOST_ROUNDS} rounds, got {self.taught} and {self.asked}")

    @property
    def least_numbers(self) -> int:
        """A lower bound of the numbers in the weights."""
        return self.width * (self.width + 5 * self.messages)


class SudokuRules(StoredNetwork):
    """``[batch, inputs, 9, 9, 9]`` to the chances of each digit in each cell; axes: digits, rows, columns."""

    kind = "sudoku-rules"
    Shape = SudokuRulesShape
    shape: SudokuRulesShape

    def __init__(self, shape: SudokuRulesShape | None = None) -> None:
        super().__init__()
        self.shape = shape = SudokuRulesShape() if shape is None else shape
        H, M = shape.width, shape.messages
        self.enter = nn.Linear(INPUTS, H)
        self.itself = nn.Linear(H, H, bias=False)
        self.say = nn.Linear(H, M)
        self.hear_line = nn.Linear(M, H, bias=False)
        self.hear_box = nn.Linear(M, H, bias=False)
        self.hear_cell = nn.Linear(M, H, bias=False)
        self.hear_crossing = nn.Linear(M, H, bias=False)
        self.change = nn.Linear(H, H)
        self.norm = nn.LayerNorm(H)
        self.leave = nn.Linear(H, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """The chances of each digit, after as many rounds as the shape asks for.

        Args:
            x: ``[batch, inputs, 9, 9, 9]``.

        Returns:
            ``[batch, 9, 9, 9]``, of sum one over the digits.
        """
        return self.logits(x, self.shape.asked)[-1].softmax(1)

    def logits(self, x: Tensor, rounds: int | None = None) -> list[Tensor]:
        """The unnormalised log-chances after every round.

        Args:
            x: ``[batch, inputs, 9, 9, 9]``.
            rounds: How many; None for as many as are taught.

        Returns:
            One entry a round, each ``[batch, 9, 9, 9]``.
        """
        batch = x.shape[0]
        # [batch, digit, band, row, stack, column, channel]: sums over one rule are sums over axes.
        seen = self.enter(x.movedim(1, -1)).view(batch, 9, 3, 3, 3, 3, -1)
        h = self.norm(seen)
        answers = []
        for _ in range(rounds or self.shape.taught):
            h = self.norm(h + self.change(functional.relu(seen + self.itself(h) + self._heard(h))))
            answers.append(self.leave(h).view(batch, 9, 9, 9))
        return answers

    def _heard(self, h: Tensor) -> Tensor:
        loud = self.say(h).clamp(-_LOUDEST, _LOUDEST).exp()
        in_row, in_column = loud.sum(5), loud.sum(3)
        row, column, box = in_row.sum(4, keepdim=True), in_column.sum(2, keepdim=True), in_row.sum(3)
        across = self.hear_crossing(in_row.log()) + self.hear_line(row.log()) + self.hear_box(box.log()).unsqueeze(3)
        down = self.hear_crossing(in_column.log()) + self.hear_line(column.log())
        cell = self.hear_cell(loud.sum(1, keepdim=True).log())
        heard: Tensor = across.unsqueeze(5) + down.unsqueeze(3) + cell
        return heard
