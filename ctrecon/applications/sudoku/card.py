"""How well a network solves Sudokus it was not trained on, and its model card."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from ctrecon.applications.sudoku.puzzles import read_split
from ctrecon.applications.sudoku.rules import SudokuRules
from ctrecon.applications.sudoku.solve import NetworkDirection, solve
from ctrecon.errors import InputError
from ctrecon.support.statistics import share_of

MOST = 500


def validation_scores(network: nn.Module, files: Sequence[Path]) -> dict[str, dict[str, int]]:
    """By file: how many puzzles of its validation split there are (500 at most), and how many are solved."""
    scores = {}
    for path in files:
        try:
            puzzles = read_split(path, "validation").puzzles[:MOST].reshape(-1, 9, 9)
        except InputError:
            # A short file need not have such a split.
            continue
        found = solve(puzzles, lambda some: NetworkDirection(network, some))
        first = int(np.count_nonzero(found.solved & (found.attempts == 1)))
        scores[path.name] = {"puzzles": len(puzzles), "first": first, "solved": int(found.solved.sum())}
    return scores


def model_card(name: str, network: nn.Module, card: dict[str, Any]) -> str:
    """The card as Markdown; ``card`` is what the weights file stores."""
    parameters = sum(p.numel() for p in network.parameters())
    taught = "for one pass from the start (the baseline)" if card["one_pass"] else "on the descent path"
    rules = isinstance(network, SudokuRules)
    knows = "knows rows, columns and boxes, and treats digits alike" if rules else "knows no rules (the paper's kind)"
    scores = [
        f"| {file} | {row['puzzles']} | {share_of(row['first'], row['puzzles'])} "
        f"| {share_of(row['solved'], row['puzzles'])} |"
        for file, row in card["scores"].items()
    ]
    lines = [
        f"# {name}",
        "",
        f"A direction for Sudoku by energy dissipation: {type(network).__name__}, {parameters:,} parameters.",
        f"It {knows}.",
        "It is shown u, its logarithm, the negative gradient of the distance energy, and the givens.",
        "",
        "## Training",
        *(f"- {item}" for item in card["data"]),
        f"- {taught}; cross-entropy to the solution, after every round of the network",
        f"- seed {card['seed']}, {card['steps']} steps of batch {card['batch']}, {card['hours']} hours, {card['date']}",
        f"- `{card['command']}`",
        f"- final training loss {card['loss']} (nats per open cell, mean over the rounds)",
        "",
        "## Scores",
        "Puzzles of the validation splits, never trained on, with at most 100 iterations each:",
        "",
        "| file | puzzles | solved from the first start (95% interval) | solved (95% interval) |",
        "| --- | ---: | ---: | ---: |",
        *scores,
        "",
        "`ctrecon reproduce table2 --data FILE` computes them for any file, by number of givens.",
        "",
        "## Limits",
        "A grid is reported as solved by its check alone, never by the network. Puzzles that stay unsolved are most",
        "likely harder than those of the training; nothing is proved of them, not even that they have no solution.",
        "",
    ]
    return "\n".join(lines)
