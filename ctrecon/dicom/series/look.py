"""With what a series is compared: certificates, more that is demanded of them, and the manifest."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from pydicom.dataset import Dataset

from ctrecon.certificates.verify import Refused, Verdict
from ctrecon.dicom.series.bound_histories import check_histories
from ctrecon.dicom.series.manifest import HISTORIES
from ctrecon.dicom.series.manifest_check import MISSING, Manifest, manifest_in
from ctrecon.support.arrays import Float64Array

if TYPE_CHECKING:
    from ctrecon.support.site_key import PublicKey


@dataclass(frozen=True, kw_only=True)
class CertifiedPart:
    """A slice, or a volume of several, whose certificate holds: the checker's ``verdict``, where its slices stand, the
    number of the first in the series, and of how many such parts the series is.
    """

    verdict: Verdict
    z_mm: tuple[float, ...]
    first: int
    count: int

    @property
    def in_space(self) -> bool:
        """Whether it was measured as one volume."""
        return "slices" in self.verdict.claims["operator"].get("grid", {})


OfPart: TypeAlias = Callable[[CertifiedPart], object]
"""Raises Refused where more was demanded of a slice or volume and does not hold."""


@dataclass
class Look:
    """With what a series is compared."""

    certificates: Path
    of_part: OfPart
    manifest: Manifest | None
    pixels_only: bool
    trusted: PublicKey | None = None
    signed: str = ""
    misfits: dict[float, Float64Array] = field(default_factory=dict)

    def find_manifest(self, datasets: Sequence[tuple[Path, Dataset]]) -> str:
        """Take the manifest among the files; why there is none that can be used, or nothing."""
        if self.pixels_only:
            return ""
        try:
            self.manifest = manifest_in(datasets)
            if self.manifest is not None:
                self.signed = self.manifest.said_of_signature(self.trusted)
        except Exception as why:  # whatever a damaged one leads to
            return str(why) if isinstance(why, Refused) else f"the manifest is damaged ({type(why).__name__})"
        return "" if self.manifest is not None else MISSING

    def check_private(self, ds: Dataset) -> None:
        if self.manifest is not None:
            self.manifest.check_private(ds)

    def check(self, ds: Dataset) -> None:
        if self.manifest is not None:
            self.manifest.check(ds)

    def keep_misfit(self, found: Float64Array, z_mm: float) -> None:
        """What the map of the residual must show at ``z_mm``, of a valid certificate."""
        self.misfits[round(z_mm, 4)] = found

    def fault(self, datasets: Sequence[Dataset]) -> str:
        try:
            return "" if self.manifest is None else self.manifest.fault(datasets)
        except Exception as why:  # of objects that lack what they need
            return f"the slices cannot be compared with the manifest ({type(why).__name__})"

    def changed_histories(self, paths: Mapping[int, Path]) -> Iterator[tuple[Path, str]]:
        """Those of the histories that are not the manifest's, and why; one of an older form lists none."""
        if self.manifest is not None and HISTORIES in self.manifest.values:
            yield from check_histories(self.manifest.values[HISTORIES], paths)

    def remark(self) -> str:
        return "; headers and reports were not looked at" if self.pixels_only else self.signed
