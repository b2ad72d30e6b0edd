"""De-identification of a series of our own: it stays certified, and nothing names anybody, the scan's file neither."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
from pathlib import Path

import numpy as np
import pydicom
import pytest
from click.testing import CliRunner
from dicom_files import to_bytes
from dicom_series import GIVEN, dicom_files, errors_of, need, write
from pydicom.dataset import Dataset

from ctrecon.certificates import verify
from ctrecon.cli.main import cli
from ctrecon.dicom.deidentify.files import deidentified_bytes, deidentify_folder
from ctrecon.dicom.deidentify.identity import Identity
from ctrecon.dicom.deidentify.safe_private import names_nobody
from ctrecon.dicom.series.raw_certificate import ELEMENTS, LENGTHS, files_of
from ctrecon.dicom.series.series_check import check_series

ME = Identity(secret=b"0123456789abcdef")
NAME = "Kowalczyk"


@pytest.fixture(scope="module")
def series(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("own") / "series", 2)


@pytest.fixture(scope="module")
def nameless(series: Path) -> Path:
    out = series.with_name("out")
    done = deidentify_folder(series, out, ME)
    assert (done.written, done.left_out) == (5, 3 + 8)  # report, PDF, manifest, and the files in certificates/
    assert any("--pixels-only" in warning for warning in done.warnings)
    assert [warning for warning in done.warnings if "burned" in warning] == []
    return out


def test_it_is_still_certified(series: Path, nameless: Path) -> None:
    verdict = check_series(nameless, pixels_only=True)
    assert verdict.valid, verdict
    assert len(verdict.data) == 2
    assert {claim["sha256"] for claim in verdict.data} == {claim["sha256"] for claim in check_series(series).data}
    assert all("was changed since it was written" in finding.said for finding in verdict.findings)


def test_its_files_are_valid_and_agree(nameless: Path) -> None:
    assert {path.name: errors_of(path) for path in dicom_files(nameless) if errors_of(path)} == {}
    ran = subprocess.run([need("dcentvfy"), *dicom_files(nameless)], capture_output=True, text=True, check=False)
    lines = (ran.stdout + ran.stderr).splitlines()
    assert [line for line in lines if line.strip() and "Different information entities" not in line] == []


def test_references_lead_to_the_new_uids_and_no_old_one_is_left(series: Path, nameless: Path) -> None:
    old = [pydicom.dcmread(path) for path in dicom_files(series)]
    known = {str(e.value) for ds in old for e in ds.iterall() if e.VR == "UI" and str(e.value).startswith("2.25")}
    words = [*GIVEN.values(), *GIVEN["PatientName"].split("^")]
    assert len(known) > 8
    new = [pydicom.dcmread(path) for path in dicom_files(nameless)]
    instances = {str(ds.SOPInstanceUID) for ds in new}
    named = {str(e.value) for ds in new for e in ds.iterall() if e.keyword == "ReferencedSOPInstanceUID"}
    assert named
    assert named <= instances
    for path in dicom_files(nameless):
        raw = path.read_bytes()
        assert [word for word in words if word.encode() in raw] == []
        # A UID of ours that names the program, not a patient, stays.
        left = {uid for uid in known if uid.encode() in raw}
        assert left <= {str(ds.get("CreatorVersionUID")) for ds in old}


def test_an_image_without_its_raw_data_is_refused(nameless: Path, tmp_path: Path) -> None:
    for path in dicom_files(nameless):
        ds = pydicom.dcmread(path)
        if ds.SOPClassUID != pydicom.uid.RawDataStorage:
            (tmp_path / path.name).write_bytes(path.read_bytes())
        elif ds.InstanceNumber == 1:
            ds.remove_private_tags()
            ds.save_as(tmp_path / path.name)
    verdict = check_series(tmp_path)
    assert not verdict.valid
    said = [finding.said for finding in verdict.findings if not finding.valid]
    assert any("its private block CTRECON was removed" in text for text in said)
    assert any("none came as raw data" in text for text in said)


def test_the_name_of_the_scan_survives_nowhere(tmp_path: Path) -> None:
    def run(*arguments: object) -> str:
        result = CliRunner().invoke(cli, [str(one) for one in arguments], catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.output

    folder = tmp_path / "in"
    folder.mkdir()
    scan, other = folder / f"{NAME}_Zofia.npz", folder / f"{NAME}_again.npz"
    run("simulate", "--size", 32, "--views", 30, "-o", scan)
    run("simulate", "--size", 32, "--views", 30, "--seed", 1, "-o", other)
    run("reconstruct", scan, "--repeat", other, "--method", "cgls", "-o", f"{tmp_path}/series/", "--no-preview")
    run("dicom", "deidentify", tmp_path / "series", tmp_path / "out")
    assert "0 others" not in run("verify", tmp_path / "out", "--pixels-only")
    for place in ("series", "out"):
        for path in (tmp_path / place).rglob("*"):
            if path.is_file():
                assert NAME.lower() not in path.read_bytes().decode("latin-1").lower(), path
    assert len(list((tmp_path / "series" / "certificates").glob("*.history.json"))) == 1
    # The search finds it where it stands: beside an image, the certificate notes the file.
    run("reconstruct", scan, "--delta", "5%", "--method", "cgls", "-o", tmp_path / "image.npy", "--no-preview")
    assert NAME in (tmp_path / "image.certificate.json").read_text()


def spoiled(part: str, raw: bytes) -> dict[str, bytes]:
    """What could carry a name in a certificate's file, by where it would stand."""
    if part == "data":
        array, stream = np.load(io.BytesIO(raw)), io.BytesIO()
        fields = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {array.shape}, }}".encode()
        header = fields + b" " * (118 - len(fields) - len(NAME) - 1) + b"#" + NAME.encode()
        stream.write(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + array.tobytes())
        return {"comment in the header": stream.getvalue(), "after the values": raw + NAME.encode()}
    values = json.loads(raw)
    changed = {
        "source": {"source": {"name": f"{NAME}.npy", "sha256": "0" * 64}},
        "statement": {"statement": values["statement"] + f" Of {NAME}."},
        "version": {"made_with": {**values["made_with"], "numpy": NAME}},
        "version in small letters": {"made_with": {**values["made_with"], "numpy": NAME.lower()}},
        "version of a commit": {"made_with": {**values["made_with"], "ctrecon": f"1.0.0+{NAME.lower()}"}},
        "date as a version": {"made_with": {**values["made_with"], "scipy": "19870413"}},
        "program": {"made_with": {**values["made_with"], NAME: "1"}},
        "entry": {NAME: 1},
        "hash": {"image": {**values["image"], "sha256": NAME}},
        "unit": {"image": {**values["image"], "unit": NAME}},
        "limits": {"limits": NAME},
    }
    return {place: verify.encode({**values, **change}) for place, change in changed.items()} | {
        "text after it": raw + NAME.encode()
    }


def raw_with(template: Dataset, files: dict[str, bytes], **more: str) -> Dataset:
    """The raw data with other files, encoded as the series' writer does."""
    block = template.private_block(0x0071, "CTRECON")
    for name, element in ELEMENTS.items():
        if name in files:
            block.add_new(element, "OB", files[name] + b"\0" * (len(files[name]) % 2))
    block.add_new(LENGTHS, "LO", more.get("lengths") or " ".join(str(len(files.get(name, b""))) for name in ELEMENTS))
    return template


def test_a_certificate_that_says_more_goes(series: Path, tmp_path: Path) -> None:
    path = series / "certificate-0001.dcm"
    files = files_of(pydicom.dcmread(path))
    assert names_nobody(pydicom.dcmread(path))
    for part in ("", "data"):
        for place, raw in spoiled(part, files[part]).items():
            changed = {**files, part: raw}
            if part == "data":  # and the certificate agrees with it
                claim = json.loads(files[""])
                claim["data"]["sha256"] = hashlib.sha256(raw).hexdigest()
                changed[""] = verify.encode(claim)
            ds = raw_with(pydicom.dcmread(path), changed)
            assert NAME.lower() in to_bytes(ds).decode("latin-1").lower() or "date" in place
            data, after = deidentified_bytes("a", to_bytes(ds), ME)
            assert NAME.lower() not in data.decode("latin-1").lower(), place
            assert not [e for e in after if e.tag.is_private], place
    beside = pydicom.dcmread(path)
    beside.private_block(0x0071, "CTRECON").add_new(0x14, "OB", NAME.encode() + b"\0")
    assert NAME.encode() not in deidentified_bytes("a", to_bytes(beside), ME)[0]
    # 64 digits are a hash only where there is what they are of.
    tied = pydicom.dcmread(series / "ct-0001.dcm")
    own = tied[0x00711003].value
    tied[0x00711003].value = (NAME.encode().hex() * 64)[:64]
    assert 0x00711003 not in deidentified_bytes("a", to_bytes(tied), ME, certificates=lambda: {own})[1]
    tied[0x00711003].value = own
    assert deidentified_bytes("a", to_bytes(tied), ME, certificates=lambda: {own})[1][0x00711003].value == own
    padded = pydicom.dcmread(path)
    padded.private_block(0x0071, "CTRECON").add_new(0x12, "OB", NAME.encode() + b"\0")
    assert NAME.encode() not in deidentified_bytes("a", to_bytes(padded), ME)[0]
    lengths = raw_with(pydicom.dcmread(path), files, lengths=f"1 1 1 {NAME}")
    assert NAME.encode() not in deidentified_bytes("a", to_bytes(lengths), ME)[0]
    # In an image, where it does not belong, it goes whatever it says.
    image = pydicom.dcmread(series / "ct-0001.dcm")
    raw_with(image, files)
    kept = [e.tag.element & 0xFF for e in deidentified_bytes("a", to_bytes(image), ME)[1] if e.tag.is_private]
    assert sorted(kept) == [0x01, 0x02, 0x10]  # the last is the creator itself


def test_a_hash_of_no_pixels_goes_with_its_certificate(series: Path, tmp_path: Path) -> None:
    """64 digits of a certificate could be anything but for the image that they are of, which must stand beside it."""
    path = series / "certificate-0001.dcm"
    files = files_of(pydicom.dcmread(path))
    claim = json.loads(files[""])
    claim["image"]["sha256"] = (NAME.encode().hex() * 64)[:64]
    forged = raw_with(pydicom.dcmread(path), {**files, "": verify.encode(claim)})
    assert names_nobody(forged)
    other = pydicom.dcmread(series / "ct-0001.dcm")
    pixels = other.pixel_array.copy()
    pixels[0, 0] += 1
    other.PixelData = pixels.tobytes()
    image, honest = (series / "ct-0001.dcm").read_bytes(), path.read_bytes()
    for k, (certificate, beside, stays) in enumerate((
        (honest, {"a": image}, True), (to_bytes(forged), {"a": image}, False), (honest, {"a": to_bytes(other)}, False),
        (honest, {"a": (series / "ct-0002.dcm").read_bytes()}, False), (honest, {}, False),
    )):  # fmt: skip
        given = tmp_path / f"in-{k}"
        given.mkdir()
        for name, data in {"raw": certificate, **beside}.items():
            (given / f"{name}.dcm").write_bytes(data)
        done = deidentify_folder(given, tmp_path / f"out-{k}", ME)
        left = b"".join(path.read_bytes() for path in (tmp_path / f"out-{k}").iterdir())
        assert (files["data"] in left, claim["image"]["sha256"].encode() in left) == (stays, False), k
        assert any("show other pixels" in warning for warning in done.warnings) == (not stays and bool(beside)), k


def test_such_a_file_is_left_out_of_a_folder(series: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name in ("ct-0001.dcm", "certificate-0001.dcm"):
        (tmp_path / "in" / name).write_bytes((series / name).read_bytes())
    path = series / "certificate-0001.dcm"
    files = files_of(pydicom.dcmread(path))
    ds = raw_with(pydicom.dcmread(path), {**files, "": spoiled("", files[""])["source"]})
    (tmp_path / "in" / "certificate-0002.dcm").write_bytes(to_bytes(ds))
    done = deidentify_folder(tmp_path / "in", tmp_path / "out", ME)
    assert (done.written, done.left_out) == (2, 1)
    assert any("certificates that hold more" in warning for warning in done.warnings)


def test_implicit_syntax_keeps_it_too(series: Path, tmp_path: Path) -> None:
    tool = need("dcmconv")
    (tmp_path / "in").mkdir()
    for path in dicom_files(series):
        subprocess.run([tool, "+ti", path, tmp_path / "in" / path.name], check=True)
    deidentify_folder(tmp_path / "in", tmp_path / "out", ME)
    assert check_series(tmp_path / "out", pixels_only=True).valid
