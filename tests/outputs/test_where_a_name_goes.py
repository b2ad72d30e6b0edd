"""Of what raw data say of their patient, a DICOM series and a scan file hold what belongs there; nothing else does."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from pydicom import dcmread
from pydicom.datadict import DicomDictionary, dictionary_VR

from ctrecon.cli.main import cli
from ctrecon.dicom.raw.ct_pd_stated import STATED
from ctrecon.dicom.raw.synthesise import Protocol, axes_phantom, synthesise
from ctrecon.io.volume_names import VOLUME_SUFFIXES
from ctrecon.measurement.study_words import NEEDED, OPTIONAL
from ctrecon.outputs.stack.formats import SUFFIXES, load_format

TEXTS = {"PN": "Zqm{}xv^Given", "LO": "Zqm{}xv", "SH": "Zqm{}xv", "LT": "Zqm{}xv", "ST": "Zqm{}xv", "UT": "Zqm{}xv",
         "UC": "Zqm{}xv", "AE": "ZQM{}XV", "UI": "1.2.826.90{}17", "DA": "18{:02}0917"}  # fmt: skip
# What makes raw data of one scan, or says where it stands.
KEPT = {"SOPInstanceUID", "SOPClassUID", "SpecificCharacterSet", "PatientPosition", "BodyPartExamined", "PatientSex"}
ONE_FOR_ALL = ("PatientName", "PatientID", "PatientBirthDate", "IssuerOfPatientID", "OtherPatientIDs",
               "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID", "Manufacturer")  # fmt: skip
QUICK = "--method fbp --window ram-lak --delta 90% --size 16".split()


@pytest.fixture(scope="module")
def marked(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """Raw data with a text of its own in every attribute that can hold one; keyword to text."""
    raw = tmp_path_factory.mktemp("marked") / "raw"
    few = Protocol(rows=4, columns=24, column_pitch_mm=39.4, per_turn=18, turns=1.6, feed_mm=3.0, first_z_mm=-2.4)
    synthesise(raw, axes_phantom(), few)
    marks: dict[str, str] = {}
    for path in sorted(raw.iterdir()):
        ds = dcmread(path)
        if not marks:
            for k, (tag, (vr, _, _, _, keyword)) in enumerate(sorted(DicomDictionary.items())):
                free = tag >> 16 in (0x8, 0x10, 0x12, 0x18, 0x20, 0x32, 0x38, 0x40, 0x88)
                if vr in TEXTS and free and keyword and keyword not in KEPT and not ds.get(keyword):
                    marks[keyword] = TEXTS[vr].format(k % 100 if vr == "DA" else 1000 + k)
            marks |= {"PatientBirthDate": "18990917"}
            marks |= {name: TEXTS[dictionary_VR(name)].format(4000 + k) for k, name in enumerate(ONE_FOR_ALL)
                      if name not in marks}  # fmt: skip
            for keyword, text in marks.items():
                setattr(ds, keyword, text)
        for keyword in (*ONE_FOR_ALL, *(one for one in STATED if one in marks)):
            setattr(ds, keyword, marks[keyword])
        ds.PatientSex = "F"
        ds.save_as(path)
    assert len(marks) > 400
    return raw, marks


def found_in(folder: Path, marks: dict[str, str]) -> dict[str, set[str]]:
    """Which of the texts stand in which files, also packed ones, in the encodings that files are written in."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if not path.is_file():
            continue
        raw = [path.read_bytes()]
        if raw[0][:2] == b"\x1f\x8b":
            raw.append(gzip.decompress(raw[0]))
        if raw[0][:2] == b"PK":
            with zipfile.ZipFile(io.BytesIO(raw[0])) as packed:
                raw += [packed.read(name) for name in packed.namelist()]
        forms = ("utf-8", "utf-16-le", "utf-16-be", "utf-32-le")
        here = {name for name, text in marks.items() if any(text.encode(f) in one for f in forms for one in raw)}
        if here:
            found[path.name] = here
    return found


def made(folder: Path, raw: Path, *words: str, command: str = "reconstruct") -> Path:
    folder.mkdir()
    done = CliRunner().invoke(cli, [command, str(raw), *words], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return folder


def formats() -> list[str]:
    """One suffix of each format that a stack can be written in."""
    return sorted({type(load_format(suffix)): suffix for suffix in SUFFIXES}.values())


@pytest.mark.sampled(1)
@pytest.mark.parametrize("suffix", [".npy", *VOLUME_SUFFIXES])
def test_an_image_and_all_beside_it_name_nobody(
    suffix: str, marked: tuple[Path, dict[str, str]], tmp_path: Path
) -> None:
    raw, marks = marked
    page = [] if suffix != ".npy" else ["--report", str(tmp_path / "o" / "page.html")]
    out = made(tmp_path / "o", raw, *QUICK, "--z", "0", "-o", str(tmp_path / "o" / f"u{suffix}"), *page)
    assert len(list(out.iterdir())) >= 4
    assert found_in(out, marks) == {}


@pytest.mark.sampled(2)
@pytest.mark.parametrize("suffix", formats())
def test_a_volume_of_all_slices_names_nobody(suffix: str, marked: tuple[Path, dict[str, str]], tmp_path: Path) -> None:
    raw, marks = marked
    words = [*QUICK, "--all-slices", "--spacing", "2"]
    out = made(tmp_path / "o", raw, *words, "-o", str(tmp_path / "o" / f"all{suffix}"))
    assert found_in(out, marks) == {}


def test_a_series_holds_patient_and_study_and_its_evidence_beside_it_nothing(
    marked: tuple[Path, dict[str, str]], tmp_path: Path
) -> None:
    raw, marks = marked
    out = made(tmp_path / "o", raw, *QUICK, "--z", "0", "-o", f"{tmp_path / 'o' / 'series'}/")
    found = found_in(out, marks)
    assert all(name.endswith(".dcm") for name in found)
    assert {"PatientName", "PatientID", "StudyInstanceUID"} <= found["ct-0001.dcm"]
    # A moment's worth of what was performed, and nothing of who performed it.
    assert set().union(*found.values()) <= {*NEEDED, *OPTIONAL}
    assert found_in(out / "series" / "certificates", marks) == {}


@pytest.mark.long
def test_a_scan_file_keeps_patient_and_study_and_what_follows_from_it_does_not(
    marked: tuple[Path, dict[str, str]], tmp_path: Path
) -> None:
    raw, marks = marked
    made(tmp_path / "o", raw, "--z", "0", "-o", str(tmp_path / "o" / "slices"), command="rebin")
    (scan,) = (tmp_path / "o" / "slices").glob("*.npz")
    assert {"PatientName", "PatientID"} <= found_in(tmp_path / "o", marks)[scan.name] <= {*NEEDED, *OPTIONAL}
    image, page = tmp_path / "p" / "u.npy", tmp_path / "p" / "u.html"
    out = made(tmp_path / "p", scan, *QUICK, "-o", str(image), "--report", str(page))
    assert found_in(out, marks) == {}




FOLDER = "Zqm^Erika"


def test_no_folder_is_named_in_anything_that_is_written(tmp_path: Path) -> None:
    """Folders are often called after patients: of every file that was given, its own name at most."""
    home = tmp_path / FOLDER
    home.mkdir()
    beam = {"geometry": "parallel", "angles_deg": list(range(0, 180, 20)), "detector_spacing_mm": 1.0}
    (home / "beam.json").write_text(json.dumps(beam))
    values = np.random.default_rng(3).uniform(1.0, 2.0, (9, 16))
    for name in ("scan.npy", "again.npy"):
        np.save(home / name, values + (name == "again.npy") * 0.1)
    few = Protocol(rows=2, columns=24, column_pitch_mm=39.4, per_turn=18, turns=1.6, feed_mm=1.0, first_z_mm=-1.0)
    synthesise(home / "raw", axes_phantom(), few)
    beside = ["--geometry", str(home / "beam.json")]
    for k, words in enumerate((
        [str(home / "scan.npy"), *beside, *QUICK, "--report", str(tmp_path / "out" / "0.html")],
        [str(home / "scan.npy"), *beside, "--repeat", str(home / "again.npy"), "--method", "cgls", "--size", "16"],
        [str(home / "raw"), "--z", "0", *QUICK], [str(home / "raw"), "--all-slices", *QUICK],
    )):  # fmt: skip
        place = tmp_path / "out" / f"{k}{'.zarr' if '--all-slices' in words else '.npy'}"
        place.parent.mkdir(exist_ok=True)
        done = CliRunner().invoke(cli, ["reconstruct", *words, "-o", str(place)], catch_exceptions=False)
        assert done.exit_code in (0, 3), done.output
    assert CliRunner().invoke(cli, ["rebin", str(home / "raw"), "-o", str(tmp_path / "out" / "slices")]).exit_code == 0
    assert found_in(tmp_path / "out", {"folder": FOLDER}) == {}
    assert "beam.json" in (tmp_path / "out" / "0.history.json").read_text(), "the file itself is named"
