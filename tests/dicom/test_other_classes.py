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


@pytest.mark.parametrize(("numbers", "total", "said"), [
    ((1, 2), 2, ""), ((1,), 2, "part 1 of a concatenated image of 2 parts: the others are missing"),
    ((2,), 3, "part 2 of a concatenated image of 3 parts"), ((1, 2), None, "part 1, 2 of a concatenated image, which"),
])  # fmt: skip
def test_parts_of_a_concatenated_image_are_joined_and_a_missing_one_is_said(
    numbers: tuple[int, ...], total: int | None, said: str, tmp_path: Path
) -> None:
    datasets = []
    for number in numbers:
        ds = enhanced(4, order=(2 * number - 2, 2 * number - 1))
        ds.ConcatenationUID, ds.InConcatenationNumber = "1.2.3", number
        if total is not None:
            ds.InConcatenationTotalNumber = total
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.{number}"
        datasets.append(ds)
    volume = read_volume(put(tmp_path / "in", datasets))
    assert len(volume.hu) == 2 * len(numbers)
    found = [note for note in volume.notes if "concatenated" in note]
    assert len(found) == bool(said)
    assert said in "".join(found)


DOCUMENTS: dict[str, tuple[uid.UID, str, dict[str, object]]] = {
    "key objects": (uid.KeyObjectSelectionDocumentStorage, "KO", {"ContentSequence": []}),
    "a presentation state": (uid.GrayscaleSoftcopyPresentationStateStorage, "PR", {}),
    "a report": (uid.ComprehensiveSRStorage, "SR", {"ContentSequence": []}),
    "a dose report": (uid.XRayRadiationDoseSRStorage, "SR", {"ContentSequence": []}),
    "a PDF": (uid.EncapsulatedPDFStorage, "DOC", {"EncapsulatedDocument": b"%PDF-1.4"}),
    "a plan": (uid.RTPlanStorage, "RTPLAN", {}),
    "structures": (uid.RTStructureSetStorage, "RTSTRUCT", {}),
    "raw data of others": (uid.RawDataStorage, "CT", {}),
    "a waveform": (uid.TwelveLeadECGWaveformStorage, "ECG", {}),
}  # fmt: skip


@pytest.mark.parametrize("name", DOCUMENTS)
def test_documents_are_refused_in_one_line_by_every_command_that_reads_dicom(name: str, tmp_path: Path) -> None:
    kind, modality, more = DOCUMENTS[name]
    ds = of_class(kind, Modality=modality, **more)
    del ds.PixelData
    folder = put(tmp_path / "in", [ds])
    file, out = folder / "0.dcm", tmp_path / "o"
    for words in (
        ("info", file), ("info", folder), ("diagnose", file), ("reconstruct", folder, "-o", f"{out}.npy"),
        ("reconstruct", folder, "--all-slices", "-o", f"{out}/"), ("rebin", folder, "-o", out),
        ("simulate", "--from-dicom", file, "-o", f"{out}.npz"), ("superres", file, "-o", f"{out}.nii"),
        ("dicom", "deidentify", file, out), ("dicom", "deidentify", folder, out), ("report", file),
    ):  # fmt: skip
        said = refused(*words)
        assert "Traceback" not in said
        assert "4711" not in said
    alone = CliRunner().invoke(cli, ["verify", str(file)])
    assert alone.exit_code == 2
    assert f"is DICOM, {kind.name}, which is checked with all of its series; give the folder" in alone.output
    done = CliRunner().invoke(cli, ["verify", str(folder)])
    assert done.exit_code == 1
    assert done.output.count("REFUSED") == 2, "the file, and the whole"
    assert "malformed" not in done.output
    assert "it is neither an image of the series nor a report on it" in done.output
    assert not list(tmp_path.glob("o*"))
    put(tmp_path / "both", [ds, ct(1)])
    cleaned = CliRunner().invoke(cli, ["dicom", "deidentify", str(tmp_path / "both"), str(out)], catch_exceptions=False)
    assert cleaned.exit_code == 0, cleaned.output
    assert len(list(out.iterdir())) == 1
    assert "were left out" in cleaned.output


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
