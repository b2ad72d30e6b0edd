"""From projections to a certified series in a real Orthanc, by the node's own default command, killed in the middle."""

from __future__ import annotations

import random
import sys
import time
from pathlib import Path

import pytest
from orthanc_server import Orthanc
from pacs_nodes import Listening, Sink, run, sending_until_all_are_there, wait_for
from pydicom import dcmread
from pydicom.uid import (
    ComprehensiveSRStorage,
    CTImageStorage,
    EncapsulatedPDFStorage,
    ParametricMapStorage,
    RawDataStorage,
)

pytest.importorskip("pynetdicom")

ACCESSION, NAME = "ACC-2077", "Phantom^Synthetic"


def projections(folder: Path) -> Path:
    """A small helical scan, of two slices."""
    words = "--rows 4 --columns 64 --per-turn 64 --turns 1.1 --feed 2 --seed 3 --photons 1e3"
    assert run("synthesise-projections", "-o", folder, *words.split()).exit_code == 0
    for path in folder.iterdir():
        one = dcmread(path)
        one.AccessionNumber, one.StudyDescription = ACCESSION, "CT <chest>"
        one.save_as(path)
    return folder


def fetched(orthanc: Orthanc, study: str, folder: Path) -> dict[str, list[Path]]:
    """The files of the study as Orthanc gives them, by what they are."""
    done = run("dicom", "get", study, "--from", orthanc.node, "-o", folder)
    assert done.exit_code == 0, done.output
    files: dict[str, list[Path]] = {}
    for path in sorted(folder.rglob("*.dcm")):
        files.setdefault(dcmread(path, stop_before_pixels=True).SOPClassUID.name, []).append(path)
    return files


def working(node: Listening) -> list[Path]:
    """What the reconstruction has begun: its folder of output, which is there before any file."""
    return list((node.folder / "running").glob("*/output/*"))


@pytest.mark.long
def test_killed_in_the_middle_of_the_reconstruction_one_certified_series_arrives(
    orthanc: Orthanc, tmp_path: Path
) -> None:
    raw = projections(tmp_path / "raw")
    study = str(dcmread(next(raw.iterdir())).StudyInstanceUID)
    options = ("--quiet", 0, "--instances", len(list(raw.iterdir())))
    with Listening(tmp_path / "queue", orthanc.node, options, title="CTRECON") as node:
        sent = run("dicom", "send", raw, "--to", node.node)
        assert sent.exit_code == 0, sent.output
        wait_for(lambda: working(node), "for the reconstruction")
        node.kill()
        assert node.studies("running")
        assert not orthanc.instances()
        node.start()
        wait_for(lambda: node.studies("done"), "for the delivery")
        assert "NOT certified" not in node.log
        assert node.end() == 0
        # The projections are in the archive, too, in the same study.
        assert run("dicom", "send", raw, "--to", orthanc.node).exit_code == 0
        assert NAME not in node.log
        assert ACCESSION not in node.log
    files = fetched(orthanc, study, tmp_path / "back")
    assert {kind: len(found) for kind, found in files.items()} == {
        "CT Image Storage": 2 + 70, "Comprehensive SR Storage": 1, "Encapsulated PDF Storage": 1,
        "Parametric Map Storage": 1, "Raw Data Storage": 2 + 1,
    }  # fmt: skip
    for path in (path for found in files.values() for path in found):
        one = dcmread(path)
        assert (one.PatientName, one.AccessionNumber, one.StudyDescription) == (NAME, ACCESSION, "CT <chest>")
        assert one.SeriesDescription.startswith("RESEARCH")
    result = [path for path in files["CT Image Storage"] if "ContributingEquipmentSequence" in dcmread(path)]
    assert len(result) == 2
    verified = run("verify", tmp_path / "back")
    assert verified.exit_code == 0, verified.output
    assert "2 images, none missing, each decodes bit for bit" in verified.output
    assert "70 files of other series were not looked at" in verified.output
    # What came back and was changed is refused.
    image = dcmread(result[0])
    image.PixelData = bytes([image.PixelData[0] ^ 255]) + image.PixelData[1:]
    image.save_as(result[0])
    assert run("verify", tmp_path / "back").exit_code == 1


ALL_KINDS = (CTImageStorage, ComprehensiveSRStorage, EncapsulatedPDFStorage, ParametricMapStorage, RawDataStorage)
STATES = ("incoming", "ready", "running", "sending", "failed")


def tried_again(node: Listening) -> bool:
    """A study that was put aside, since three ends before the first slice are put down to it, is begun anew."""
    return not node.studies("failed") or run("dicom", "queue", node.folder, "--retry", "all").exit_code == 0


def delivered(node: Listening) -> list[str]:
    return node.studies("sending") + node.studies("done")


@pytest.mark.long
def test_killed_ten_times_at_random_one_result_arrives_as_if_nothing_had_been(tmp_path: Path) -> None:
    """While the study is received, and while it is reconstructed; UIDs are of the content, so a second result, or half
    of one, would show."""
    raw, rng = projections(tmp_path / "raw"), random.Random(13)
    how = ("reconstruct", "{input}", *"--all-slices --method fbp --delta 90% --size 32 -o".split(), "{output}/")
    words = [str(raw) if word == "{input}" else word.format(output=tmp_path / "right") for word in how]
    assert run(*words).exit_code == 0
    found = set[str]()
    right = {str(dcmread(path, stop_before_pixels=True).SOPInstanceUID) for path in (tmp_path / "right").glob("*.dcm")}
    assert len(right) == 2 + 3 + 2 + 1
    options = ("--command", f"{sys.executable} -m ctrecon.cli.main {' '.join(how)}", "--quiet", 0.2)
    with Sink(classes=ALL_KINDS, slow_s=0.05) as sink, Listening(tmp_path / "queue", sink.node, options) as node:
        with sending_until_all_are_there(raw, node.node) as sending:
            for kill in range(10):
                if kill > 3:
                    wait_for(lambda: tried_again(node) and (working(node) or delivered(node)))
                time.sleep(rng.uniform(0.05, 1.0 if kill < 4 else 6.0))
                node.kill()
                found |= {state for state in STATES if node.studies(state)}
                node.start()
            assert sending.wait(60) == 0
        wait_for(lambda: tried_again(node) and node.studies("done"))
        assert node.end() == 0
        assert not any(node.studies(state) for state in STATES)
        assert "running" in found
        (done,) = (node.folder / "done").iterdir()
        assert (done / "received.json").read_text().count(".dcm") == len(list(raw.iterdir()))
        assert not any(word in node.log for word in (*NAME.split("^"), ACCESSION, "2.25.", "Traceback"))
    assert set(sink.got) == right
