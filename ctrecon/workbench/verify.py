"""``ctrecon.verify``: check a certificate, or a whole series, from the files as they are on disk."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ctrecon.certificates.verify import FILES, Verdict, check
from ctrecon.certificates.words import in_words
from ctrecon.certificates.worth import worth
from ctrecon.errors import SettingError
from ctrecon.support.text import printable
from ctrecon.workbench.verify_picture import fault_of_pictures

if TYPE_CHECKING:
    from ctrecon.dicom.series.series_check import SeriesVerdict


@dataclass(frozen=True, kw_only=True)
class Verified:
    """What was found of one certificate, file or series. True where it holds; as text, what the command prints.

    ``statement`` is the checker's own sentence and ``proved`` the numbers it proved, empty unless ``valid``; ``reason``
    says why not. ``words`` are the meaning of a valid certificate in a few lines for people, and ``worth`` how much it
    says, as numbers. ``readable`` is False where there was nothing to check.
    """

    path: Path
    about: Literal["certificate", "file", "series"]
    valid: bool
    statement: str = ""
    reason: str = ""
    kind: str | None = None
    proved: Mapping[str, float] = field(default_factory=dict)
    words: tuple[str, ...] = ()
    worth: Mapping[str, Any] = field(default_factory=dict)
    readable: bool = True

    def __bool__(self) -> bool:
        return self.valid

    def __str__(self) -> str:
        said = self.statement if self.valid else self.reason
        first = f"{'valid' if self.valid else 'REFUSED'}  {printable(str(self.path))}: {printable(said)}"
        return "\n".join([first, *(f"       {printable(line)}" for line in self.words)])

    def facts(self) -> dict[str, Any]:
        """As plain values, for machines."""
        name = "file" if self.about == "certificate" else self.about
        common = {name: str(self.path), "valid": self.valid}
        said = {"statement": self.statement, "reason": self.reason}
        if self.about != "certificate":
            return common | said
        return common | {"kind": self.kind} | said | dict(self.proved) | dict(self.worth)


def verify(
    path: str | os.PathLike[str],
    *,
    image: str | os.PathLike[str] | None = None,
    data: str | os.PathLike[str] | None = None,
    certificates: str | os.PathLike[str] | None = None,
    scan: str | os.PathLike[str] | None = None,
    effort: float = 1.0,
    watch: Callable[[Verified], None] | None = None,
) -> Verified:
    """Check ``S.certificate.json`` (or the image ``S.npy`` beside it), or the folder of a DICOM series.

    Numpy and scipy alone decide; nothing that made the image takes part. Beside a certificate of super-resolution a
    picture ``S.png``, ``S.tif`` or ``S.nii`` must hold exactly the certified values. In a series every file is compared
    with its certificate, and none may be missing.

    Args:
        path: What to check.
        image: The image, where it is not beside the certificate.
        data: The data, where they are not beside it.
        certificates: Of a series: their folder, where it is not in the series.
        scan: Of a series: the scan that it must have been made from.
        effort: How many times the usual work and memory a check may take, >= 1.
        watch: Hears of each file of a series as it is checked.

    Returns:
        True or False in an ``if``; as text, what ``ctrecon verify`` prints. It does not raise for what is refused.

    Raises:
        SettingError: An option that does not go with ``path``.
        InputError: A ``scan`` that cannot be read.

    """
    path = Path(path)
    if path.is_dir():
        if image is not None or data is not None:
            raise SettingError(f"{path} is a folder; image and data go with one certificate, so drop them")
        return _series(path, certificates, scan, watch)
    if certificates is not None or scan is not None:
        raise SettingError(f"{path} is no folder; certificates and scan go with a DICOM series, so drop them")
    if path.suffix == ".npy":
        path = path.with_name(path.name.removesuffix(".npy") + FILES[""])
    if not path.is_file():
        return Verified(
            path=path, about="certificate", valid=False, reason="there is no such certificate", readable=False
        )
    given = None if image is None else Path(image)
    found = check(path, image=given, data=None if data is None else Path(data), effort=effort)
    if found.valid and (reason := fault_of_pictures(path, given)):
        found = found._replace(valid=False, statement="", reason=reason)
    return Verified(
        path=path, about="certificate", valid=found.valid, statement=found.statement, reason=found.reason,
        kind=found.kind, proved=found.proved, readable=found.readable,
        words=in_words(found) if found.valid else (), worth=_worth(found) if found.valid else {},
    )  # fmt: skip


def _worth(verdict: Verdict) -> dict[str, Any]:
    found = worth(verdict)
    return {
        "delta_of_data": found.share if math.isfinite(found.share) else None,
        "values": found.values, "values_that_count": found.counted,
        "says_nothing": list(found.nothing), "says_little": list(found.little),
    }  # fmt: skip


def _series(
    folder: Path, certificates: str | os.PathLike[str] | None, scan: str | os.PathLike[str] | None,
    watch: Callable[[Verified], None] | None,
) -> Verified:
    # Here, because a certificate alone is checked without loading what reads DICOM.
    from ctrecon.dicom.series.series_check import check_series

    verdict = check_series(
        folder,
        None if certificates is None else Path(certificates),
        watch=lambda one: None if watch is None else watch(_said(one.path, "file", one.valid, one.said)),
    )
    if scan is not None and verdict.valid:
        verdict = _against_scan(verdict, Path(scan))
    return _said(folder, "series", verdict.valid, verdict.said, readable=verdict.readable)


def _said(path: Path, about: Literal["file", "series"], valid: bool, said: str, *, readable: bool = True) -> Verified:
    found = Verified(path=path, about=about, valid=valid, readable=readable)
    return replace(found, statement=said) if valid else replace(found, reason=said)


def _against_scan(verdict: SeriesVerdict, scan_file: Path) -> SeriesVerdict:
    """Whether the certified data are those of a scan: all its views, or every k-th of them."""
    from ctrecon.certificates.parts import data_hash
    from ctrecon.dicom.series.series_check import refuse
    from ctrecon.io.arrays import read_scan

    sinogram = read_scan(scan_file).sinogram
    for claim in verdict.data:
        step = -(-len(sinogram) // claim["shape"][0])
        if data_hash(sinogram[::step]) != claim["sha256"]:
            return refuse(verdict, f"the certified data are not those of {scan_file.name}, nor every k-th view of them")
    return verdict
