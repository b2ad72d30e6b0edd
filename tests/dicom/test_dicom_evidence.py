"""The certificate travels: structured report, PDF and map of the residual say what is true of the images."""

from __future__ import annotations

import io
import subprocess
from dataclasses import replace
from pathlib import Path

import highdicom
import numpy as np
import pytest
import torch
from dicom_series import GIVEN, GRID, Z_MM, letter, need, reconstruct, results, write
from pydicom import dcmread

from ctrecon.certificates import verify
from ctrecon.dicom.series.parametric_map import short_step
from ctrecon.dicom.series.pdf import key_slices
from ctrecon.dicom.series.study import study_of
from ctrecon.measurement.delta import Delta
from ctrecon.outputs.series import SeriesTarget, mean_misfit
from ctrecon.reconstruction.problem import prepare

HOSTILE = "\x1b[2J <script>alert(1)</script> \r\n ](javascript:0) 患者 \u202e " + "x" * 3000


@pytest.fixture(scope="module")
def series(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("dicom") / "series")


def items(report: highdicom.sr.ComprehensiveSR) -> dict[str, list[object]]:
    """All text, numbers and codes of a report by what they mean."""
    found: dict[str, list[object]] = {}
    for ds in (element for content in [report] for element in _walk(content)):
        meaning = ds.ConceptNameCodeSequence[0].CodeMeaning
        value = {
            "TEXT": lambda ds=ds: ds.TextValue,
            "NUM": lambda ds=ds: float(ds.MeasuredValueSequence[0].NumericValue),
            "CODE": lambda ds=ds: ds.ConceptCodeSequence[0].CodeMeaning,
            "IMAGE": lambda ds=ds: ds.ReferencedSOPSequence[0].ReferencedSOPInstanceUID,
        }.get(ds.ValueType)
        if value is not None:
            found.setdefault(meaning, []).append(value())
    return found


def _walk(ds: object) -> list[object]:
    own = list(ds.get("ContentSequence", []))  # type: ignore[attr-defined]
    return own + [inner for item in own for inner in _walk(item)]


def test_the_structured_report_says_what_is_proved(series: Path) -> None:
    said = items(highdicom.sr.srread(series / "report.dcm"))
    images = [dcmread(series / f"ct-{k:04d}.dcm") for k in (1, 2, 3)]
    verdicts = [verify.check(series / "certificates" / f"slice-{k:04d}.certificate.json") for k in (1, 2, 3)]
    assert said["Source of Measurement"] == [image.SOPInstanceUID for image in images]
    assert said["What is proved"] == [verdict.statement for verdict in verdicts]
    assert said["What is not proved"] == [verify.LIMITS["feasible"]]
    assert said["Image is certified to explain the data"] == ["Yes"] * 3
    asked = said["Bound on the residual that was asked for"]
    np.testing.assert_allclose(asked, [verdict.proved["delta"] for verdict in verdicts], rtol=1e-12)
    assert said["SHA-256 of the certificate file"] == [i.private_block(0x71, "CTRECON")[3].value for i in images]
    assert "not for diagnostic use" in said["Comment"][0]
    assert any("Water attenuates 0.02 per mm" in note for note in said["What was assumed of the data"])


def test_the_map_is_the_residual_back_projected(series: Path) -> None:
    ds = dcmread(series / "residual.dcm")
    assert ds.pixel_array.dtype == np.uint16
    read = highdicom.imread(series / "residual.dcm")
    values = read.get_frames(apply_real_world_transform=True, dtype=np.float64)
    places = [item.PlanePositionSequence[0].ImagePositionPatient for item in ds.PerFrameFunctionalGroupsSequence]
    assert sorted(place[2] for place in places) == list(Z_MM)
    for place, frame in zip(places, values, strict=True):  # highdicom puts them in an order of its own
        np.testing.assert_allclose(place[:2], (GRID.x_mm[0], -GRID.y_mm[0]))
        k = Z_MM.index(place[2])
        result = results(3)[k]
        expected = mean_misfit(result.problem, result.image)
        step = ds.SharedFunctionalGroupsSequence[0].RealWorldValueMappingSequence[0].RealWorldValueSlope
        assert step < 2e-4 * np.abs(values).max()
        np.testing.assert_allclose(frame, expected, atol=2 * step + 1e-6)
        other = mean_misfit(results(3)[k - 1].problem, results(3)[k - 1].image)
        assert np.abs(frame - other).max() > 50 * step


def test_the_map_shows_where_the_image_is_wrong() -> None:
    problem = results(1)[0].problem
    spot = letter() * 0
    spot[30, 40] = 0.01
    clean = torch.from_numpy(problem.scan.sinogram)[None, None].float()
    nothing = replace(problem, energy=type(problem.energy)(problem.operator, torch.zeros_like(clean)))
    found = mean_misfit(nothing, spot)
    assert np.unravel_index(found.argmax(), found.shape) == (30, 40)
    # Residual 1 on every ray: 1 in every pixel that a ray meets.
    ones = replace(problem, energy=type(problem.energy)(problem.operator, -torch.ones_like(clean)))
    flat = mean_misfit(ones, spot * 0)
    assert set(np.round(np.unique(flat), 4)) <= {0.0, 1.0}
    assert (flat > 0.99).mean() > 0.9


def text_of(pdf: Path) -> str:
    done = subprocess.run([need("pdftotext"), "-raw", pdf, "-"], capture_output=True, text=True, check=True)
    return " ".join(done.stdout.split())


def test_the_pages_say_it_in_words_and_name_nobody(series: Path, tmp_path: Path) -> None:
    ds = dcmread(series / "report-pdf.dcm")
    raw = ds.EncapsulatedDocument[: ds.EncapsulatedDocumentLength]
    assert raw.startswith(b"%PDF")
    (tmp_path / "report.pdf").write_bytes(raw)
    text = text_of(tmp_path / "report.pdf")
    assert "RESEARCH ONLY, not for diagnostic use." in text
    assert "3 of 3 slices are certified" in text
    assert " ".join(verify.LIMITS["feasible"].split())[:60] in text
    assert "||A u - f|| <=" in text
    for secret in (*GIVEN["PatientName"].split("^"), GIVEN["PatientID"], GIVEN["StudyDescription"]):
        assert secret not in text
    assert ds.BurnedInAnnotation == "NO"
    assert len(ds.SourceInstanceSequence) == 3


def test_hostile_text_stays_text(tmp_path: Path) -> None:
    (result,) = results(1)
    scan = replace(result.problem.scan, notes=(HOSTILE,))
    result = replace(result, problem=replace(result.problem, scan=scan))
    target = SeriesTarget(folder=tmp_path / "s", study=study_of(None, {}), pictures=False)
    target.write([result], method="cgls")
    pdf = dcmread(tmp_path / "s" / "report-pdf.dcm").EncapsulatedDocument
    (tmp_path / "report.pdf").write_bytes(pdf)
    assert b"/JavaScript" not in pdf
    assert b"/URI" not in pdf
    said = items(highdicom.sr.srread(tmp_path / "s" / "report.dcm"))
    (note,) = (text for text in said["What was assumed of the data"] if "script" in text)
    assert note.isprintable()
    assert "<script>alert(1)</script>" in note
    text = text_of(tmp_path / "report.pdf")
    assert "<script>alert(1)</script>" in text
    assert "\x1b" not in text


def test_pictures_of_the_key_slices_are_on_the_pages(tmp_path: Path) -> None:
    (result,) = results(1)
    target = SeriesTarget(folder=tmp_path / "s", study=study_of(None, {}))
    target.write([result], method="cgls")
    pdf = dcmread(tmp_path / "s" / "report-pdf.dcm").EncapsulatedDocument
    assert pdf.count(b"/Subtype /Image") >= 1
    bare = replace(target, folder=tmp_path / "bare", pictures=False)
    bare.write([result], method="cgls")
    assert dcmread(tmp_path / "bare" / "report-pdf.dcm").EncapsulatedDocument.count(b"/Subtype /Image") == 0


def test_the_worst_slice_is_a_key_slice() -> None:
    class Slice:
        def __init__(self, residual: float) -> None:
            self.residual, self.delta = residual, 1.0

    slices = [Slice(0.5) for _ in range(9)]
    slices[6].residual = 0.9
    assert [k for k, _ in key_slices(slices)] == [1, 5, 7, 9]  # type: ignore[arg-type]


@pytest.mark.long
def test_a_report_on_what_is_not_certified_says_no(tmp_path: Path) -> None:
    result = reconstruct(letter(), share=1e-3)
    target = SeriesTarget(folder=tmp_path / "s", study=study_of(None, {}), pictures=False)
    target.write([result], method="cgls")
    said = items(highdicom.sr.srread(tmp_path / "s" / "report.dcm"))
    assert said["Image is certified to explain the data"] == ["No"]
    assert "NOT certified" in said["Why nothing is proved"][0]
    assert said["Residual"][0] > said["Bound on the residual that was asked for"][0]
    assert "SHA-256 of the certificate file" not in said
    pdf = dcmread(tmp_path / "s" / "report-pdf.dcm").EncapsulatedDocument
    (tmp_path / "report.pdf").write_bytes(io.BytesIO(pdf).read())
    assert "0 of 1 slice is certified" in text_of(tmp_path / "report.pdf")


def test_delta_of_zero_data_is_not_needed() -> None:
    """An empty scan leaves no residual: the map is zero and its scale still a number."""
    problem = results(1)[0].problem
    empty = prepare(
        replace(problem.scan, sinogram=np.zeros_like(problem.scan.sinogram)), Delta(value=1.0, norm="2-norm", how="x")
    )
    assert not mean_misfit(empty, letter() * 0).any()


@pytest.mark.parametrize("limit", [1e-200, 0.00360686, 1.0, 32767.0, 7e12, *np.geomspace(1e-5, 9e-5, 97)])
def test_the_most_extreme_residual_keeps_its_sign_in_16_bits(limit: float) -> None:
    step = short_step(limit)
    extreme = np.rint(limit / step)
    assert 32400 < extreme <= 32767
    assert step == float(f"{step:.3g}"), "so short that a decimal string of DICOM holds it"
    # Rounded to the nearest three digits, as once it was, some of these wrapped around to the other sign.
    assert limit != 0.00360686 or np.rint(limit / float(f"{limit * 1.002 / 32767:.3g}")) > 32767
