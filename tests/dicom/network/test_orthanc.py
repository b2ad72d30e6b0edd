"""Against a real Orthanc: what is sent, found and brought back is the same, byte for byte."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from orthanc_server import PASSWORD, USER, Orthanc, free_port
from pacs_nodes import run
from pacs_objects import NAME, PATIENT, ct, study, uid
from pydicom import dcmread
from pydicom import uid as uids

from ctrecon.dicom.network.objects import data_set_bytes, read_header

pytest.importorskip("pynetdicom")
pytest.importorskip("requests")

LOGIN = {"CTRECON_DICOM_USER": USER, "CTRECON_DICOM_PASSWORD": PASSWORD}

STUDY_OF_THE_FILES = "1.2.840.113619.2.30.1.1762295590.1623.978668949.886"  # where it is packed with all the rest

Ways = dict[str, tuple[object, ...]]


def ways(orthanc: Orthanc) -> Ways:
    return {
        "C-GET": ("--from", orthanc.node),
        "C-MOVE": ("--from", orthanc.node, "--move", "--port", orthanc.move_port),
        "WADO-RS": ("--url", orthanc.url),
    }


def brought(orthanc: Orthanc, way: str, study_uid: str, folder: Path, *more: object) -> dict[str, bytes]:
    """Data sets that came, by object."""
    result = run("dicom", "get", study_uid, *ways(orthanc)[way], "-o", folder, "--json", *more, env=LOGIN)
    assert result.exit_code == 0, result.output
    files = [Path(name) for name in json.loads(result.stdout)["files"]]
    assert sorted(files) == sorted(folder.rglob("*.dcm"))
    return data_sets(files)


def data_sets(files: list[Path]) -> dict[str, bytes]:
    return {f"{read_header(f).sop_instance} {read_header(f).transfer_syntax}": data_set_bytes(f) for f in files}


@pytest.mark.parametrize("sent_by", ["C-STORE", "STOW-RS"])
def test_a_study_makes_the_round_trip(orthanc: Orthanc, tmp_path: Path, sent_by: str) -> None:
    folder = study(tmp_path / "out", 1, 3)
    ct(folder / "other.dcm", 1, series=2, syntax=uids.ImplicitVRLittleEndian)
    study(tmp_path / "second", 2, 1)
    to = ("--to", orthanc.node) if sent_by == "C-STORE" else ("--url", orthanc.url)
    result = run("dicom", "send", folder, tmp_path / "second", *to, env=LOGIN)
    assert result.exit_code == 0, result.output
    assert "5 stored (0x0000)" in result.output

    for where in (("--from", orthanc.node), ("--url", orthanc.url)):
        found = run("dicom", "find", *where, "--patient-id", PATIENT, "--date", "20240101-20241231", env=LOGIN)
        assert found.exit_code == 0, found.output
        assert "2 found" in found.output
        assert uid("study", 1) in found.output
        assert NAME not in found.output
        assert PATIENT not in found.output
        shown = run("dicom", "find", *where, "--show-patient", env=LOGIN).output
        assert NAME in shown
        none = run("dicom", "find", *where, "--patient-id", "NOBODY", env=LOGIN)
        assert (none.exit_code, "0 found" in none.output) == (0, True)
        series = run("dicom", "find", *where, "--study", uid("study", 1), "--json", env=LOGIN)
        rows = json.loads(series.stdout)
        assert {row["SeriesInstanceUID"] for row in rows} == {uid("series", 1, 1), uid("series", 1, 2)}
        assert {row["NumberOfSeriesRelatedInstances"] for row in rows} == {"1", "3"}

    original = data_sets(sorted(folder.iterdir()))
    for way in ways(orthanc):
        assert brought(orthanc, way, uid("study", 1), tmp_path / way) == original, way
        part = brought(orthanc, way, uid("study", 1), tmp_path / f"{way}2", "--series", uid("series", 1, 2))
        assert len(part) == 1
        assert part.items() <= original.items()
        missing = run("dicom", "get", "2.25.404", *ways(orthanc)[way], "-o", tmp_path / "none", env=LOGIN)
        assert missing.exit_code == 2, (way, missing.output)
        assert missing.output.count("\n") <= 2
    assert not list((tmp_path / "none").rglob("*.dcm"))


def test_every_transfer_syntax_is_kept(orthanc: Orthanc, data_dir: Path, tmp_path: Path) -> None:
    files = sorted((data_dir / "dicom" / "transfer_syntaxes").glob("CTImage*.dcm"))
    assert len(files) >= 15
    for path in files:
        header = read_header(path)
        study_uid = header.study or STUDY_OF_THE_FILES
        for to, way in ((("--to", orthanc.node), "C-GET"), (("--url", orthanc.url), "WADO-RS")):
            orthanc.clear()
            result = run("dicom", "send", path, *to, env=LOGIN)
            assert result.exit_code == 0, (path.name, result.output)
            ((name, content),) = brought(orthanc, way, study_uid, tmp_path / path.name / way).items()
            assert name.split() == [header.sop_instance, header.transfer_syntax], way
            if way == "WADO-RS":
                assert content == data_set_bytes(path), path.name
            elif content != data_set_bytes(path) and header.transfer_syntax != uids.DeflatedExplicitVRLittleEndian:
                # Orthanc itself writes lengths of groups and sequences anew on this way; all elements are the same.
                (file,) = (tmp_path / path.name / way).rglob("*.dcm")
                assert plain(file) == plain(path), path.name


def plain(path: Path) -> dict[int, object]:
    """Elements by tag, without the lengths of groups, which are no content."""
    return {int(element.tag): element.value for element in dcmread(path) if element.tag.element != 0}


def test_what_the_node_does_not_take_is_counted_and_nothing_is_transcoded(
    start_orthanc: Callable[..., Orthanc], tmp_path: Path
) -> None:
    orthanc = start_orthanc(Jpeg2000TransferSyntaxAccepted=False, UnknownSopClassAccepted=False)
    ct(tmp_path / "out" / "1.dcm")
    ct(tmp_path / "out" / "2.dcm", number=2, syntax=uids.JPEG2000Lossless)
    ct(tmp_path / "out" / "3.dcm", number=3, sop_class="1.2.3.4.5")
    result = run("dicom", "send", tmp_path / "out", "--to", orthanc.node)
    assert result.exit_code == 3
    assert "1 stored (0x0000)" in result.output
    assert "2 SOP class or transfer syntax not accepted (0x0122)" in result.output
    assert "JPEG 2000" in result.output
    assert len(orthanc.instances()) == 1
    facts = json.loads(run("dicom", "send", tmp_path / "out", "--to", orthanc.node, "--json").stdout)
    assert sorted(one["status"] for one in facts["objects"]) == ["0x0000", "0x0122", "0x0122"]
    only = run("dicom", "send", tmp_path / "out" / "3.dcm", "--to", orthanc.node)
    assert only.exit_code == 2
    assert "accepts none of what was offered" in only.output


def test_refusals_of_a_real_node_are_one_line(orthanc: Orthanc, tmp_path: Path) -> None:
    path = ct(tmp_path / "1.dcm")
    wrong = orthanc.node.replace("ORTHANC", "SOMEONE")
    secret = tmp_path / "login"
    secret.write_text("tester\nwrong\n")
    secret.chmod(0o600)
    cases: dict[str, tuple[object, ...]] = {
        "Called AE title not recognised": ("send", path, "--to", wrong),
        "user or password is wrong": ("send", path, "--url", orthanc.url, "--credentials", secret),
        "401": ("find", "--url", orthanc.url),
        "no such study, or no DICOMweb": ("find", "--url", orthanc.url.replace("dicom-web", "nothing")),
        "cannot be reached": ("get", "1.2", "--url", "http://127.0.0.1:1/x", "-o", tmp_path / "o", "--retries", 0),
        "Connection refused": ("echo", "--to", "X@127.0.0.1:1", "--retries", 0),
        "refused the retrieval": (
            "get", uid("study", 1), "--from", orthanc.node, "--move", "--port", free_port(), "-o", tmp_path / "o",
        ),
    }
    assert run("dicom", "send", path, "--to", orthanc.node).exit_code == 0
    for words, arguments in cases.items():
        login = LOGIN if "nothing" in str(arguments) else {}
        result = run("dicom", *arguments, env=login)
        assert result.exit_code == 2, (words, result.output)
        lines = [line for line in result.output.splitlines() if "note:" not in line]
        assert len(lines) == 1, result.output
        assert words in lines[0], (words, lines[0])
    assert not list((tmp_path / "o").rglob("*")) if (tmp_path / "o").exists() else True
