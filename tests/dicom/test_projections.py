"""DICOM-CT-PD scans: any order, either way of writing private values, every fault in one line, bounded memory."""

from __future__ import annotations

import dataclasses
import random
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

from ctrecon.dicom.raw import ct_pd_tags as tags
from ctrecon.dicom.raw.ct_pd_file import read_header, read_projection
from ctrecon.dicom.raw.projections import ProjectionSet, read_projections
from ctrecon.dicom.raw.synthesise import INTERCEPT, SLOPE, WATER_MU_PER_MM, Protocol, synthesise, water_phantom
from ctrecon.errors import InputError, OutputError, SettingError

SMALL = Protocol(
    rows=4, columns=24, column_pitch_mm=39.4, per_turn=36, turns=1.5, feed_mm=2.0, first_z_mm=-1.5, flying="FFSXYZ",
    photons=1e5,
)


@pytest.fixture(scope="module")
def scan_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scan") / "projections"
    assert synthesise(folder, water_phantom(), SMALL) == 54
    return folder


@pytest.fixture
def broken(scan_folder: Path, tmp_path: Path) -> Callable[..., Path]:
    """A copy of some files of the scan, one of them changed."""

    def make(change: Callable[[pydicom.Dataset], None], which: int = 5, keep: int = 12) -> Path:
        folder = tmp_path / "broken"
        folder.mkdir()
        for path in sorted(scan_folder.iterdir())[:keep]:
            shutil.copy(path, folder / path.name)
        path = folder / f"projection_{which:06d}.dcm"
        dataset = pydicom.dcmread(path)
        change(dataset)
        dataset.save_as(path)
        return folder

    return make


def same(a: ProjectionSet, b: ProjectionSet) -> bool:
    arrays = ("angle_rad", "z_mm", "angle_shift_rad", "z_shift_mm", "radius_shift_mm")
    numbers = all(np.allclose(getattr(a, name), getattr(b, name), atol=1e-6) for name in arrays)
    return numbers and a.common == b.common and all(np.array_equal(a.view(k)[0], b.view(k)[0]) for k in (0, 7, 53))


def test_every_number_comes_back(scan_folder: Path) -> None:
    scan = read_projections(scan_folder)
    assert (scan.common.rows, scan.common.columns, scan.common.per_turn) == (4, 24, 36)
    assert scan.common.water_mu_per_mm == WATER_MU_PER_MM
    assert scan.common.corrections == tuple(tag.name for tag in tags.CORRECTIONS)
    assert scan.feed_mm == pytest.approx(2.0, abs=1e-5)
    for k in (0, 1, 2, 35, 36, 53):
        (angle, z), shifts = SMALL.position(k), SMALL.shifts(k)
        assert np.angle(np.exp(1j * (scan.angle_rad[k] - angle))) == pytest.approx(0, abs=1e-6)
        assert scan.z_mm[k] == pytest.approx(z, abs=1e-5)
        assert (scan.angle_shift_rad[k], scan.z_shift_mm[k], scan.radius_shift_mm[k]) == pytest.approx(shifts, abs=1e-6)
    values, photons = scan.view(3)
    assert values.shape == (4, 24)  # detector rows first, though DICOM's Rows are the columns
    assert pydicom.dcmread(scan_folder / scan.files[3]).Rows == 24
    assert photons is not None
    assert (photons == 1e5).all()
    exact = water_phantom().line_integral(*SMALL.rays(3)).T
    sigma = np.sqrt(np.exp(exact) / 1e5)
    assert np.abs((values - exact) / np.hypot(sigma, SLOPE)).max() < 5
    assert np.abs((values[:, ::-1] - exact) / np.hypot(sigma, SLOPE)).max() > 50


def test_private_values_as_bytes_and_with_their_own_representation_are_the_same(
    scan_folder: Path, tmp_path: Path
) -> None:
    element = pydicom.dcmread(next(scan_folder.iterdir()))[tags.Z.number]
    assert (element.VR, type(element.value)) == ("UN", bytes)
    explicit = tmp_path / "explicit"
    synthesise(explicit, water_phantom(), SMALL, implicit=False)
    assert pydicom.dcmread(next(explicit.iterdir()))[tags.Z.number].VR == "FL"
    assert same(read_projections(explicit), read_projections(scan_folder))


def test_files_may_come_in_any_order_and_under_any_name(scan_folder: Path, tmp_path: Path) -> None:
    names = sorted(path.name for path in scan_folder.iterdir())
    random.Random(0).shuffle(names)
    for k, name in enumerate(names):
        shutil.copy(scan_folder / name, tmp_path / f"IM{k}")
    assert same(read_projections(tmp_path), read_projections(scan_folder))


@pytest.mark.parametrize("feed_mm", [2.0, 0.0], ids=["helix", "circles"])
def test_without_instance_numbers_z_and_angle_sort(feed_mm: float, tmp_path: Path) -> None:
    protocol = Protocol(
        rows=2, columns=8, column_pitch_mm=118.0, per_turn=12, turns=2, feed_mm=feed_mm, first_angle_rad=0.01
    )
    synthesise(tmp_path / "a", water_phantom(), protocol)
    (tmp_path / "b").mkdir()
    for k, path in enumerate(sorted((tmp_path / "a").iterdir(), reverse=True)):
        dataset = pydicom.dcmread(path)
        del dataset.InstanceNumber
        dataset.save_as(tmp_path / "b" / f"{k:03d}.dcm")
    a, b = read_projections(tmp_path / "a"), read_projections(tmp_path / "b")
    assert np.allclose(a.z_mm, b.z_mm)
    assert np.allclose(np.exp(1j * a.angle_rad), np.exp(1j * b.angle_rad))


def _set(tag: tags.Tag, value: bytes) -> Callable[[pydicom.Dataset], None]:
    def change(dataset: pydicom.Dataset) -> None:
        dataset[tag.number].value = value

    return change


def _delete(number: Any) -> Callable[[pydicom.Dataset], None]:
    def change(dataset: pydicom.Dataset) -> None:
        del dataset[number]

    return change


def _assign(**values: Any) -> Callable[[pydicom.Dataset], None]:
    def change(dataset: pydicom.Dataset) -> None:
        for name, value in values.items():
            setattr(dataset, name, value)

    return change


FAULTS = {
    "no angle": (_delete(tags.ANGLE.number), "(7031,1001) DetectorFocalCenterAngularPosition is missing"),
    "no kind": (_delete(tags.KIND.number), "TypeofProjectionData is missing"),
    "half a number": (_set(tags.Z, b"\0\0\0"), "DetectorFocalCenterAxialPosition holds"),
    "not finite": (_set(tags.Z, b"\0\0\xc0\x7f"), "must be 1 finite numbers"),
    "two values": (_set(tags.Z, bytes(8)), "must be 1 finite numbers"),
    "a flat detector": (_set(tags.SHAPE, b"FLAT"), "DetectorShape is 'FLAT'; only CYLINDRICAL can be read"),
    "no logarithm": (_set(tags.LOG, b"NO"), "no logarithm was taken"),
    "parallel beams": (_set(tags.BEAM, b"PARALLELBEAM"), "says parallel beams"),
    "two spectra": (_set(tags.SPECTRA, b"\2\0"), "several spectra"),
    "water as text": (_set(tags.WATER, b"wet "), "WaterAttenuationCoefficient holds 'wet', not a number"),
    "water in 1/cm": (_set(tags.WATER, b".192"), "Coefficient is 0.192, which no scanner has (from 0.01 to"),
    "no pitch": (_set(tags.ROW_PITCH, bytes(4)), "DetectorElementAxialSpacing is 0, which no scanner has"),
    "no slope": (_delete(0x00281053), "RescaleSlope is missing"),
    "no scale": (_assign(RescaleSlope="0"), "make no scale"),
    "another size": (_assign(Rows=23), "its image is 23 x 4, its detector 24 columns of 4 cells"),
    "another series": (_assign(SeriesInstanceUID="2.25.7"), "mixes scans: series is"),
    "another detector": (_set(tags.COLUMN_PITCH, struct.pack("<f", 39.5)), "mixes scans: column pitch mm is"),
    "the same number twice": (_assign(InstanceNumber=4), "InstanceNumber 4 stands in both"),
    "eight bits": (_assign(BitsAllocated=8), "has 8 bits a pixel"),
    "frames": (_assign(NumberOfFrames=100000), "several frames"),
    "an angle back": (_set(tags.ANGLE, bytes(4)), "the angle moves back"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_of_headers_are_named_in_one_line(fault: str, broken: Callable[..., Path]) -> None:
    change, message = FAULTS[fault]
    with pytest.raises(InputError) as caught:
        read_projections(broken(change))
    assert message in str(caught.value), caught.value
    assert "\n" not in str(caught.value)


PIXEL_FAULTS = {
    "no pixels": (_delete(0x7FE00010), "holds no pixels"),
    "short pixels": (_assign(PixelData=bytes(10)), "its pixels cannot be read"),
    "photons of another detector": (
        lambda d: d.__setitem__(tags.PHOTONS.number, pydicom.DataElement(tags.PHOTONS.number, "UN", bytes(12))),
        "PhotonStatistics must be 24 numbers > 0",
    ),
}


@pytest.mark.parametrize("fault", PIXEL_FAULTS)
def test_faults_of_pixels_are_named_in_one_line(fault: str, broken: Callable[..., Path]) -> None:
    change, message = PIXEL_FAULTS[fault]
    scan = read_projections(broken(change))
    with pytest.raises(InputError) as caught:
        scan.view(4)
    assert message in str(caught.value), caught.value
    assert "projection_000005.dcm" in str(caught.value)
    scan.view(3)


def test_missing_projections_are_noticed(scan_folder: Path, tmp_path: Path) -> None:
    for path in sorted(scan_folder.iterdir()):
        if path.name not in ("projection_000020.dcm", "projection_000021.dcm"):
            shutil.copy(path, tmp_path / path.name)
    scan = read_projections(tmp_path)
    assert scan.notes[0].startswith(
        "2 projections are missing (2 between projection_000019.dcm and projection_000022.dcm): their rays are a gap"
    )
    assert scan.step.tolist() == [*range(19), *range(21, 54)]
    assert (scan.steps, scan.between(18, 22)) == (54, slice(18, 20))


def test_folders_that_hold_no_scan(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not a folder"):
        read_projections(tmp_path / "nowhere")
    with pytest.raises(InputError, match="holds no files"):
        read_projections(tmp_path)
    (tmp_path / "a.dcm").write_bytes(b"hello" * 100)
    with pytest.raises(InputError, match=r"none of its 1 files .a.dcm. is a DICOM-CT-PD projection"):
        read_projections(tmp_path)


def test_a_huge_detector_is_refused_before_anything_is_allocated(broken: Callable[..., Path]) -> None:
    def change(dataset: pydicom.Dataset) -> None:
        for tag in (tags.ROWS, tags.COLUMNS):
            dataset[tag.number].value = b"\xff\xff"
        dataset.Rows = dataset.Columns = 65535

    with pytest.raises(InputError, match="a detector of 65535 x 65535 cells is larger"):
        read_projections(broken(change, which=1))


def test_the_central_column_can_be_given(scan_folder: Path) -> None:
    scan = read_projections(scan_folder, central_column=12.0)
    offset = (read_projections(scan_folder).common.centre[0] - 12.0) * SMALL.column_pitch_mm
    whole = slice(0, 3)
    before = read_projections(scan_folder).geometry(whole)
    assert scan.geometry(whole).detector_offset_mm == pytest.approx(before.detector_offset_mm + offset)
    with pytest.raises(SettingError, match="from 1 to 24, got 25"):
        read_projections(scan_folder, central_column=25)


def test_the_synthesiser_writes_all_or_nothing_and_the_same_again(scan_folder: Path, tmp_path: Path) -> None:
    tiny = Protocol(rows=2, columns=8, per_turn=4, turns=1)
    synthesise(tmp_path / "a", water_phantom(), tiny, seed=3)
    synthesise(tmp_path / "b", water_phantom(), tiny, seed=3)
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()
    with pytest.raises(OutputError, match="is not empty"):
        synthesise(scan_folder, water_phantom(), tiny)

    class Fails:
        def line_integral(self, *_: Any) -> Any:
            raise RuntimeError

    with pytest.raises(RuntimeError):
        synthesise(tmp_path / "c", Fails(), tiny)  # type: ignore[arg-type]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]
    stored = pydicom.dcmread(tmp_path / "a" / "projection_000001.dcm").PixelData
    values = np.frombuffer(stored, "<u2") * SLOPE + INTERCEPT
    assert np.abs(values.reshape(8, 2) - water_phantom().line_integral(*tiny.rays(0))).max() <= SLOPE / 2 + 1e-9


# Memory: a scan is read one view at a time

READ = """
import sys, tracemalloc
from pathlib import Path
from ctrecon.dicom.raw.projections import read_projections
from ctrecon.dicom.raw.rebin import rebin
few, many = Path(sys.argv[1]), Path(sys.argv[2])
rebin(read_projections(few), 0.0)   # what is imported and compiled once
peaks = []
for folder in (few, many):
    tracemalloc.start()
    scan = read_projections(folder)
    middle = float(scan.z_mm.mean())
    for z in (middle - 1, middle, middle + 1):
        rebin(scan, z)
    peaks.append(tracemalloc.get_traced_memory()[1])
    tracemalloc.stop()
print(len(scan.files), *peaks)
"""


def _peaks(tmp_path: Path, turns: int, per_turn: int) -> tuple[int, int, int]:
    """Number of files, and the peaks of memory for a scan of 3 turns and one of ``turns``."""
    common = {"rows": 32, "columns": 48, "column_pitch_mm": 19.7, "per_turn": per_turn, "feed_mm": 8.0}
    few = Protocol(turns=3, first_z_mm=-12.0, **common)  # type: ignore[arg-type]
    many = Protocol(turns=turns, first_z_mm=-4.0 * turns, **common)  # type: ignore[arg-type]
    empty = water_phantom(inserts_hu=())
    synthesise(tmp_path / "few", empty, few)
    synthesise(tmp_path / "many", empty, many)
    done = subprocess.run(
        [sys.executable, "-c", READ, str(tmp_path / "few"), str(tmp_path / "many")],
        capture_output=True, text=True, check=True, timeout=280,
    )
    count, small, large = (int(word) for word in done.stdout.split())
    return count, small, large


@pytest.mark.long
def test_memory_does_not_grow_with_the_scan(tmp_path: Path) -> None:
    count, small, large = _peaks(tmp_path, turns=9, per_turn=18)
    pixels = 108 * 32 * 48 * 2
    assert count == 162
    # Names and a few numbers for each file; all pixels together would be four times that.
    assert large - small < 108 * 700 < pixels / 4


@pytest.mark.long
@pytest.mark.timeout(900)
def test_five_thousand_projections_in_bounded_memory(tmp_path: Path) -> None:
    count, small, large = _peaks(tmp_path, turns=125, per_turn=40)
    assert count == 5000
    assert large - small < 5000 * 700
    assert large < 8 << 20


@pytest.mark.parametrize("implicit", [True, False], ids=["implicit", "explicit"])
def test_damaged_bytes_never_raise_anything_else(implicit: bool, tmp_path: Path) -> None:
    """Bytes changed, cut out or added anywhere, 300 times: a scan or one line."""
    synthesise(tmp_path / "whole", water_phantom(), dataclasses.replace(SMALL, turns=0.03), implicit=implicit)
    original = (tmp_path / "whole" / "projection_000001.dcm").read_bytes()
    rng = random.Random(1)
    path, read, messages = tmp_path / "a.dcm", 0, []
    for _ in range(300):
        data = bytearray(original)
        for _ in range(rng.randint(1, 6)):
            at = rng.randrange(120, len(data) - 4)
            kind = rng.random()
            if kind < 0.6:
                data[at] = rng.randrange(256)
            elif kind < 0.8:
                data[at : at + 4] = rng.choice((b"\xff\xff\xff\xff", b"\xf0\xff\xff\xff", bytes(4)))
            elif kind < 0.9:
                del data[at : at + rng.randint(1, 40)]
            else:
                data[at:at] = bytes(rng.randint(1, 40))
        path.write_bytes(data)
        try:
            common, _ = read_header(path)
            if common.rows * common.columns <= 4096:
                read_projection(path, common)
            read += 1
        except InputError as error:
            messages.append(str(error))
    assert read > 30
    assert len(messages) > 100
    assert all(message.startswith(str(path)) and "\n" not in message for message in messages)
