"""Everything that a person may choose of a reconstruction, in one value that can be kept, compared and repeated."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from ctrecon.corrections import parse_corrections
from ctrecon.errors import SettingError
from ctrecon.networks.pretrained import usual_ct_weights
from ctrecon.reconstruction.methods import METHODS, load_method, settings_of
from ctrecon.reconstruction.objectives import ENERGIES, REGULARISERS
from ctrecon.support.arguments import check_fields, checked

FROM_FILE = ("geometry", "row", "image", "all_rows", "bin", "detectors_first", "z_mm")
"""Settings that say how a file is read, and mean nothing where a scan is at hand already."""
OF_READING = (*FROM_FILE, "patient_position", "center", "every", "repeat", "correct")
"""Settings that decide which values are reconstructed, and by which geometry: a certificate's data follow from them."""
GIVEN = "given in Python: "
"""How ``prior``, ``repeat`` and ``energy`` begin where they stand for an object: to repeat it, give that again."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All that decides an image, with the meaning and the defaults of ``ctrecon reconstruct``.

    Args:
        delta: Bound on ``||Au - f||``: a value in the data's units, a percentage of ``||f||`` such as ``"1.5%"``, or
            ``"auto"`` (from counts, whitened; else estimated from the sinogram).
        quantile: With ``"auto"``: the share of scans whose true image meets delta, in (0, 1); None for 0.95.
        repeat: File of a second scan of the same object: delta from both, the image of their mean.
        model_error: Room in delta for what the operator does not model, a value or percentage; ``"auto"`` with
            ``delta="auto"`` for an estimate of what the pixels cost, else none.
        method: One of ``ctrecon.reconstruction.methods.METHODS``.
        window: Filter of ``fbp``; None for the smoothest that meets delta.
        prior: Name or file of the network's weights, for ``energy``; None for ``ct-volume`` where one volume is made of
            a scan in space, as of a cone beam, and else ``ct-default``.
        energy: What the descent of ``energy`` and ``gradient`` lowers, one of ``ctrecon.reconstruction.objectives``'
            ``ENERGIES``: ``"least-squares"`` or, for scans that keep their counts, ``"poisson"``. Delta and certificate
            are those of the data all the same.
        regularise: What is added to it, one of ``REGULARISERS``: ``"huber-tv"``.
        weight: Of that, in units of the noise's pull at a pixel, > 0; None for 0.35.
        iterations: The most iterations, >= 1; None for the method's own number.
        looks: Answers of the network whose mean is the image, 1 to 30; None for 4.
        operator: ``"sparse"``, ``"joseph"`` or ``"astra"``; None by device and size.
        device: ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ...; None for a GPU where there is one.
        most_attenuation: In 1/mm. Where delta is not met, it is asked whether any image from 0 to this meets it; None
            for what one pixel needs to absorb as much as the most absorbing ray.
        geometry: File of the geometry as JSON, before the data's own.
        center: Column that the rotation axis projects to (0-based), or ``"auto"``.
        row: Detector row of a file with several; None for the middle one.
        image: Which of several sinograms in a file, from 0; None for the first.
        all_rows: All detector rows together, a volume, of files of cone beams.
        bin: So many detector cells are added up in each direction, >= 1.
        detectors_first: Whether the file's array is ``[detectors, views]``; None where the geometry tells.
        every: Keep one view in so many, >= 1.
        size: Side of the image in pixels; None for the file's, or what covers the field of view.
        pixel_mm: Side of a pixel in mm; None likewise.
        correct: Corrections of the data, such as ``"zingers,rings"`` or ``"scatter:share=0.02"``, of
            ``ctrecon.corrections.all_corrections``; None for none.
        z_mm: Slice of a folder of projections, in mm; None for the middle one.
        patient_position: How the patient lay, a term of DICOM such as HFS, where the scan does not say it; or ``none``.

    Raises:
        SettingError: A value that is out of its range, or that the method has no use for.

    """

    delta: str | float = "auto"
    quantile: float | None = None
    repeat: str | None = None
    model_error: str | float = "auto"
    method: str = "energy"
    window: str | None = None
    prior: str | None = None
    energy: str = "least-squares"
    regularise: str | None = None
    weight: float | None = None
    iterations: int | None = None
    looks: int | None = None
    operator: str | None = None
    device: str | None = None
    most_attenuation: float | None = None
    geometry: str | None = None
    center: str | float | None = None
    row: int | None = None
    image: int | None = None
    all_rows: bool = False
    bin: int = 1
    detectors_first: bool | None = None
    every: int = 1
    size: int | None = None
    pixel_mm: float | None = None
    correct: str | None = None
    z_mm: float | None = None
    patient_position: str | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, os.PathLike):  # settings compare, pickle and go into JSON
                object.__setattr__(self, field.name, os.fspath(value))
        check_fields(self, error=SettingError)
        _check_numbers(self)
        if self.method not in METHODS:
            raise SettingError(f"there is no method {self.method!r}; use {', '.join(METHODS)}")
        used = settings_of(load_method(self.method))
        for name, why in _UNUSED.items():
            if name not in used and _OBJECTIVE.get(name) not in used and getattr(self, name) != _default(name):
                raise SettingError(f"--method {self.method} {why}; drop --{name}")
        for name, known in (("energy", ENERGIES), ("regularise", REGULARISERS)):
            value = getattr(self, name)
            if value is not None and value not in known and not value.startswith(GIVEN):
                raise SettingError(f"there is no --{name} {value!r}; use {', '.join(known)}")
        if self.correct is not None:
            parse_corrections(self.correct)
        if self.weight is not None and self.regularise is None:
            raise SettingError(f"--weight {self.weight:g} is that of --regularise huber-tv; add it, or drop --weight")
        automatic = str(self.delta).strip().lower() == "auto"
        if self.quantile is not None and not automatic:
            raise SettingError(
                f"--quantile {self.quantile:g} belongs to --delta auto, not to --delta {self.delta}; drop one of them"
            )
        if self.repeat is not None and not automatic:
            raise SettingError(f"--repeat {self.repeat} gives delta, so drop --delta {self.delta}, or --repeat")

    def of_method(self) -> dict[str, Any]:
        """What the method is called with.

        Returns:
            Its keywords, as far as they were set.
        """
        used = settings_of(load_method(self.method))
        given = {name: getattr(self, name) for name in sorted(used) if name in _NAMES}
        return {name: value for name, value in given.items() if value is not None}

    @checked
    def of_scan(self, *, in_space: bool) -> Settings:
        """The same with the weights that such a scan is given, where the method asks a network and none are named.

        Args:
            in_space: Whether one volume is made of it.

        Returns:
            What a history keeps.
        """
        if self.prior is not None or "prior" not in settings_of(load_method(self.method)):
            return self
        return replace(self, prior=usual_ct_weights(in_space=in_space))

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as a history keeps them.

        Returns:
            All fields by name.
        """
        return asdict(self)

    @staticmethod
    @checked
    def from_dict(values: Mapping[str, Any]) -> Settings:
        """The way back from ``to_dict``.

        Args:
            values: Settings by name; what is left out has its default.

        Returns:
            The settings.

        Raises:
            SettingError: For what is none of these names, or cannot be.
        """
        for name in values:
            if name not in _NAMES:
                raise SettingError(f"there is no setting {name[:60]!r}; known are {', '.join(_NAMES)}")
        return Settings(**values)


_NAMES = tuple(field.name for field in fields(Settings))
_UNUSED = {
    "iterations": "runs to its own end",
    "looks": "asks no network",
    "prior": "asks no network",
    "window": "has no filter",
    "energy": "lowers an energy of its own",
    "regularise": "lowers an energy of its own",
    "weight": "lowers an energy of its own",
}
_OBJECTIVE = {"energy": "objective", "regularise": "objective", "weight": "objective"}


def _default(name: str) -> Any:
    return next(field.default for field in fields(Settings) if field.name == name)


def _check_numbers(settings: Settings) -> None:
    ranges = ("iterations", 1, None), ("looks", 1, 30), ("every", 1, None), ("bin", 1, None), ("size", 1, 1 << 14)
    for name, least, most in ranges:
        value = getattr(settings, name)
        if value is not None and (value < least or (most is not None and value > most)):
            up_to = "" if most is None else f" and <= {most}"
            raise SettingError(f"{name} must be >= {least}{up_to}, got {value}")
    for name in ("pixel_mm", "weight"):
        value = getattr(settings, name)
        if value is not None and value <= 0:
            raise SettingError(f"{name} must be > 0, got {value:g}")
    if settings.quantile is not None and not 0 < settings.quantile < 1:
        raise SettingError(f"the quantile must lie in (0, 1), got {settings.quantile:g}")
    if settings.most_attenuation is not None and settings.most_attenuation < 0:
        raise SettingError(f"most_attenuation must be >= 0, got {settings.most_attenuation:g}")
