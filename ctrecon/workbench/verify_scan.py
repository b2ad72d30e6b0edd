"""Whether a certificate is about a scan: the scan is read again as its reconstruction read it, and compared.

How it was read stands in ``S.history.json``: centre, chosen views, detector row, slice. Names of files are not taken
from there, since nobody need have written that file who is to be trusted: a geometry or a repeat is given again.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ctrecon.certificates.against_scan import AGREES, difference
from ctrecon.certificates.verify import FILES, Refused, Verdict, require
from ctrecon.errors import SettingError
from ctrecon.io.turns import TURNS
from ctrecon.measurement.delta import mean_of_repeats
from ctrecon.measurement.scan import Scan
from ctrecon.outputs.history import SUFFIX, read_history
from ctrecon.reconstruction.run import apply_to_scan
from ctrecon.reconstruction.settings import FROM_FILE, GIVEN, OF_READING, Settings
from ctrecon.support.text import printable
from ctrecon.workbench.reconstruct import read_as

_FILES = ("geometry", "repeat")
"""Of the settings of reading: those that name a file."""


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How a scan is read again: what ``given`` says, else the history of the reconstruction."""

    scan: Scan | Path
    given: Mapping[str, Any]

    @property
    def name(self) -> str:
        return printable(self.scan.source if isinstance(self.scan, Scan) else self.scan.name)

    def settings(self, path: Path | None) -> tuple[Settings, str]:
        """The settings of reading that the history ``path`` tells, before it those given; and its name.

        Raises SettingError where they name a file that is not given, InputError for a history that cannot be read.
        """
        told = read_history(path).settings if path is not None else None
        found = {name: (told or {}).get(name) for name in OF_READING if (told or {}).get(name) is not None}
        whose = "" if path is None or told is None else path.name
        if isinstance(self.scan, Scan):
            found = {name: value for name, value in found.items() if name not in FROM_FILE}
        for name in _FILES:
            text = str(found.get(name, ""))
            if text and name not in self.given and text not in TURNS:
                what = "object in Python" if text.startswith(GIVEN) else "file"
                raise SettingError(
                    f"{printable(whose)}: its {name} came from another {what}, {printable(text)[:200]!r}; name the one "
                    f"to trust with --{name} ({name}=...)"
                )
        return Settings(**{**found, **self.given}), whose

    def again(self, settings: Settings) -> Scan:
        """The scan as it was reconstructed. Raises InputError where it cannot be read so."""
        if isinstance(self.scan, Scan):
            scan = apply_to_scan(self.scan, settings)
        else:
            scan = read_as(self.scan, settings)[0]
        if settings.repeat is None:
            return scan
        return mean_of_repeats(scan, read_as(settings.repeat, settings)[0], model_error="0")[0]


def compare(verdict: Verdict, certificate: Path, reading: Reading) -> str:
    """What was compared, as a sentence, where all agrees.

    Args:
        verdict: The checker's, valid.
        certificate: Where it stands: how the scan was read is looked up beside it.
        reading: The scan, and what is known of how it was read.

    Raises:
        Refused: What is not the scan's.
        SettingError: Where the comparison cannot be made as asked.
        InputError: A scan or history that cannot be read.
    """
    require_scan(verdict, certificate)
    settings, whose = reading.settings(_history_of(certificate))
    how = _how(settings, whose)
    fault = difference(verdict, reading.again(settings))
    require(not fault, f"it is not of the scan {reading.name}{how}: {fault}")
    _check_hash(verdict, reading)
    return f"data and geometry are those of {reading.name}, {AGREES}{how}"


def reading_of(scan: Scan | str | os.PathLike[str], given: Mapping[str, Any]) -> Reading:
    """What was asked for, without what was left open."""
    stated = {name: value for name, value in given.items() if value is not None}
    return Reading(scan=scan if isinstance(scan, Scan) else Path(scan), given=stated)


def require_scan(verdict: Verdict, certificate: Path) -> None:
    """Raises SettingError for a certificate of an enlarged picture, which has no scan."""
    if "factor" in verdict.claims["operator"]:
        name = printable(certificate.name)
        raise SettingError(f"{name}: is about an enlarged picture, which has no scan; drop --scan")


def _history_of(certificate: Path) -> Path | None:
    """``S.history.json`` of ``S.certificate.json``, or of ``S.LABEL.certificate.json`` of an audited region."""
    stem = certificate.name.removesuffix(FILES[""])
    stems = (stem, stem.rpartition(".")[0])
    places = [certificate.with_name(one + SUFFIX) for one in stems if one]
    return next((place for place in places if place.is_file()), None)


def _how(settings: Settings, whose: str) -> str:
    """What was done to the scan before it was compared, as a clause."""
    plain = Settings()
    done = [
        f"{name} = {printable(str(getattr(settings, name)))[:80]}" for name in OF_READING
        if getattr(settings, name) != getattr(plain, name)
    ]  # fmt: skip
    if done:
        return f", read with {', '.join(done)}"
    return "" if whose else " (no history says how it was read; it was read as it is)"


def _check_hash(verdict: Verdict, reading: Reading) -> None:
    """The hash of the scan's file, where the certificate names one. An audit's certificate names a reconstruction's."""
    source = verdict.claims.get("source")
    stated = source.get("sha256") if isinstance(source, dict) else None
    if verdict.kind == "interval" or stated is None or isinstance(reading.scan, Scan) or reading.scan.is_dir():
        return
    with reading.scan.open("rb") as stream:
        own = hashlib.file_digest(stream, "sha256").hexdigest()
    if stated != own:
        raise Refused(
            f"its data are those of {reading.name}, but it names a file of another hash as its source "
            f"({str(stated)[:12]!r}..., this is {own[:12]}...)"
        )
