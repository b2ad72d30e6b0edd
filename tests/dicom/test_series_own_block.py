"""What hides in a series where few look: in our own private block, in the header of a file, in folders below."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from dicom_series import write
from pydicom import dcmread
from pydicom.dataset import Dataset
from test_dicom_manifest import change, verify

OBJECTS = ("ct-0001.dcm", "certificate-0001.dcm", "report.dcm", "report-pdf.dcm", "residual.dcm")


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("hidden") / "series", slices=2)


@pytest.fixture
def series(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "series"))


def second_block(ds: Dataset) -> None:
    """Whoever asks for the last block of ours finds another attenuation of water."""
    (ours,) = (e.tag.element for e in ds.group_dataset(0x71) if e.tag.is_private_creator)
    ds.add_new((0x71, ours + 1), "LO", "CTRECON")
    ds.add_new((0x71, (ours + 1) << 8 | 1), "FD", 0.03)


def in_our_block(offset: int, vr: str, value: object) -> Callable[[Dataset], None]:
    return lambda ds: ds.private_block(0x71, "CTRECON", create=True).add_new(offset, vr, value)


OWN_BLOCK: dict[str, tuple[str, Callable[[Dataset], None]]] = {
    "twice": ("ct-0001.dcm", second_block),
    "a word in an image": ("ct-0001.dcm", in_our_block(0x50, "LT", "Approved for diagnosis")),
    "a certificate in an image": ("ct-0002.dcm", in_our_block(0x10, "OB", b"{}")),
    "a manifest in an image": ("ct-0002.dcm", in_our_block(0x20, "OB", b"{}")),
    "a tie in a report": ("report.dcm", in_our_block(0x01, "FD", 0.03)),
    "a tie in raw data": ("certificate-0001.dcm", in_our_block(0x01, "FD", 0.03)),
    "a word in the manifest": ("manifest.dcm", in_our_block(0x23, "LT", "Approved")),
    "an empty one in the PDF": ("report-pdf.dcm", lambda ds: ds.add_new((0x71, 0x10), "LO", "CTRECON")),
}


@pytest.mark.sampled(2)
@pytest.mark.parametrize("case", OWN_BLOCK)
def test_our_own_block_holds_what_we_write_and_stands_once(case: str, series: Path) -> None:
    name, what = OWN_BLOCK[case]
    change(series / name, what)
    result = verify(series)
    assert result.exit_code == 1, result.output
    assert any("REFUSED" in line and name in line and "CTRECON" in line for line in result.output.splitlines())


@pytest.mark.sampled(3)
@pytest.mark.parametrize("name", OBJECTS)
def test_private_elements_of_others_are_listed_of_whatever_object(name: str, series: Path) -> None:
    change(series / name, lambda ds: ds.private_block(0x2005, "OTHER", create=True).add_new(0x0E, "FL", 2.0))
    result = verify(series)
    assert result.exit_code == 0, result.output
    assert "as an archive may: (2005,0010), (2005,100E)" in result.output.splitlines()[-1]


def test_private_information_of_the_files_header_is_listed(series: Path) -> None:
    def tell(ds: Any) -> None:
        ds.file_meta.PrivateInformationCreatorUID, ds.file_meta.PrivateInformation = "1.2.3", b"Approved"

    change(series / "ct-0001.dcm", tell)
    result = verify(series)
    assert result.exit_code == 0
    assert "as an archive may: PrivateInformation, PrivateInformationCreatorUID" in result.output.splitlines()[-1]
    assert verify(series, "--strict").exit_code == 1


@pytest.mark.parametrize(("keyword", "value", "said"), [
    ("WindowCenter", 5, "two files have one SOPInstanceUID"),
    ("SOPInstanceUID", "1.2.826.99.1", "the manifest does not list it"),
])  # fmt: skip
def test_a_second_image_of_the_series_in_a_folder_below_is_part_of_it(
    keyword: str, value: object, said: str, series: Path
) -> None:
    """Programs that import a folder take what lies below, too."""
    below = series / "more" / "below"
    below.mkdir(parents=True)
    ds = dcmread(series / "ct-0002.dcm")
    setattr(ds, keyword, value)
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.save_as(below / "IM1")
    result = verify(series)
    assert result.exit_code == 1
    assert said in result.output


def test_evidence_of_no_image_of_the_series_is_named(series: Path) -> None:
    folder = series / "certificates"
    for name in ("slice-0009.certificate.json", "slice-0001.other", "slice-00001.npy"):
        shutil.copy(folder / "slice-0001.certificate.json", folder / name)
    result = verify(series)
    assert result.exit_code == 0
    last = result.output.splitlines()[-1]
    assert "no part of the series: slice-00001.npy, slice-0001.other, slice-0009.certificate.json" in last
