"""Folders as hospitals export them: what is no slice is left out and counted, what should be one is not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from dicom_files import change, ct, save, stored
from pydicom.dataset import Dataset, FileDataset

from ctrecon.dicom.images.images import read_volume
from ctrecon.errors import InputError

NOWHERE = {"ImagePositionPatient": None, "ImageOrientationPatient": None, "PixelSpacing": None}
OTHER = {"SeriesInstanceUID": "1.2.6", "SeriesNumber": "999", "SOPInstanceUID": "1.2.6.1"}


def slices() -> list[FileDataset]:
    return [ct(k) for k in range(3)]


def capture() -> FileDataset:
    """A dose report as many scanners send it: a picture in colour."""
    kind = {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7", "SamplesPerPixel": 3, "PhotometricInterpretation": "RGB"}
    ds = ct(9, **OTHER, **NOWHERE, **kind, PlanarConfiguration=0, BitsAllocated=8, BitsStored=8, HighBit=7)
    ds.PixelData = bytes(ds.Rows * ds.Columns * 3)
    return ds


@pytest.mark.parametrize(
    "beside",
    [
        capture,
        lambda: ct(9, **OTHER, **NOWHERE, ImageType=["DERIVED", "SECONDARY", "SCREEN SAVE"]),
        lambda: ct(9, **OTHER, SOPClassUID="1.2.840.10008.5.1.4.1.1.66.4", Modality="SEG"),
    ],
)
def test_what_is_no_slice_is_left_out_with_a_note(tmp_path: Path, beside) -> None:
    volume = read_volume(save(tmp_path / "in", *slices(), beside()))
    np.testing.assert_array_equal(volume.hu, np.stack([stored(k) for k in range(3)]) - 1024.0)
    assert any(note.startswith("1 images in") and "were left out" in note for note in volume.notes)
    alone = save(tmp_path / "alone.dcm", beside())
    with pytest.raises(InputError, match=r"is no CT image|has no ImageOrientationPatient"):
        read_volume(alone)
    with pytest.raises(InputError, match="holds no CT slices"):
        read_volume(save(tmp_path / "only", beside(), beside()))


def test_a_slice_that_does_not_say_where_it_lies_is_not_left_out(tmp_path: Path) -> None:
    for changes in ({"ImagePositionPatient": None}, {"ImageOrientationPatient": None}, NOWHERE):
        folder = save(tmp_path / "-".join(changes), *slices(), change(ct(3), **changes))
        with pytest.raises(InputError, match="has no Image"):
            read_volume(folder)
    reformatted = save(tmp_path / "mpr", *(ct(k, ImageType=["DERIVED", "SECONDARY", "MPR"]) for k in range(3)))
    assert read_volume(reformatted).hu.shape[0] == 3


def test_links_to_folders_are_not_followed_and_the_message_says_so(tmp_path: Path) -> None:
    save(tmp_path / "real", *slices())
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "one").symlink_to(tmp_path / "real")
    with pytest.raises(InputError, match="links to folders are not followed"):
        read_volume(tmp_path / "links")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert read_volume(tmp_path / "link").hu.shape[0] == 3


def test_a_directory_of_a_medium_is_no_image_and_does_not_disturb(tmp_path: Path) -> None:
    listing = ct(0, PixelData=None, SOPClassUID=None, Modality=None)
    listing.DirectoryRecordSequence = [change(Dataset(), DirectoryRecordType="PATIENT", PatientName="Muster^Erika")]
    folder = save(tmp_path / "in", *slices(), listing)
    assert read_volume(folder).hu.shape[0] == 3
    with pytest.raises(InputError, match="is a DICOMDIR, which lists"):
        read_volume(folder / "003.dcm")
