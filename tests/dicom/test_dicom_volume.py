"""A volume of a cone beam as a DICOM series: an image per slice, one certificate of all, checked from the files."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from dicom_series import errors_of, need
from pydicom import dcmread
from pydicom.dataset import Dataset
from volumes import cone, noisy

import ctrecon as ct
from ctrecon.cli.main import cli
from ctrecon.dicom.common.hounsfield import HounsfieldScale, finest_scale, hounsfield
from ctrecon.dicom.deidentify.safe_private import names_nobody
from ctrecon.dicom.series.misfit_check import in_blocks, misfit_again
from ctrecon.dicom.series.series_check import SeriesVerdict, check_series
from ctrecon.dicom.series.study import study_of
from ctrecon.errors import InputError, OutputError
from ctrecon.geometry.grid import Grid
from ctrecon.io.write import write_scan
from ctrecon.measurement.delta import Delta
from ctrecon.measurement.scan import Scan
from ctrecon.outputs import series as writing
from ctrecon.outputs.series import SeriesTarget, mean_misfit
from ctrecon.outputs.stored_pixels import certify_stored
from ctrecon.reconstruction.conclude import Conclusion, conclude
from ctrecon.reconstruction.methods.cgls import cgls
from ctrecon.reconstruction.problem import prepare
from ctrecon.support.site_key import read_public_key, read_site_key

itk: Any = SimpleITK
# No two axes alike, off the axis.
GRID = Grid(rows=14, columns=16, slices=12, pixel_mm=(6.9, 5.7), slice_mm=7.2, centre_mm=(3.0, -2.0, 1.0))
SMALL = {"detector_count": 22, "detector_rows": 14, "detector_spacing_mm": 7.0, "detector_row_spacing_mm": 10.0}


@pytest.fixture(scope="module")
def made() -> tuple[Scan, Conclusion]:
    scan, noise = noisy(cone(12, **SMALL), grid=GRID)
    problem = prepare(scan, Delta(value=2.5 * noise, norm="2-norm", how="what pixels cost"))
    result = conclude(problem, cgls(problem))
    assert result.certified
    # A hair above its residual: rounding alone would break it.
    delta = replace(problem.delta, value=result.residual * (1 + 1e-6))
    return scan, conclude(replace(problem, delta=delta), result.outcome)


def target(folder: Path, **more: Any) -> SeriesTarget:
    return SeriesTarget(folder=folder, study=study_of(None, {}), **{"pictures": False, **more})


@pytest.fixture(scope="module")
def original(made: tuple[Scan, Conclusion], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cone")
    key = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    (folder / "site.pem").touch(mode=0o600)
    (folder / "site.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (folder / "site.pub.pem").write_bytes(public)
    target(folder / "series", key=read_site_key(folder / "site.pem")).write([made[1]], method="cgls")
    return folder / "series"


@pytest.fixture
def series(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "series"))


def decoded(folder: Path) -> np.ndarray:
    """In HU, by instance number."""
    images = [dcmread(folder / f"ct-{k:04d}.dcm") for k in range(1, len(GRID.z_mm) + 1)]
    return np.stack([ds.pixel_array * float(ds.RescaleSlope) + float(ds.RescaleIntercept) for ds in images])


def test_it_is_proved_from_the_files_alone(original: Path, made: tuple[Scan, Conclusion], tmp_path: Path) -> None:
    key = read_public_key(original.parent / "site.pub.pem")
    verdict = check_series(original, strict=True, trusted=key)
    assert verdict.valid, verdict.said
    assert len({ds["sha256"] for ds in verdict.data}) == len(verdict.data) == 1, "one certificate, one set of data"
    assert "slice 3 of 12 of a volume: ||A u - f|| <=" in verdict.findings[2].said
    assert ct.verify(original, scan=made[0])
    other = replace(made[0], sinogram=made[0].sinogram + np.float32(0.01))
    assert not ct.verify(original, scan=other)
    # What a PACS keeps: DICOM files alone, named otherwise.
    for k, path in enumerate(sorted(original.glob("*.dcm"))):
        shutil.copy(path, tmp_path / f"{97 - k}")
    assert check_series(tmp_path).valid
    (raw,) = [ds for ds in map(dcmread, tmp_path.iterdir()) if ds.InstanceNumber == 1 and ds.SeriesNumber == 9005]
    assert names_nobody(raw), "it stays where a study is de-identified"


def pixel(ds: Dataset) -> None:
    raw = bytearray(ds.PixelData)
    raw[100] ^= 1
    ds.PixelData = bytes(raw)


def moved(ds: Dataset) -> None:
    ds.ImagePositionPatient[2] = ds.SliceLocation = float(ds.ImagePositionPatient[2]) + 0.5


def change(name: str, what: Callable[[Dataset], object]) -> Callable[[Path], object]:
    def of(folder: Path) -> None:
        ds = dcmread(folder / name)
        what(ds)
        ds.save_as(folder / name)

    return of


def exchanged(folder: Path) -> None:
    """Two slices with all but their places."""
    one, other = (dcmread(folder / f"ct-{k:04d}.dcm") for k in (4, 9))
    one.PixelData, other.PixelData = other.PixelData, one.PixelData
    one.save_as(folder / "ct-0004.dcm")
    other.save_as(folder / "ct-0009.dcm")


def renumbered(folder: Path) -> None:
    for k, number in ((4, 9), (9, 4)):
        path = folder / f"ct-{k:04d}.dcm"
        ds = dcmread(path)
        ds.InstanceNumber = number
        ds.save_as(path)


def flattered(folder: Path) -> None:
    path = folder / "certificates" / "slice-0001.certificate.json"
    path.write_bytes(path.read_bytes().replace(b'"delta": ', b'"delta": 0'))


def mirrored(ds: Dataset) -> None:
    """The frames of the map from foot to head."""
    ds.PixelData = ds.pixel_array[::-1].tobytes()


ATTACKS: dict[str, tuple[Callable[[Path], object], str]] = {
    "first dropped": (lambda s: (s / "ct-0001.dcm").unlink(), "slice 1 of 12 is missing"),
    "one dropped": (lambda s: (s / "ct-0006.dcm").unlink(), "slice 6 of 12 is missing"),
    "exchanged": (exchanged, "3 of 17 files are refused"),
    "renumbered": (renumbered, "not in the order of their positions"),
    "pixel": (change("ct-0007.dcm", pixel), "2 of 17 files are refused"),
    "place": (change("ct-0007.dcm", moved), "the slices are not those of the manifest's list"),
    "spacing": (change("ct-0007.dcm", lambda ds: setattr(ds, "SpacingBetweenSlices", 3)), "2 of 17 files are refused"),
    "certificate": (flattered, "of 17 files are refused"),
    "map": (change("residual.dcm", mirrored), "1 of 17 files are refused"),
    "raw data": (
        change("certificate-0001.dcm", lambda ds: ds.ReferencedInstanceSequence.pop()), "1 of 17 files are refused"
    ),
}  # fmt: skip


@pytest.mark.sampled(3)
@pytest.mark.parametrize("name", ATTACKS)
def test_a_change_is_found(series: Path, name: str) -> None:
    attack, said = ATTACKS[name]
    attack(series)
    verdict = check_series(series)
    assert verdict.readable
    assert not verdict.valid
    assert said in verdict.said, verdict.said
    if name in ("exchanged", "place", "pixel"):
        assert not check_series(series, pixels_only=True).valid
    if name.endswith("dropped"):
        shutil.rmtree(series / "certificates")
        lost = check_series(series)
        assert lost.readable
        assert not lost.valid
        assert "certificate is of 12 slices, and 11 are here" in refused(lost)[0]


def refused(verdict: SeriesVerdict) -> list[str]:
    return [finding.said for finding in verdict.findings if not finding.valid]


def test_other_programs_read_one_volume_at_the_right_place(
    original: Path, made: tuple[Scan, Conclusion], tmp_path: Path
) -> None:
    uid = dcmread(original / "ct-0001.dcm").SeriesInstanceUID
    image = itk.ReadImage(itk.ImageSeriesReader.GetGDCMSeriesFileNames(str(original), uid))
    dy, dx = GRID.spacing_mm
    np.testing.assert_allclose(image.GetSpacing(), (dx, dy, 7.2))
    np.testing.assert_allclose(image.GetOrigin(), (GRID.x_mm[0], -GRID.y_mm[0], GRID.z_mm[0]))
    np.testing.assert_array_equal(image.GetDirection(), np.eye(3).ravel())
    hu = itk.GetArrayFromImage(image).astype(np.float64)
    np.testing.assert_allclose(hu, decoded(original))
    # Within the steps of the file, and what made room for them: the volume, and no mirror image of it.
    truth = hounsfield(made[1].image, 0.02)
    assert np.abs(hu - truth).max() < 0.5
    assert all(np.abs(hu - np.flip(truth, axis)).mean() > 20 for axis in range(3))
    subprocess.run([need("dcm2niix"), "-b", "n", "-f", "v", "-o", tmp_path, original], check=True, capture_output=True)
    paths = [path for path in tmp_path.glob("v*.nii") if itk.ReadImage(str(path)).GetSize() == image.GetSize()]
    again = [itk.DICOMOrient(itk.ReadImage(str(path)), "LPS") for path in paths]
    fits = [one for one in again if np.abs(itk.GetArrayFromImage(one) - hu).max() < 0.5]
    assert fits, "dcm2niix reads the same volume"
    np.testing.assert_allclose(fits[0].GetOrigin(), image.GetOrigin(), atol=1e-3)


def test_its_files_are_valid_and_say_where_they_stand(original: Path) -> None:
    files = sorted(original.glob("*.dcm"))
    assert len(files) == 12 + 5
    assert {path.name: errors_of(path) for path in files[:3] + files[12:] if errors_of(path)} == {}
    images = [dcmread(original / f"ct-{k:04d}.dcm") for k in range(1, 13)]
    assert [ds.InstanceNumber for ds in images] == list(range(1, 13))
    assert {(ds.SliceThickness, ds.SpacingBetweenSlices) for ds in images} == {(7.2, 7.2)}
    assert len({ds.FrameOfReferenceUID for ds in images}) == 1
    np.testing.assert_allclose([ds.SliceLocation for ds in images], GRID.z_mm)
    assert "of all 12 slices together" in images[5].DerivationDescription
    report = dcmread(original / "report.dcm")
    volumes = [item for item in report.ContentSequence if item.get("ConceptNameCodeSequence")[0].CodeValue == "volume"]
    assert len(volumes) == 1
    assert sum(item.ValueType == "IMAGE" for item in volumes[0].ContentSequence) == 12


def test_the_map_is_computed_again_slice_by_slice(original: Path, made: tuple[Scan, Conclusion]) -> None:
    verdict = ct.certificates.verify.check(original / "certificates" / "slice-0001.certificate.json")
    again = misfit_again(verdict)
    assert again is not None
    image = verdict.arrays["image"].astype(np.float32)
    for found, plane in zip(again, mean_misfit(made[1].problem, image), strict=True):
        np.testing.assert_allclose(found, in_blocks(plane), atol=1e-4 * float(np.abs(in_blocks(plane)).max()))


def test_rounding_keeps_the_certificate_or_nothing_is_written(
    made: tuple[Scan, Conclusion], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = made[1]
    scale = replace(finest_scale([result.image], 0.02), slope=4.0, intercept=-1500.0)
    stored = certify_stored(result, scale)
    assert stored.result.certified
    assert stored.steps >= 1
    coarse = HounsfieldScale(water_mu=0.02, slope=2048, intercept=-2048.0)
    monkeypatch.setattr(writing, "finest_scale", lambda ranges, water: coarse)
    with pytest.raises(InputError, match=r"rounded to 2048 HU, as DICOM stores it, the volume misses delta") as why:
        target(tmp_path / "s").write([result], method="cgls")
    assert "\n" not in str(why.value)
    assert list(tmp_path.iterdir()) == []


def test_places_are_those_of_the_grid(made: tuple[Scan, Conclusion], tmp_path: Path) -> None:
    for given in ({"z_mm": 3.0}, {"slice_mm": 2.0}):
        with pytest.raises(InputError, match="its grid says where slices stand"):
            ct.Reconstruction(made[1]).to_dicom(tmp_path / "s", **given)  # type: ignore[arg-type]
    assert not (tmp_path / "s").exists()


def test_the_command_writes_it(
    made: tuple[Scan, Conclusion], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_scan(tmp_path / "cone.npz", made[0])
    delta = str(made[1].problem.delta.value * 1.2)
    words = ["reconstruct", tmp_path / "cone.npz", "--method", "cgls", "--delta", delta, "-o", f"{tmp_path}/series/"]
    words += ["--patient-position", "none", "--no-preview"]
    refused = CliRunner().invoke(cli, [str(word) for word in (*words, "--slice-mm", 2)])
    assert refused.exit_code == 2, refused.output
    assert "its grid says where slices stand" in refused.output
    with monkeypatch.context() as patch:
        # What `verify` would refuse for its size is refused before the work.
        patch.setattr(writing, "MOST_BYTES", 16 << 20)
        large = CliRunner().invoke(cli, [str(word) for word in words])
    assert large.exit_code == 2, large.output
    assert "write -o NAME.zarr" in large.output
    done = CliRunner().invoke(cli, [str(word) for word in words])
    assert done.exit_code == 0, done.output
    assert {path.name for path in tmp_path.iterdir()} == {"cone.npz", "series"}, "the checkpoint is gone"
    assert ct.verify(tmp_path / "series", scan=tmp_path / "cone.npz")
    with pytest.raises(OutputError):
        ct.Reconstruction(made[1]).to_dicom(tmp_path / "series")
