"""How an image came about: ``S.history.json`` beside ``S.npy``. Information, and no part of any proof.

It is written with every reconstruction, certified or not, of a DICOM series for each slice beside the certificates, and
read by ``ctrecon report`` (``docs/report.md`` has the
format). What it says of E and residual is what the method saw in float32; the certificate has the proved number.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ctrecon.certificates.parts import operator_claim
from ctrecon.errors import InputError, SettingError
from ctrecon.outputs.named_files import without_folders
from ctrecon.reconstruction.problem import IterationRecord
from ctrecon.reconstruction.settings import Settings
from ctrecon.support.beside import HISTORY
from ctrecon.support.json_text import parse_json
from ctrecon.support.json_values import a_list, a_number, a_text, a_truth, an_object
from ctrecon.support.versions import versions

if TYPE_CHECKING:
    from ctrecon.reconstruction.conclude import Conclusion

FORMAT = "ctrecon-history/1"
SUFFIX = HISTORY
MAX_BYTES = 1 << 23


@dataclass(frozen=True, kw_only=True)
class History:
    """The facts of one run. ``image_sha256`` is of the file ``S.npy``; ``timings`` are seconds by what was done.

    ``operator`` says geometry and grid as the certificate would, or is None where the scan brought its own matrix.
    ``says_nothing`` and ``says_little``: why the certificate is empty or weak, one clause each.
    Where delta is missed, no image with values from 0 to ``most_attenuation`` has a residual below ``lower_bound``, and
    one was found with ``best_residual``; None where delta is met. ``length_unit`` is what lengths count: "mm", or
    "cell" of the detector; ``patient_position`` is the scan's. ``settings`` is what was asked for, as
    ``Settings.from_dict`` takes it, files by their own names without folders; None where the image came about by other
    calls.
    """

    image_sha256: str
    certified: bool
    method: str
    reason: str
    delta: float
    norm: str
    delta_from: str
    residual: float
    progress: tuple[IterationRecord, ...]
    seconds: float
    timings: Mapping[str, float]
    source: str
    notes: tuple[str, ...]
    operator: Mapping[str, Any] | None
    projector: str
    device: str
    made_with: Mapping[str, str]
    lower_bound: float | None = None
    best_residual: float | None = None
    most_attenuation: float | None = None
    length_unit: str = "mm"
    patient_position: str = ""
    says_nothing: tuple[str, ...] = ()
    says_little: tuple[str, ...] = ()
    settings: Mapping[str, Any] | None = None

    @property
    def half_of_square(self) -> bool:
        """Whether E was half the residual's square all along; else it is a likelihood of counts, say, or holds more."""
        told = [(step.residual**2 / 2, step.energy) for step in self.progress]
        return all(abs(half - energy) <= 1e-3 * half for half, energy in told if math.isfinite(half + energy))

    def to_bytes(self) -> bytes:
        """As the file beside an image has it.

        Returns:
            JSON in UTF-8 with sorted keys; numbers that are not finite are null.
        """
        values = {"format": FORMAT, **vars(self)}
        values["progress"] = [[p.iteration, _finite(p.energy), _finite(p.residual)] for p in self.progress]
        return (json.dumps(values, indent=1, sort_keys=True, allow_nan=False) + "\n").encode()


def history_of(result: Conclusion, image_sha256: str) -> History:
    """How an image came about.

    Args:
        result: What was reconstructed and proved.
        image_sha256: Of the file that holds the image.

    Returns:
        The history, to be written beside that file.
    """
    problem, scan, missed = result.problem, result.problem.scan, result.missed
    operator = None
    if scan.matrix is None and scan.geometry is not None and scan.grid is not None:
        operator, _ = operator_claim(scan.geometry, scan.grid, None)
    return History(
        image_sha256=image_sha256,
        certified=result.certified,
        method=result.method,
        reason=result.outcome.reason,
        delta=problem.delta.value,
        norm=problem.delta.norm,
        delta_from=problem.delta.how,
        residual=result.residual,
        progress=result.outcome.history,
        seconds=result.seconds,
        timings=result.timings,
        source=Path(scan.source).name,
        notes=scan.notes,
        operator=operator,
        projector=type(problem.operator).__name__,
        device=str(problem.device),
        made_with=versions(),
        lower_bound=None if missed is None else missed.lower_bound,
        best_residual=None if missed is None else missed.best_residual,
        most_attenuation=None if missed is None else missed.most_attenuation,
        length_unit=scan.length_unit,
        patient_position=scan.patient_position,
        says_nothing=() if result.worth is None else result.worth.nothing,
        says_little=() if result.worth is None else result.worth.little,
        settings=None if result.settings is None else without_folders(result.settings.to_dict()),
    )


def read_history(path: Path) -> History:
    """Read how an image was made.

    Args:
        path: ``S.history.json``.

    Returns:
        The history.

    Raises:
        InputError: For what ``to_bytes`` would not write.
        OSError: Where there is no such file.
    """
    if (size := path.stat().st_size) > MAX_BYTES:
        raise InputError(f"{path}: has {size} bytes, at most {MAX_BYTES} belong there; reconstruct again")
    try:
        values = parse_json(path.read_bytes())
        if not isinstance(values, dict) or values.pop("format", None) != FORMAT:
            raise ValueError(f"its format is not {FORMAT}")
        return History(**{name: _READERS[name](value) for name, value in values.items()})
    except (ValueError, TypeError, KeyError, OverflowError, SettingError) as why:
        text = "".join(c if c.isprintable() else "?" for c in str(why))[:120]
        raise InputError(f"{path}: is not a history as ctrecon writes it ({text}); reconstruct again") from None


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _progress(value: object) -> tuple[IterationRecord, ...]:
    steps = []
    for item in a_list(value):
        k, *numbers = a_list(item)
        energy, residual = (math.nan if number is None else a_number(number) for number in numbers)
        if isinstance(k, bool) or not isinstance(k, int) or not 0 <= k < 1 << 40:
            raise ValueError("an iteration is no whole number")
        steps.append(IterationRecord(k, energy, residual))
    return tuple(steps)


_READERS: dict[str, Any] = {
    **dict.fromkeys(
        ("image_sha256", "method", "reason", "norm", "delta_from", "source", "projector", "device", "length_unit",
         "patient_position"),
        a_text
    ),
    **dict.fromkeys(("delta", "residual", "seconds"), a_number),
    **dict.fromkeys(
        ("lower_bound", "best_residual", "most_attenuation"), lambda value: None if value is None else a_number(value)
    ),
    "certified": a_truth,
    "progress": _progress,
    "timings": lambda value: {a_text(name): a_number(number) for name, number in an_object(value).items()},
    **dict.fromkeys(
        ("notes", "says_nothing", "says_little"), lambda value: tuple(a_text(item) for item in a_list(value))
    ),
    "operator": lambda value: None if value is None else an_object(value),
    "settings": lambda value: None if value is None else Settings.from_dict(an_object(value)).to_dict(),
    "made_with": lambda value: {a_text(name): a_text(text) for name, text in an_object(value).items()},
}
