"""What else hospitals send, Enhanced CT, captures, segmentations, deflated: read right, or refused in one line."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner
from dicom_files import ct, enhanced, stored
from pydicom import uid
from pydicom.dataset import FileDataset

from ctrecon.cli.main import cli
from ctrecon.dicom.images.images import read_volume

DEFLATED = uid.DeflatedExplicitVRLittleEndian


def of_class(kind: uid.UID, **more: object) -> FileDataset:
    ds = ct(0, **more)
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = kind
    return ds


def packed(ds: FileDataset) -> FileDataset:
    ds.file_meta.TransferSyntaxUID = DEFLATED
    return ds


IMAGES: dict[str, Callable[[], list[FileDataset]]] = {
    "enhanced CT": lambda: [enhanced(3)],
    "deflated CT": lambda: [packed(ct(k)) for k in range(3)],
    "deflated enhanced CT": lambda: [packed(enhanced(3))],
}
OTHERS: dict[str, Callable[[], list[FileDataset]]] = {
    "Secondary Capture Image Storage": lambda: [of_class(uid.SecondaryCaptureImageStorage, Modality="OT")],
    "MR Image Storage": lambda: [of_class(uid.MRImageStorage, Modality="MR")],
    "Segmentation Storage": lambda: [of_class(uid.SegmentationStorage, Modality="SEG")],
    "RT Dose Storage": lambda: [of_class(uid.RTDoseStorage, Modality="RTDOSE")],
    "Multi-frame Grayscale Word Secondary Capture Image Storage": lambda: [
        of_class(uid.MultiFrameGrayscaleWordSecondaryCaptureImageStorage, Modality="CT")
    ],
    "another object": lambda: [of_class(uid.UID("1.2.826.0.1.4711"), Modality="CT")],
}


def put(folder: Path, datasets: list[FileDataset]) -> Path:
    folder.mkdir()
    for k, ds in enumerate(datasets):
        ds.save_as(folder / f"{k}.dcm", enforce_file_format=True)
    return folder


def refused(*words: object) -> str:
    done = CliRunner().invoke(cli, [str(word) for word in words])
    assert done.exit_code == 2, (words, done.output, done.exception)
    (line,) = done.stderr.splitlines()
    return line


@pytest.mark.parametrize("name", IMAGES)
def test_ct_images_of_other_forms_are_read_like_plain_ones(name: str, tmp_path: Path) -> None:
    folder = put(tmp_path / "in", IMAGES[name]())
    slopes = (1, 2, 3) if "enhanced" in name else (1, 1, 1)  # of the helpers' files
    expected = np.stack([stored(k) * np.float32(slope) - 1024 for k, slope in enumerate(slopes)])
    np.testing.assert_array_equal(read_volume(folder).hu, expected)
    done = CliRunner().invoke(cli, ["dicom", "deidentify", str(folder), str(tmp_path / "out")], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    np.testing.assert_array_equal(read_volume(tmp_path / "out").hu, expected)


@pytest.mark.parametrize("name", [*IMAGES, *OTHERS])
def test_what_is_no_projection_is_named_with_what_to_do(name: str, tmp_path: Path) -> None:
    folder = put(tmp_path / "in", (IMAGES | OTHERS)[name]())
    file = next(folder.iterdir())
    for words in (("info", folder), ("reconstruct", folder, "-o", tmp_path / "o.npy")):
        said = refused(*words)
        assert "DICOM-CT-PD" in said or "is deflated" in said
        assert "4711" not in said, "no text of the file's own"
        if name in OTHERS:
            assert f", but {name};" in said
    for words in (("info", file), ("reconstruct", file, "-o", tmp_path / "o.npy")):
        said = refused(*words)
        assert "is DICOM, " in said
        assert "simulate --from-dicom" in said
    if name in OTHERS:
        assert "CT" in refused("simulate", "--from-dicom", file, "-o", tmp_path / "o.npz")
    assert not list(tmp_path.glob("o*"))


def test_a_deflated_bomb_costs_one_line_wherever_a_file_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def boundless(data: bytes, *arguments: int) -> bytes:
        raise AssertionError("pydicom was to inflate it, without a limit")

    monkeypatch.setattr("pydicom.filereader.zlib", SimpleNamespace(decompress=boundless, MAX_WBITS=zlib.MAX_WBITS))
    folder = put(tmp_path / "in", [packed(ct(0))])
    path = folder / "0.dcm"
    raw = path.read_bytes()
    start = 132 + 12 + int.from_bytes(raw[140:144], "little")
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    path.write_bytes(raw[:start] + b"".join(packer.compress(bytes(1 << 22)) for _ in range(20)) + packer.flush())
    scan = tmp_path / "s.npz"
    assert CliRunner().invoke(cli, ["simulate", "--size", "16", "--views", "9", "-o", str(scan)]).exit_code == 0
    out = tmp_path / "o"
    for words in (
        ("info", folder), ("info", path), ("rebin", folder, "-o", out), ("dicom", "deidentify", folder, out),
        ("simulate", "--from-dicom", folder, "-o", f"{out}.npz"), ("superres", path, "-o", f"{out}.nii"),
        ("reconstruct", scan, "--delta", "20%", "--template", path, "-o", f"{out}/"),
    ):  # fmt: skip
        said = refused(*words)
        assert "is deflated" in said or "decompression bomb" in said or "is DICOM" in said, words
    done = CliRunner().invoke(cli, ["verify", str(folder)])
    assert (done.exit_code, "deflated" in done.output) == (2, True)
