"""What a series says of a bound in its headers and pages: never more than is proved, whatever the rounding."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
from dicom_series import need, reconstruct
from pydicom import dcmread

from ctrecon.dicom.series.ct_image import SeriesPart, derivation
from ctrecon.dicom.series.study import study_of
from ctrecon.geometry.grid import Grid
from ctrecon.outputs.series import SeriesTarget

UNEVEN = 0.1234567894999, 0.1234567895999, 2 / 3, 1e-7 / 3, 12345.67891234


def part(residual: float, delta: float) -> SeriesPart:
    one = np.zeros((1, 2, 2))
    return SeriesPart(
        stored=one.astype(np.uint16), grid=Grid(rows=2, columns=2), z_mm=(0.0,), certificate=None, residual=residual,
        delta=delta, norm="2-norm", data_sha256="", misfit=one,
    )  # fmt: skip


class Certified(SeriesPart):
    """One that says to be certified; nothing of its certificate is read here."""

    worth = None


@pytest.mark.parametrize("delta", UNEVEN)
def test_a_bound_is_rounded_to_the_side_on_which_the_header_stays_true(delta: float) -> None:
    plain = part(delta, delta)
    proved = Certified(**{**vars(plain), "certificate": object()})  # type: ignore[arg-type]
    for one, holds in ((proved, True), (plain, False)):
        [said] = re.findall(r"<= (\S+) \(2-norm\)", derivation(one, "cgls"))
        assert (float(said) >= delta) if holds else (float(said) <= delta)
    assert "does not hold" in derivation(part(1.1 * delta, delta), "cgls")
    # Between the residual and its bound nothing is known.
    assert "is not proved" in derivation(plain, "cgls")


def test_pages_without_a_certified_slice_prove_nothing(tmp_path: Path) -> None:
    result = reconstruct(np.full((40, 56), 0.01, dtype=np.float32), share=1e-3)
    assert not result.certified
    SeriesTarget(folder=tmp_path / "s", study=study_of(None, {}), pictures=False).write([result], method="cgls")
    pages = tmp_path / "pages.pdf"
    pages.write_bytes(dcmread(tmp_path / "s" / "report-pdf.dcm").EncapsulatedDocument)
    text = " ".join(
        subprocess.run([need("pdftotext"), pages, "-"], capture_output=True, text=True, check=True).stdout.split()
    )
    assert "0 of 1 slice is certified, so nothing is proved of any." in text
    for claimed in ("miss the stored data by at most", "What is proved", "What is not proved"):
        assert claimed not in text
