"""Cells of the detector in another order than they stand: boards exchanged, turned or interleaved."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from operator import itemgetter

import numpy as np

from ctrecon.diagnosis.ordering import interleaved, smoother
from ctrecon.diagnosis.suggestion import Suggestion, reordered
from ctrecon.measurement.scan import Scan
from ctrecon.support.arrays import Array, IntArray

PLACE = 160
SPEAKS = True

_FEWEST, _BOARDS = 16, (2, 3, 4, 8, 16)
# A view is turned if it is so much liker its neighbour then, squared.
_LIKER = 0.5


def cell_order(scan: Scan) -> Iterator[Suggestion]:
    """The cells in an order in which each is most like the next; and every second view from its other end."""
    count = scan.sinogram.shape[1]
    if scan.sinogram.ndim != 2 or count < _FEWEST:
        return
    orders: dict[str, IntArray] = {"neighbours exchanged in pairs": _turned(count, count // 2)}
    for boards in _BOARDS:
        if count % boards == 0:
            orders[f"each of {boards} boards from its other end"] = _turned(count, boards)
            orders[f"{boards} boards in the reverse order"] = _turned(count, boards)[::-1]
            orders[f"{boards} boards, a cell of each in turn"] = interleaved(count, boards)
            orders[f"every {boards}th cell after the other"] = np.argsort(interleaved(count, boards))
    f = scan.sinogram.astype(np.float64)
    for name, order in smoother(f.T, orders, closed=False):
        mended = dataclasses.replace(scan, **reordered(scan, itemgetter((slice(None), order))))
        yield Suggestion(
            cause="cells-out-of-order", words=f"the detector's cells are in another order ({name})", scan=mended
        )
    pairs = f.shape[0] // 2 * 2
    first, second = f[0:pairs:2], f[1:pairs:2]
    if ((first - second[:, ::-1]) ** 2).sum() < _LIKER * ((first - second) ** 2).sum():
        mended = dataclasses.replace(scan, **reordered(scan, _every_second_turned))
        yield Suggestion(
            cause="views-turned-in-turn", scan=mended,
            words="every second view is read from its other end, the first or the second of each pair (mirror images)",
        )  # fmt: skip


def _turned(count: int, boards: int) -> IntArray:
    """Blocks of neighbours, each backwards; what is left over stays."""
    whole = count // boards * boards
    turned = np.arange(whole).reshape(boards, -1)[:, ::-1].ravel()
    return np.concatenate([turned, np.arange(whole, count)])


def _every_second_turned(values: Array) -> Array:
    turned: Array = values.copy()
    turned[1::2] = turned[1::2, ::-1]
    return turned
