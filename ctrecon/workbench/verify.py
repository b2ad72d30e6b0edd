"""``ctrecon.verify``: check a certificate, or a whole series, from the files as they are on disk."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ctrecon.certificates.verify import FILES, Refused, check, one_line
from ctrecon.certificates.words import in_words
from ctrecon.certificates.worth import Worth, worth
from ctrecon.errors import SettingError
from ctrecon.outputs.stack.lookup import stack_of
from ctrecon.support.arguments import checked
from ctrecon.support.beside import HISTORY
from ctrecon.support.signatures import SIGNATURE, parse_signature
from ctrecon.support.text import printable
from ctrecon.workbench.verify_picture import fault_of_pictures

if TYPE_CHECKING:
    from ctrecon.measurement.scan import Scan
    from ctrecon.support.site_key import PublicKey
    from ctrecon.workbench.verify_scan import Reading

ON_TRUST = "taken on trust: data and geometry; --scan FILE compares them with the scan"
ON_TRUST_PICTURE = "taken on trust: that the data are the picture that was enlarged"


@dataclass(frozen=True, kw_only=True)
class Verified:
    """What was found of one certificate, file or series. True where it holds; as text, what the command prints.

    ``statement`` is the checker's own sentence and ``proved`` the numbers it proved, empty unless ``valid``; ``reason``
    says why not. ``words`` are the meaning of a valid certificate in a few lines for people, and ``worth`` how much it
    says, as numbers. ``compared`` says which scan it was compared with, empty where data and geometry were taken on
    trust. ``coerced``: of a series, what was changed since it was written, as an archive may. ``readable`` is False
    where there was nothing to check, ``cause`` the error that the checker ended with.
    """

    path: Path
    about: Literal["certificate", "file", "series", "stack"]
    valid: bool
    statement: str = ""
    reason: str = ""
    kind: str | None = None
    proved: Mapping[str, float] = field(default_factory=dict)
    words: tuple[str, ...] = ()
    worth: Mapping[str, Any] = field(default_factory=dict)
    compared: str = ""
    coerced: tuple[str, ...] = ()
    readable: bool = True
    cause: Exception | None = field(default=None, repr=False, compare=False)

    def __bool__(self) -> bool:
        return self.valid

    def __repr__(self) -> str:
        return f"<Verified {str(self.path)!r}, {'valid' if self.valid else 'REFUSED'}>"

    def __str__(self) -> str:
        said = self.statement if self.valid else self.reason
        first = f"{'valid' if self.valid else 'REFUSED'}  {printable(str(self.path))}: {printable(said)}"
        return "\n".join([first, *(f"       {printable(line)}" for line in self.words)])

    def to_dict(self) -> dict[str, Any]:
        """The same for machines.

        Returns:
            Plain values for JSON: what was checked, whether it is valid, statement and reason; of a certificate its
            numbers, words and what it was compared with, too.
        """
        name = "file" if self.about == "certificate" else self.about
        common: dict[str, Any] = {name: str(self.path), "valid": self.valid}
        said = {"statement": self.statement, "reason": self.reason}
        if self.about == "series":
            return common | said | {"coerced": list(self.coerced)}
        if self.about != "certificate":
            return common | said
        trusted = {"on_trust": self.valid and not self.compared, "compared": self.compared}
        numbers = dict(self.proved) | dict(self.worth)
        return common | {"kind": self.kind} | said | numbers | {"words": list(self.words)} | trusted


@checked
def verify(
    path: str | os.PathLike[str],
    *,
    image: str | os.PathLike[str] | None = None,
    data: str | os.PathLike[str] | None = None,
    certificates: str | os.PathLike[str] | None = None,
    scan: Scan | str | os.PathLike[str] | None = None,
    geometry: str | os.PathLike[str] | None = None,
    repeat: str | os.PathLike[str] | None = None,
    center: str | float | None = None,
    row: int | None = None,
    every: int | None = None,
    correct: str | None = None,
    z_mm: float | None = None,
    patient_position: str | None = None,
    trusted: str | os.PathLike[str] | None = None,
    strict: bool = False,
    pixels_only: bool = False,
    effort: float = 1.0,
    watch: Callable[[Verified], None] | None = None,
) -> Verified:
    """Check ``S.certificate.json`` (or the image ``S.npy`` beside it), a stack, or the folder of a DICOM series.

    Numpy and scipy alone decide; nothing that made the image takes part. Beside a certificate of super-resolution a
    picture ``S.png``, ``S.tif`` or ``S.nii`` must hold exactly the certified values. In a series every file is compared
    with its certificate, and none may be missing.

    Args:
        path: What to check.
        image: The image, where it is not beside the certificate.
        data: The data, where they are not beside it.
        certificates: Of a series: their folder, where it is not in the series.
        scan: What it must have been made from. It is read again as ``S.history.json`` says that it was, and data,
            weights and geometry are compared value by value; one that differs is refused. Without it they are taken on
            trust.
        geometry: As for ``reconstruct``, before what the history says; to be given where it was a file, since no name
            of a file is taken from a file. A series has a history for each slice, in its folder of certificates.
        repeat: Likewise.
        center: Likewise.
        row: Likewise.
        every: Likewise.
        correct: Likewise.
        z_mm: Likewise, for a folder of projections.
        patient_position: Likewise.
        trusted: The public key (PEM) that must have signed the certificate or the series.
        strict: Of a series: refuse also what an archive may change, attributes of patient, study and institution.
        pixels_only: Of a series: without its manifest, which de-identification leaves out: pixels, certificates and
            places in the plane alone.
        effort: How many times the usual work and memory a check may take, >= 1.
        watch: Hears of each file of a series as it is checked.

    Returns:
        True or False in an ``if``; as text, what ``ctrecon verify`` prints. It does not raise for what is refused.

    Raises:
        SettingError: An option that does not go with ``path``, or that is missing.
        InputError: A ``scan`` or history that cannot be read.

    """
    path = Path(path)
    reading = _reading(
        scan, geometry=geometry, repeat=repeat, center=center, row=row, every=every, correct=correct, z_mm=z_mm,
        patient_position=patient_position,
    )
    key = None if trusted is None else _public_key(Path(trusted))
    stack = stack_of(path)
    if stack is not None:
        if strict or pixels_only or image is not None or data is not None or certificates is not None:
            raise SettingError(f"{path} is a stack; drop image, data, certificates, strict and pixels_only")
        return _stack(path, stack, reading, watch, key, effort)
    if path.is_dir():
        if pixels_only and key is not None:
            raise SettingError("a signature is of the manifest, which pixels_only does without; drop one of them")
        if image is not None or data is not None:
            raise SettingError(f"{path} is a folder; image and data go with one certificate, so drop them")
        return _series(path, certificates, reading, watch, key, strict=strict, pixels_only=pixels_only)
    if strict or pixels_only:
        raise SettingError(f"{path} is no folder; strict and pixels_only go with a DICOM series, so drop them")
    if certificates is not None:
        raise SettingError(f"{path} is no folder; certificates go with a DICOM series, so drop them")
    if path.suffix == ".npy":
        path = path.with_name(path.name.removesuffix(".npy") + FILES[""])
    if not path.is_file():
        return Verified(
            path=path, about="certificate", valid=False, reason="there is no such certificate", readable=False
        )
    if held := _dicom_class(path):
        said = f"is DICOM, {held}, which is checked with all of its series; give the folder of the series"
        return Verified(path=path, about="file", valid=False, reason=said, readable=False)
    given = None if image is None else Path(image)
    found = check(path, image=given, data=None if data is None else Path(data), effort=effort)
    if found.valid and (reason := fault_of_pictures(path, given)):
        found = found._replace(valid=False, statement="", reason=reason)
    if not found.valid:
        return Verified(
            path=path, about="certificate", valid=False, reason=found.reason, kind=found.kind, readable=found.readable,
            cause=found.cause,
        )
    if key is not None and (unsigned := _fault_of_signature(path, key)):
        return Verified(path=path, about="certificate", valid=False, reason=unsigned, kind=found.kind)
    compared = ""
    if reading is not None:
        from ctrecon.workbench.verify_scan import compare

        try:
            compared = compare(found, path, reading)
        except Refused as why:
            return Verified(
                path=path, about="certificate", valid=False, reason=one_line(why), kind=found.kind, cause=why,
            )  # fmt: skip
    trusted = compared or (ON_TRUST_PICTURE if "factor" in found.claims["operator"] else ON_TRUST)
    if key is not None:
        trusted += f"; signed by the trusted key {key.raw.hex()[:16]}"
    if (history := path.with_name(path.name.removesuffix(FILES[""]) + HISTORY)).is_file():
        trusted += f"; {history.name} says how it came about and is no part of the proof"
    counts = worth(found)
    return Verified(
        path=path, about="certificate", valid=True, statement=found.statement, kind=found.kind, proved=found.proved,
        words=(*in_words(found, counts), trusted), worth=_worth(counts), compared=compared,
    )


def _dicom_class(path: Path) -> str:
    """What a DICOM file holds, in the standard's words; empty of any other file."""
    with suppress(OSError), path.open("rb") as stream:
        if stream.read(132)[128:] == b"DICM":
            # Loads pydicom, which no certificate needs.
            from ctrecon.dicom.common.files import class_named

            return class_named(path)
    return ""


def _public_key(path: Path) -> PublicKey:
    # Here, because keys are loaded for those who have one.
    from ctrecon.support.site_key import read_public_key

    return read_public_key(path)


def _fault_of_signature(certificate: Path, key: PublicKey) -> str:
    """Why ``certificate`` is not signed by ``key``; empty where it is."""
    place = certificate.with_name(certificate.name.removesuffix(FILES[""]) + SIGNATURE)
    if not place.is_file():
        return f"its signature {place.name} is missing, and a key was to be trusted"
    try:
        with place.open("rb") as stream:
            stated, signature = parse_signature(stream.read(1000))
    except (OSError, ValueError) as why:
        return one_line(f"its signature {place.name} cannot be read ({why})")
    if stated != key.raw or not key.made(signature, certificate.read_bytes()):
        return f"its signature {place.name} is not the trusted key's"
    return ""


def _reading(scan: Scan | str | os.PathLike[str] | None, **given: Any) -> Reading | None:
    """How the scan is to be read again; None where there is none. Raises SettingError for options that go with one."""
    stated = [name for name, value in given.items() if value is not None]
    if scan is None:
        if stated:
            raise SettingError(f"{', '.join(stated)} say how a scan is read; give the scan, too")
        return None
    # Here, because a certificate alone is checked without loading what reads scans.
    from ctrecon.workbench.verify_scan import reading_of

    return reading_of(scan, given)


def _worth(found: Worth) -> dict[str, Any]:
    return {
        "delta_of_data": found.share if math.isfinite(found.share) else None,
        "values": found.values, "values_of_equal_weight": found.counted, "pixels": found.pixels,
        "different_rays": found.rays,
        "says_nothing": list(found.nothing), "says_little": list(found.little),
    }  # fmt: skip


def _series(
    folder: Path, certificates: str | os.PathLike[str] | None, reading: Reading | None,
    watch: Callable[[Verified], None] | None, key: PublicKey | None, *, strict: bool, pixels_only: bool,
) -> Verified:
    # Here, because a certificate alone is checked without loading what reads DICOM.
    from ctrecon.dicom.series.series_check import check_series

    of_part, trusted = {}, ON_TRUST
    if reading is not None:
        from ctrecon.certificates.against_scan import AGREES
        from ctrecon.workbench.verify_slices import compare_slices

        of_part = {"of_part": compare_slices(reading, folder, certificates)}
        trusted = f"data and geometry are those of {reading.name}, {AGREES}"
    verdict = check_series(
        folder,
        None if certificates is None else Path(certificates),
        watch=lambda one: None if watch is None else watch(_said(one.path, "file", one.valid, one.said)),
        strict=strict,
        pixels_only=pixels_only,
        trusted=key,
        **of_part,
    )
    found = _said(folder, "series", verdict.valid, verdict.said, readable=verdict.readable)
    found = replace(found, coerced=verdict.coerced)
    if not found:
        return found
    return replace(found, statement=f"{found.statement}; {trusted}", compared="" if reading is None else trusted)


def _stack(
    path: Path, stack: tuple[Path, Path], reading: Reading | None, watch: Callable[[Verified], None] | None,
    key: PublicKey | None, effort: float,
) -> Verified:
    # Here, because a certificate alone is checked without loading the formats of volumes.
    from ctrecon.outputs.stack.check import check_stack

    of_slice, trusted = None, ON_TRUST
    if reading is not None:
        from ctrecon.certificates.against_scan import AGREES
        from ctrecon.workbench.stack.against_scan import compare_stack

        try:
            against = compare_stack(reading, stack[1])
        except Refused as why:
            return _said(path, "stack", False, one_line(why))
        of_slice = against.of_slice
        trusted = f"data and geometry are those of {reading.name}, {AGREES}{against.said}"
    verdict = check_stack(
        *stack, trusted=key, of_slice=of_slice, effort=effort,
        watch=lambda one, valid, said: None if watch is None else watch(_said(one, "file", valid, said)),
    )  # fmt: skip
    found = _said(path, "stack", verdict.valid, verdict.said, readable=verdict.readable)
    if not found:
        return found
    return replace(found, statement=f"{found.statement}; {trusted}", compared="" if reading is None else trusted)


def _said(
    path: Path, about: Literal["file", "series", "stack"], valid: bool, said: str, *, readable: bool = True
) -> Verified:
    found = Verified(path=path, about=about, valid=valid, readable=readable)
    return replace(found, statement=said) if valid else replace(found, reason=said)

