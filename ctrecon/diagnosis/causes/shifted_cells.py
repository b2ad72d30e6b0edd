"""A block of the detector's cells beside its place: a module that is mounted a cell further, a gap between two modules.

Where the seams are is seen in the shift of each cell (``diagnosis/cell_shifts.py``). Over a whole turn the cells on the
other side of the axis seem to be shifted, too, for they measure the same lines; over less an image follows the shift,
but next to the seams. So all blocks between seams are tried, and the one is taken with which most is explained.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from ctrecon.diagnosis.cell_shifts import CellShifts, cell_shifts, jumps, seams
from ctrecon.diagnosis.coarse import coarse_fit, explains_more
from ctrecon.diagnosis.moved_cells import with_cells_moved
from ctrecon.diagnosis.suggestion import Suggestion
from ctrecon.errors import CtreconError
from ctrecon.measurement.center import estimate_center
from ctrecon.measurement.scan import Scan
from ctrecon.support.arrays import BoolArray, Float64Array

PLACE = 255
SPEAKS = True

_FEWEST_VIEWS, _FEWEST_CELLS = 12, 24
# In cells. Less is no fault; what an image over a whole turn leaves of a shift is half of it, about, in a first step.
_LEAST, _MOST, _FOLLOWED = 0.15, 4.0, 1.8
# A wider block, as a share of the detector, is the axis elsewhere, and the rest of the cells beside their place.
_WIDEST = 0.6
# Jumps at seams in standard errors, the largest and others beside it (of 96 honest scans the largest was 2.0 in the
# median, 3.0 in one of ten, 4.3 at most), how many are looked at, and the shifts that are tried where none shows.
_JUMP, _OTHERS, _LARGEST, _GUESSED = 3.3, 2.2, 4, (0.7, 1.5)
# So many blocks are tried; of so many, those that explain most, the seams and the shift are looked for again. Then the
# best is moved to either side by so many cells.
_TRIED, _AGAIN, _STEPS = 12, (5, 3), (0.4, 0.2, 0.1, 0.05)
# A block that is there leaves less than this share of a coarse image's misfit in a first try, of those between jumps
# moved by the least guess alone: what is further off leaves less already (of 35 that were found 0.93 at most).
_PROMISES = 0.96
# Between cells data are interpolated, which smooths them: of seeds, finer than the pixels, that alone leaves less. A
# block that is there leaves less than this share of what it leaves when it is moved the other way.
_OPPOSITE = 0.9
# What of a first shift a second one may be; in cells, how far from where it seems to be a seam is looked for.
_OF_FIRST, _AROUND = (0.3, 2.5), 3
# A block that goes on to the end of the detector is as good if it leaves so much more, and an axis elsewhere, which is
# the simpler slip, so much.
_AS_GOOD, _AXIS_AS_GOOD = 1.01, 1.1


def shifted_cells(scan: Scan) -> Iterator[Suggestion]:
    """The scan with the block of cells brought back."""
    if scan.geometry is None or scan.sinogram.ndim != 2:
        return
    views, cells = scan.sinogram.shape
    if views < _FEWEST_VIEWS or cells < _FEWEST_CELLS:
        return
    found = cell_shifts(scan)
    if not _shows_a_seam(found):
        return
    if not _promising(scan, _first_shifts(found, scan, _GUESSED[:1])):
        return
    elsewhere = _with_the_axis_elsewhere(scan)
    if elsewhere is not None and elsewhere.fit.share < found.fit.share and not _shows_a_seam(elsewhere):
        return
    tries = _Tries(scan, found)
    tried = (tries.with_moved(block, by) for block, by in _first_shifts(found, scan, _GUESSED))
    best = sorted((one for one in tried if one is not None), key=_leaves)
    for count in _AGAIN:
        again = (_again(found, tries, one) for one in best[:count])
        best = sorted([*best, *(one for one in again if one is not None)], key=_leaves)
    if not best:
        return
    one = _to_the_end(tries, best[0])
    for step in _STEPS:
        beside = (tries.with_moved(one.inside, one.by + by) for by in (-step, step))
        one = min([one, *(other for other in beside if other is not None)], key=_leaves)
    if abs(one.by) < _LEAST or (elsewhere is not None and elsewhere.fit.share <= _AXIS_AS_GOOD * _leaves(one)):
        return
    opposite = tries.with_moved(one.inside, -one.by)
    if opposite is not None and _leaves(one) > _OPPOSITE * _leaves(opposite):
        return
    inside = np.flatnonzero(one.inside)
    yield Suggestion(
        cause="cells-shifted", scan=one.scan,
        words=f"cells {inside[0]} to {inside[-1]} of the detector stand {abs(one.by):.2f} cells further towards the "
        f"{'last' if one.by > 0 else 'first'} one than stated",
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True, eq=False)
class _Moved:
    """A block moved by so many cells, and what shifts are left then."""

    inside: BoolArray
    by: float
    scan: Scan
    left: CellShifts


def _shows_a_seam(found: CellShifts) -> bool:
    return bool(seams(found)) or bool(np.abs(jumps(found)).max() >= _JUMP)


def _with_the_axis_elsewhere(scan: Scan) -> CellShifts | None:
    """What is left with the axis where the data have it: half of a detector looks like both halves moved half as far.

    Returns:
        None where they do not say.
    """
    assert scan.geometry is not None
    try:
        return cell_shifts(scan.with_center(estimate_center(scan.sinogram, scan.geometry).column))
    except CtreconError:
        return None  # no two ends of a ray


class _Tries:
    """Blocks moved by so many cells; one that is behind the scan as it is after a few steps is left so."""

    def __init__(self, scan: Scan, found: CellShifts) -> None:
        self.scan = scan
        self._stated = found.fit

    def with_moved(self, inside: BoolArray, by: float) -> _Moved | None:
        by = float(np.clip(by, -_MOST, _MOST))
        moved = with_cells_moved(self.scan, inside, by)
        if moved is None:
            return None
        left = cell_shifts(moved, self._stated, rival=self._stated)
        return _Moved(inside=inside, by=by, scan=moved, left=left)


def _leaves(one: _Moved) -> float:
    return one.left.fit.share


def _first_shifts(found: CellShifts, scan: Scan, guesses: tuple[float, ...]) -> list[tuple[BoolArray, float]]:
    """Blocks that may stand elsewhere, and about how far; by ``guesses``, in cells, where that does not show."""
    shifts = [(block, _FOLLOWED * found.beyond(block)) for block in _blocks(found, scan)] + _by_jumps(found, guesses)
    return [(block, float(np.clip(by, -_MOST, _MOST))) for block, by in shifts]


def _promising(scan: Scan, shifts: list[tuple[BoolArray, float]]) -> bool:
    """Whether the coarsest image explains more with any of these blocks moved: if not, a finer one is not asked."""
    stated = coarse_fit(scan)
    moved = (with_cells_moved(scan, block, by) for block, by in shifts)
    return any(one is not None and explains_more(one, stated, _PROMISES) for one in moved)


def _blocks(found: CellShifts, scan: Scan) -> list[BoolArray]:
    """All between two seams or ends, those first that explain most of the shifts as they seem.

    A block that ends at the axis has no seam there: the cells beyond seem to be shifted as far.
    """
    at, cells = seams(found), found.shift.size
    assert scan.geometry is not None
    orbit = scan.geometry.orbit
    if at and orbit is not None and orbit.steady:
        axis = round(cells / 2 - orbit.detector_offset_mm / scan.geometry.detector_spacing_mm)
        at = sorted({*at, axis} if 0 < axis < cells else at)
    blocks = [block for block, _, _ in _between(at, cells)]
    blocks = [block for block in blocks if abs(found.beyond(block)) > _LEAST / 2]
    return sorted(blocks, key=found.explained_by, reverse=True)[:_TRIED]


def _by_jumps(found: CellShifts, guesses: tuple[float, ...]) -> list[tuple[BoolArray, float]]:
    """The blocks between jumps of opposite signs, or one and an end, with the shifts that may be."""
    jump = jumps(found)
    at: list[int] = []
    for cell in np.argsort(-np.abs(jump)):
        if len(at) == _LARGEST or abs(jump[cell]) < (_OTHERS if at else _JUMP):
            break
        if all(abs(cell - other) > _AROUND for other in at):
            at.append(int(cell))
    shifts = []
    for block, first, end in _between(sorted(at), jump.size):
        signs = {*(np.sign(jump[first : first + 1]) if first else ()), *(-np.sign(jump[end : end + 1]))}
        if len(signs) == 1:
            shifts += [(block, float(sign) * by) for sign in signs for by in guesses]
    return shifts


def _between(at: list[int], cells: int) -> list[tuple[BoolArray, int, int]]:
    """All blocks between two of some seams and the ends, with the cells that they begin and end before."""
    numbers = np.arange(cells)
    pairs = [(first, end) for first, end in combinations([0, *at, cells], 2) if end - first <= _WIDEST * cells]
    return [((numbers >= first) & (numbers < end), first, end) for first, end in pairs]


def _again(found: CellShifts, tries: _Tries, first: _Moved) -> _Moved | None:
    """With the seams where the image wants them, and the shift at which nothing would be left of it."""
    inside = _about(tries.scan, first)
    before, after = found.beyond(inside), first.left.beyond(inside)
    if before == 0:
        return None
    least, most = _OF_FIRST
    factor = before / (before - after) if (before - after) * before > 0 else most
    return tries.with_moved(inside, first.by * float(np.clip(factor, least, most)))


def _to_the_end(tries: _Tries, one: _Moved) -> _Moved:
    """The block with what lies between it and an end of the detector, where that tells nothing."""
    for rest in (np.cumsum(one.inside) == 0, np.cumsum(one.inside[::-1])[::-1] == 0):
        if not rest.any() or (one.inside | rest).all():
            continue
        wider = tries.with_moved(one.inside | rest, one.by)
        if wider is not None and _leaves(wider) <= _AS_GOOD * _leaves(one):
            one = wider
    return one


def _about(scan: Scan, one: _Moved) -> BoolArray:
    """The block whose cells are better explained where they were moved to, and the others where they were."""
    fit = one.left.fit
    p, f = fit.data + fit.residual, scan.sinogram[fit.views].astype(np.float64)
    cells = np.arange(f.shape[1])
    moved = np.stack([np.interp(cells + one.by, cells, view) for view in p])
    better = ((f - p) ** 2).sum(axis=0) - ((f - moved) ** 2).sum(axis=0)
    block = np.flatnonzero(one.inside)
    first, end = int(block[0]), int(block[-1]) + 1
    if first > 0:
        first = _seam(better, first, rises=True)
    if end < cells.size:
        end = _seam(better, end, rises=False)
    return (cells >= first) & (cells < end)


def _seam(better: Float64Array, near: int, *, rises: bool) -> int:
    """Where ``better`` turns from mostly below 0 to mostly above, or the other way round."""
    low, high = max(near - _AROUND, 1), min(near + _AROUND, better.size - 1)
    sums = np.cumsum(np.r_[0, better[low:high]])
    return low + int(np.argmin(sums) if rises else np.argmax(sums))
