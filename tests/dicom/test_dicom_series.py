"""Slices that are not one volume are refused, and the line names what and where."""

from __future__ import annotations

import pytest
from dicom_files import ct, save

from ctrecon.dicom.images.images import read_volume
from ctrecon.errors import InputError


def positions(*heights: float):
    return [ct(k, ImagePositionPatient=[-10.0, -20.0, z]) for k, z in enumerate(heights)]


CASES = {
    "missing slice": (positions(0, 2.5, 5, 10, 12.5), "1 slice is missing between 5.00 and 10.00 mm"),
    "missing slices": (positions(0, 2.5, 5, 12.5, 15), "2 slices are missing between 5.00 and 12.50 mm"),
    "two at one place": (positions(0, 2.5, 2.5, 5), r"at the same position, 2.50 mm \(.*001.dcm and .*002.dcm\)"),
    "irregular": (positions(0, 2.5, 5, 8.6, 11.1), "2.5 mm apart, but those at 5.00 and 8.60 mm are 3.6 mm"),
    "orientation": ([ct(0), ct(1, ImageOrientationPatient=[0, 1, 0, 1, 0, 0])], "different orientations"),
    "frame of reference": ([ct(0), ct(1, FrameOfReferenceUID="1.2.3")], "different frames of reference"),
    "spacing": ([ct(0), ct(1, PixelSpacing=[0.8, 0.9])], r"pixel spacings: \(0.8, 0.8\) and \(0.8, 0.9\)"),
    "size": ([ct(0), ct(1, ct(1).pixel_array[:10])], r"different sizes: \(12, 16\) and \(10, 16\)"),
    "patient": ([ct(0), ct(1, PatientID="OTHER-9")], "different patients"),
    "sideways": (
        [ct(k, ImagePositionPatient=[-10.0 + (k == 2), -20.0, 2.5 * k]) for k in range(5)],
        "5.00 mm .*002.dcm.* is shifted sideways by 1 mm",
    ),
    "scouts only": ([ct(0, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])] * 2, "no CT slices.*2 localizers"),
}


@pytest.mark.parametrize("name", CASES)
def test_refused_in_one_line(name, tmp_path):
    datasets, said = CASES[name]
    with pytest.raises(InputError, match=said) as error:
        read_volume(save(tmp_path / "series", *datasets))
    text = str(error.value)
    assert "\n" not in text
    # A patient is told from another without being named.
    assert "PID-0815" not in text
    assert "OTHER" not in text


def test_without_the_fault_each_series_is_read(tmp_path):
    assert len(read_volume(save(tmp_path / "a", *positions(0, 2.5, 5, 7.5))).hu) == 4
    # Positions of a file hold few digits: 0.625 mm as 0.63.
    assert len(read_volume(save(tmp_path / "b", *positions(0, 0.63, 1.25, 1.88, 2.5))).hu) == 5


def test_real_series(data_dir):
    folder = data_dir / "dicom"
    with pytest.raises(InputError, match=r"at the same position, -90.00 mm \(.*CT26.dcm and .*CT28.dcm\)"):
        read_volume(folder / "duplicate_positions.zip")
    with pytest.raises(InputError, match="only regular spacing makes a volume"):
        read_volume(folder / "gantry_tilt_series")


def test_the_regular_part_of_a_tilted_real_series(data_dir, tmp_path):
    folder = data_dir / "dicom" / "gantry_tilt_series"
    part = tmp_path / "part"
    part.mkdir()
    for k in range(1, 15):
        (part / f"{k}.dcm").write_bytes((folder / f"{k:02d}.dcm").read_bytes())
    volume = read_volume(part)
    assert volume.hu.shape == (14, 512, 512)
    assert any("tilted by 18.5 degrees" in note for note in volume.notes)
    assert volume.affine[2, 2] == pytest.approx(4.22, abs=1e-3)
