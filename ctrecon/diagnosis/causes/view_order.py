"""Views stored in another order than their angles: interleaved turns, halves of halves, golden angles."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from operator import itemgetter

import numpy as np

from ctrecon.diagnosis.ordering import bit_reversed, interleaved, roughness, smoother
from ctrecon.diagnosis.suggestion import Suggestion, reordered
from ctrecon.measurement.scan import Scan
from ctrecon.support.arrays import Float64Array, IntArray

PLACE = 140
SPEAKS = True

_CELLS, _FEWEST = 64, 12
# Views that change, squared, so much less in another order than as they stand are out of order, whatever the fit says.
_PLAIN = 0.25


def view_order(scan: Scan) -> Iterator[Suggestion]:
    """The views in an order that has a name, in which each is more like the next."""
    found = views_in_row(scan)
    if found is not None:
        yield from suggested(scan, *found, named_orders(scan.sinogram.shape[0]))


def views_in_row(scan: Scan) -> tuple[Float64Array, IntArray] | None:
    """Coarse views by their angles within a turn, and which these are."""
    angles = getattr(scan.geometry, "angles_rad", None)
    if angles is None or scan.sinogram.ndim != 2 or scan.sinogram.shape[0] < _FEWEST:
        return None
    by_angle = np.argsort(np.mod(angles, 2 * math.pi), kind="stable")
    return coarse_views(scan)[by_angle], by_angle


def suggested(
    scan: Scan, in_row: Float64Array, by_angle: IntArray, orders: dict[str, IntArray]
) -> Iterator[Suggestion]:
    """The orders by name in which the views are more like their neighbours than as they stand."""
    words = "the views are in another order than their angles"
    for name, order in smoother(in_row, orders, closed=True):
        place: IntArray = np.empty(len(in_row), dtype=np.intp)
        place[by_angle] = by_angle[order]
        mended = dataclasses.replace(scan, **reordered(scan, itemgetter(place)))
        yield Suggestion(cause="views-out-of-order", words=f"{words} ({name})", scan=mended)
        share = roughness(in_row[order], closed=True) / roughness(in_row, closed=True)
        if share < _PLAIN:
            seen = f"as they stand they change {share**-0.5:.0f} times as much from one to the next as they could"
            yield Suggestion(cause="views-out-of-order", words=words, scan=None, evidence=seen)


def named_orders(count: int) -> dict[str, IntArray]:
    """Orders in which views are measured and stored, and which are mistaken for one another."""
    turns = np.arange(count)
    measured = {f"every {stride} views apart": interleaved(count, stride) for stride in range(2, 9)}
    measured |= {f"{name}, from the last": order[::-1] for name, order in measured.items()}
    measured["the second of each pair first"] = np.concatenate([turns[1::2], turns[::2]])
    pairs = turns[: count // 2 * 2].reshape(-1, 2)[:, ::-1].ravel()
    measured["exchanged in pairs"] = np.concatenate([pairs, turns[len(pairs) :]])
    measured["by halves of halves"] = bit_reversed(count)
    measured["by golden angles"] = np.argsort(turns * (3 - math.sqrt(5)) / 2 % 1)
    measured["by golden angles of half a turn"] = np.argsort(turns * (math.sqrt(5) - 1) / 2 % 1)
    measured["there and back again"] = np.concatenate([turns[::2], turns[1::2][::-1]])
    # Either the views stand so and the angles in a row, or the other way round.
    return {f"angles {name}": order for name, order in measured.items()} | {
        f"views {name}": np.argsort(order) for name, order in measured.items()
    }


def coarse_views(scan: Scan) -> Float64Array:
    """Views of few cells, each a mean, so that noise weighs little."""
    f = scan.sinogram.astype(np.float64)
    block = max(1, f.shape[1] // _CELLS)
    whole = f.shape[1] // block * block
    coarse: Float64Array = f[:, :whole].reshape(f.shape[0], -1, block).mean(axis=2)
    return coarse
