"""What a reader would take from the images, as numbers.

**Recovered contrast**: the mean over the disc of (image with the lesion - image without it, same noise), over the
contrast planted. 1 is all of it, 0 is none.

**Detectability**: a reader who knows where to look measures ``t`` = mean over the disc - mean over the ring around it,
in the image alone (a template matched to the disc, blind to the noise's correlations; H. H. Barrett, K. J. Myers,
Foundations of Image Science, 2004). AUC is the chance that ``t`` is larger in an image with the lesion than in one
without it and with *other* noise: 0.5 is guessing, 1 is never wrong.

**Spurious contrast**: the root mean square of (``t`` in the image - ``t`` in the truth) where no lesion is, in HU.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from torch import Tensor

from ctrecon.measurement.scan import WATER_MU_PER_MM
from ctrecon.studies.safety.lesions import Lesion, Place, disc, ring
from ctrecon.support.arrays import Float64Array
from ctrecon.support.statistics import Estimate, estimate

# A lesion of which less than this share is left counts as erased, as in the paper's Figure 1.
ERASED = 0.2


@dataclass(frozen=True, kw_only=True)
class Reading:
    """One lesion at one place of one slice: shares of its contrast ``[repeats]``, and its AUC."""

    method: str
    noise: float
    lesion: Lesion
    slice: int
    inner: bool
    recovered: Float64Array
    auc: float
    spurious_hu: Float64Array


def read(
    with_lesion: Tensor, without: Tensor, truth: Tensor, lesion: Lesion, place: Place
) -> tuple[Float64Array, float, Float64Array]:
    """``(recovered [repeats], AUC, spurious contrast in HU [repeats])`` of images ``[repeats, rows, columns]``."""
    shape = (truth.shape[0], truth.shape[1])
    inside, around = disc(place, lesion.radius, shape), ring(place, lesion.radius, shape)

    def mean(images: Tensor, where: Tensor) -> Float64Array:
        found: Float64Array = images.double()[..., where].mean(-1).numpy()
        return found

    recovered = (mean(with_lesion, inside) - mean(without, inside)) / lesion.contrast
    shown = mean(with_lesion, inside) - mean(with_lesion, around)
    not_shown = mean(without, inside) - mean(without, around)
    should = mean(truth, inside) - mean(truth, around)
    return recovered, auc(shown, not_shown), (not_shown - should) * 1000 / WATER_MU_PER_MM


def auc(shown: Float64Array, not_shown: Float64Array) -> float:
    """The share of pairs of different noise in which the first is larger; equal ones count one half.

    Repeats of one index have the same noise, so these pairs are left out. NaN for a single repeat.
    """
    larger = (shown[:, None] > not_shown[None, :]) + 0.5 * (shown[:, None] == not_shown[None, :])
    pairs = ~np.eye(len(shown), dtype=bool)
    return float(larger[pairs].mean()) if pairs.any() else float("nan")


@dataclass(frozen=True, kw_only=True)
class ReadingRow:
    """All readings of one method, noise and lesion, at ``places`` (all, inner or outer)."""

    noise: float
    contrast_hu: float
    radius: float
    places: str
    method: str
    lesions: int
    recovered: float
    recovered_worst: float
    erased: float
    auc: float
    spurious_hu: float
    interval: Estimate
    over_huber_tv: Estimate | None

    def to_dict(self) -> dict[str, Any]:
        """For JSON.

        Returns:
            All fields by name, numbers rounded to four places, estimates as ``Estimate.to_dict`` gives them.
        """
        plain = {k: round(v, 4) if isinstance(v, float) else v for k, v in asdict(self).items()}
        over = None if self.over_huber_tv is None else self.over_huber_tv.to_dict()
        return plain | {"interval": self.interval.to_dict(), "over_huber_tv": over}


REFERENCE = "Huber-TV"


def rows_of(readings: list[Reading], patients: Sequence[str] = ()) -> list[ReadingRow]:
    """Means of readings over places, slices and repeats.

    Args:
        readings: All of them.
        patients: Whose each slice is, by number; without them each slice is by itself.

    Returns:
        A row for each noise, lesion, place and method. ``recovered_worst`` and ``erased`` are of lesions, noise
        averaged out; ``interval`` is that of ``recovered``, ``over_huber_tv`` of its difference to Huber-TV lesion by
        lesion (None where that was not run), by a bootstrap over patients.
    """
    groups: dict[tuple[float, float, float, str, str], list[Reading]] = {}
    for reading in readings:
        for places in ("all", "inner" if reading.inner else "outer"):
            key = (reading.noise, reading.lesion.contrast_hu, reading.lesion.radius, places, reading.method)
            groups.setdefault(key, []).append(reading)
    found = []
    for (noise, contrast, radius, places, method), group in groups.items():
        each = np.array([reading.recovered.mean() for reading in group])
        spurious = np.concatenate([reading.spurious_hu for reading in group])
        whose = [patients[reading.slice] if patients else str(reading.slice) for reading in group]
        others = groups.get((noise, contrast, radius, places, REFERENCE), [])
        over = None
        if method != REFERENCE and len(others) == len(group):  # in one order: place by place, slice by slice
            gains = each - np.array([reading.recovered.mean() for reading in others])
            over = estimate(gains.tolist(), whose)
        found.append(ReadingRow(
            noise=noise, contrast_hu=contrast, radius=radius, places=places, method=method, lesions=len(group),
            recovered=float(each.mean()), recovered_worst=float(each.min()), erased=float((each < ERASED).mean()),
            auc=float(np.mean([reading.auc for reading in group])),
            spurious_hu=float(np.sqrt(np.mean(spurious**2))),
            interval=estimate(each.tolist(), whose), over_huber_tv=over,
        ))
    return found
