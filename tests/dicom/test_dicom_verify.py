"""A series is checked as a whole: what was changed, lost, exchanged or added is found."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from dicom_series import dicom_files, reconstruct, write
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import ImplicitVRLittleEndian, RLELossless

from ctrecon.cli.main import cli
from ctrecon.dicom.series.series_check import check_series
from ctrecon.dicom.series.study import study_of
from ctrecon.io.write import write_scan
from ctrecon.outputs.history import read_history
from ctrecon.outputs.series import SeriesTarget


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("dicom") / "series")


@pytest.fixture
def series(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "series"))


def change(path: Path, what: Callable[[Dataset], object]) -> None:
    ds = dcmread(path)
    what(ds)
    ds.save_as(path)


def verify(*args: object) -> Result:
    return CliRunner().invoke(cli, ["verify", *(str(arg) for arg in args)], catch_exceptions=False)


def test_what_was_written_is_valid(series: Path) -> None:
    result = verify(series)
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert len(lines) == 11
    assert all(line.startswith("valid  ") for line in lines)
    assert "||A u - f|| <=" in lines[0]
    assert "3 images, none missing" in lines[-1]
    facts = [json.loads(line) for line in verify(series, "--json").output.splitlines()]
    assert [fact["valid"] for fact in facts] == [True] * 11
    assert "was changed" not in result.output


def one_pixel(ds: Dataset) -> None:
    pixels = ds.pixel_array.copy()
    pixels[20, 16] ^= 1
    ds.PixelData = pixels.tobytes()


def mirrored(ds: Dataset) -> None:
    ds.PixelData = ds.pixel_array[:, ::-1].tobytes()


def water(ds: Dataset) -> None:
    ds.private_block(0x71, "CTRECON")[0x01].value = 0.0201


def forgery(ds: Dataset) -> None:
    ds.private_block(0x71, "CTRECON")[0x03].value = "0" * 64


CHANGES: dict[str, tuple[Callable[[Dataset], object], str]] = {
    "a pixel": (one_pixel, "1 of its pixels do not decode"),
    "mirrored": (mirrored, "pixels do not decode"),
    "slope": (lambda ds: setattr(ds, "RescaleSlope", float(ds.RescaleSlope) * (1 + 1e-9)), "do not decode"),
    "no slope": (lambda ds: delattr(ds, "RescaleSlope"), "its RescaleSlope is missing"),
    "unit": (lambda ds: setattr(ds, "RescaleType", "US"), "not in HU"),
    "water": (water, "do not decode"),
    "spacing": (lambda ds: setattr(ds, "PixelSpacing", [0.707, 0.707]), "PixelSpacing is"),
    "turned": (lambda ds: setattr(ds, "ImageOrientationPatient", [-1, 0, 0, 0, 1, 0]), "turned"),
    "moved": (lambda ds: setattr(ds, "ImagePositionPatient", [0, 0, 3]), "moved"),
    "exchanged": (lambda ds: setattr(ds, "InstanceNumber", 2), "not the file that was certified"),
    "another number": (lambda ds: setattr(ds, "InstanceNumber", -1), "is no slice"),
    "another certificate": (forgery, "not the file that was certified"),
    "no tie": (lambda ds: ds.remove_private_tags(), "private block CTRECON"),
    "another patient": (lambda ds: setattr(ds, "PatientID", "P-18"), "2 different values of PatientID"),
    "another study": (lambda ds: setattr(ds, "StudyInstanceUID", "1.2.3"), "2 different values of StudyInstanceUID"),
    "another frame": (lambda ds: setattr(ds, "FrameOfReferenceUID", "1.2.3"), "values of FrameOfReferenceUID"),
    "another instance": (lambda ds: setattr(ds, "SOPInstanceUID", "1.2.3"), "refers to 1 images that are not here"),
    "another count": (lambda ds: setattr(ds, "ImagesInAcquisition", 2), "ImagesInAcquisition"),
    "another class": (lambda ds: setattr(ds, "SOPClassUID", "1.2.840.10008.5.1.4.1.1.4"), "neither an image"),
    "no pixels": (lambda ds: delattr(ds, "PixelData"), "its PixelData is missing"),
    "huge": (lambda ds: (setattr(ds, "Rows", 65535), setattr(ds, "Columns", 65535)), "PixelData has 4480 bytes"),
}


@pytest.mark.sampled(5)
@pytest.mark.parametrize("name", CHANGES)
def test_a_change_is_found(series: Path, name: str) -> None:
    what, said = CHANGES[name]
    change(series / "ct-0001.dcm", what)
    result = verify(series)
    assert result.exit_code == 1, result.output
    assert said in result.output
    assert "Traceback" not in result.output
    assert result.output.splitlines()[-1].startswith("REFUSED  ")


def test_a_lost_slice_is_missed(series: Path) -> None:
    (series / "ct-0002.dcm").unlink()
    result = verify(series)
    assert result.exit_code == 1
    assert "slice 2 of 3 is missing" in result.output


def test_a_slice_too_many_is_found(series: Path) -> None:
    shutil.copy(series / "ct-0002.dcm", series / "ct-0004.dcm")
    assert "two files have one SOPInstanceUID" in verify(series).output


def test_damage_is_found(series: Path) -> None:
    image = series / "ct-0003.dcm"
    whole = image.read_bytes()
    for raw in (b"", b"no DICOM", whole[:140], whole[:1000], whole[:-7]):
        image.write_bytes(raw)
        result = verify(series)
        assert result.exit_code in (1, 2), raw[:10]
        assert f"REFUSED  {image}" in result.output
    image.write_bytes(whole)
    (series / "certificates" / "slice-0001.data.npy").write_bytes(b"\x93NUMPY")
    result = verify(series)
    assert result.exit_code == 1
    assert "slice-0001.data.npy is not the file that was certified" in result.output


def test_an_empty_folder_is_no_series(tmp_path: Path) -> None:
    result = verify(tmp_path)
    assert result.exit_code == 2
    assert "no CT image" in result.output


def test_a_study_from_a_pacs_is_checked_without_its_folder(series: Path, tmp_path: Path) -> None:
    """As a PACS gives it back: other names, another encoding, DICOM files only."""
    back = tmp_path / "back"
    back.mkdir()
    for k, path in enumerate(reversed(dicom_files(series))):
        ds = dcmread(path)
        implicit = path.name in ("ct-0002.dcm", "certificate-0002.dcm")
        if path.name == "ct-0001.dcm":
            ds.compress(RLELossless, generate_instance_uid=False)
        elif implicit:
            ds.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
        ds.save_as(back / f"IM{k}", implicit_vr=implicit, little_endian=True)
    (back / "README.txt").write_text("export")
    result = verify(back)
    assert result.exit_code == 0, result.output
    assert result.output.count("||A u - f|| <=") == 3
    for path in back.glob("IM*"):
        if dcmread(path).Modality == "CT" and "PixelData" not in dcmread(path):
            path.unlink()
    lost = verify(back)
    assert lost.exit_code == 2
    assert "none came as raw data" in lost.output
    assert verify(back, "--certificates", series / "certificates", "--pixels-only").exit_code == 0
    assert verify(back, "--certificates", tmp_path).exit_code == 2


def carried(ds: Dataset, element: int) -> bytes:
    return bytes(ds.private_block(0x71, "CTRECON")[element].value)


@pytest.mark.sampled(1)
@pytest.mark.parametrize(
    ("element", "value"),
    [
        (0x10, b"{}"), (0x10, None), (0x11, None), (0x11, b"\x93NUMPY"), (0x1F, "1 2"), (0x1F, "-1 0 0 0"),
        (0x1F, "a b c d"),
    ],
)
def test_a_certificate_that_was_changed_on_its_way_is_refused(series: Path, element: int, value: object) -> None:
    def damage(ds: Dataset) -> None:
        block = ds.private_block(0x71, "CTRECON")
        raw = carried(ds, 0x10 if element == 0x1F else element)
        block[element].value = raw[:-1] + bytes([raw[-1] ^ 1]) if value is None else value

    shutil.rmtree(series / "certificates")
    assert verify(series).exit_code == 0
    change(series / "certificate-0002.dcm", damage)
    result = verify(series)
    assert result.exit_code in (1, 2), result.output
    assert f"REFUSED  {series / 'ct-0002.dcm'}" in result.output
    assert f"valid  {series / 'ct-0001.dcm'}" in result.output


def test_a_report_that_says_more_than_is_proved_is_refused(series: Path) -> None:
    def boast(ds: Dataset) -> None:
        for item in (item for part in ds.ContentSequence for item in part.get("ContentSequence", ())):
            if item.ConceptNameCodeSequence[0].CodeMeaning == "What is proved":
                item.TextValue = item.TextValue.replace("<= 0.1", "<= 0.01")

    change(series / "report.dcm", boast)
    result = verify(series)
    assert result.exit_code == 1
    assert "does not say what is proved of the images" in result.output


def test_mutated_files_lead_to_a_verdict(series: Path) -> None:
    """Bytes changed, lost and added at random: a verdict each time, no exception, no warning."""
    rng = np.random.default_rng(7)
    files = dicom_files(series)
    shutil.rmtree(series / "certificates")
    for path in [files[k] for k in (0, 1, 2, 4, 5, 6, 8)]:
        path.unlink()  # one slice is enough
    for k in range(40):
        path = [path for path in files if path.exists()][k % 3]
        whole = path.read_bytes()
        raw = bytearray(whole)
        for place in rng.integers(0, min(len(raw), 4000), size=int(rng.choice([1, 3, 20]))):
            raw[place : place + int(rng.integers(0, 3))] = rng.bytes(int(rng.integers(0, 4)))
        path.write_bytes(raw)
        verdict = check_series(series)
        assert len(verdict.findings) <= 3
        assert verdict.said
        path.write_bytes(whole)


def test_a_certificate_of_another_slice_does_not_do(series: Path) -> None:
    def exchange(ds: Dataset) -> None:
        other = dcmread(series / "ct-0003.dcm")
        ds.ReferencedInstanceSequence[0].ReferencedSOPInstanceUID = other.SOPInstanceUID

    change(series / "certificate-0001.dcm", exchange)
    result = verify(series)
    assert result.exit_code == 1
    assert "not the one of the image it refers to" in result.output


def test_a_changed_header_is_said(series: Path) -> None:
    """A PACS may correct attributes; pixels and certificate stay what they are, but it is worth a word."""
    change(series / "ct-0001.dcm", lambda ds: setattr(ds, "AccessionNumber", "A-1"))
    result = verify(series)
    assert result.exit_code == 0
    assert [k for k, line in enumerate(result.output.splitlines()) if "was changed since" in line] == [0]


def test_the_series_is_compared_with_its_scan(tmp_path: Path) -> None:
    image = np.full((40, 56), 0.01, dtype=np.float32)
    result = reconstruct(image, photons=1e5)
    scan = tmp_path / "scan.npz"
    write_scan(scan, result.problem.scan)
    target = SeriesTarget(folder=tmp_path / "s", study=study_of(None, {}), pictures=False, water_mu=0.02)
    (stored,), _ = target.write([result], method="cgls")
    assert stored.certified
    told = read_history(tmp_path / "s" / "certificates" / "slice-0001.history.json")
    assert (told.certified, told.delta, told.norm) == (True, result.problem.delta.value, "whitened")
    image_file = tmp_path / "s" / "certificates" / "slice-0001.npy"
    assert told.image_sha256 == hashlib.sha256(image_file.read_bytes()).hexdigest()
    said = verify(tmp_path / "s", "--scan", scan)
    assert said.exit_code == 0, said.output
    assert "W^(1/2)" in said.output
    other = tmp_path / "other.npz"
    write_scan(other, reconstruct(image * 1.01, photons=1e5).problem.scan)
    said = verify(tmp_path / "s", "--scan", other)
    assert said.exit_code == 1
    assert "not those of other.npz" in said.output


def test_what_is_not_certified_says_so(tmp_path: Path) -> None:
    result = reconstruct(np.full((40, 56), 0.01, dtype=np.float32), share=1e-3)
    assert not result.certified
    target = SeriesTarget(folder=tmp_path / "s", study=study_of(None, {}), pictures=False)
    (stored,), paths = target.write([result], method="cgls")
    assert not stored.certified
    assert "certificate" not in paths
    told = read_history(tmp_path / "s" / "certificates" / "slice-0001.history.json")
    assert (told.certified, told.residual, told.delta_from) == (False, stored.residual, result.problem.delta.how)
    ds = dcmread(paths["image"])
    assert ds.SeriesDescription.startswith("RESEARCH NOT certified")
    assert "NOT certified" in ds.DerivationDescription
    verdict = check_series(tmp_path / "s")
    assert not verdict.valid
    assert "not certified, as it says itself" in verdict.findings[0].said
