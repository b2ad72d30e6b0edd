"""What else a scanner sends beside projections: refused as the standard says and named in the log, or passed over."""

from __future__ import annotations

from pathlib import Path

import pytest
from nodes_here import here
from pacs_nodes import Sink, wait_for
from pacs_objects import ct, uid
from pydicom import dcmread
from pydicom import uid as uids
from pynetdicom import AE, build_context

from ctrecon.dicom.network.contexts import RECEIVED_CLASSES, standard_name
from ctrecon.dicom.network.node import Connection
from ctrecon.dicom.network.objects import MismatchError, headers_of, read_header
from ctrecon.dicom.network.store import send
from ctrecon.dicom.raw.raw_folder import may_hold_projections
from ctrecon.dicom.raw.synthesise import Protocol, synthesise, water_phantom
from ctrecon.errors import InputError

OTHERS = (
    uids.KeyObjectSelectionDocumentStorage, uids.GrayscaleSoftcopyPresentationStateStorage, uids.RTPlanStorage,
    uids.XRayRadiationDoseSRStorage, uids.SecondaryCaptureImageStorage, uids.EncapsulatedPDFStorage,
    uids.DigitalXRayImageStorageForPresentation, uids.MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
    uids.SegmentationStorage, uids.RawDataStorage, uids.UID("1.2.826.0.1.4711"),
)  # fmt: skip


def test_contexts_are_refused_with_the_standards_reason_and_the_log_names_the_classes(tmp_path: Path) -> None:
    with Sink() as sink, here(tmp_path / "queue", sink) as node:
        for other in OTHERS:
            ae = AE(ae_title="SCANNER")
            wanted = [build_context(other), build_context(uids.CTImageStorage, uids.JPEGBaseline8Bit)]
            one = ae.associate("127.0.0.1", node.port, [*wanted, build_context(uids.CTImageStorage)], ae_title="NODE")
            assert one.is_established
            assert sorted(c.result for c in one.rejected_contexts) == [3, 4]
            assert len(one.accepted_contexts) == 1
            one.release()
            name = standard_name(other)
            wait_for(lambda name=name: any(line.endswith(f"association of SCANNER, not accepted: {name}")
                                           for line in node.lines), name)  # fmt: skip
        only = [build_context(uids.CTImageStorage, uids.JPEGBaseline8Bit)]
        ae.associate("127.0.0.1", node.port, only, ae_title="NODE").release()
        wait_for(lambda: node.lines[-1].endswith("CT Image Storage in these transfer syntaxes"))
        many = [build_context(other) for other in OTHERS]
        ae.associate("127.0.0.1", node.port, many, ae_title="NODE").release()
        wait_for(lambda: node.lines[-1].endswith(f"and {len(OTHERS) - 3} more"))
        assert "4711" not in "".join(node.lines)


@pytest.mark.parametrize("kind", RECEIVED_CLASSES)
def test_an_object_of_another_class_than_was_announced_does_not_match(kind: str, tmp_path: Path) -> None:
    path = ct(tmp_path / "a.dcm", sop_class=uids.RTPlanStorage)
    one = dcmread(path)
    one.file_meta.MediaStorageSOPClassUID = kind
    one.save_as(path)
    with pytest.raises(MismatchError, match="name different objects"):
        read_header(path)
    del one.SOPClassUID
    one.save_as(path)
    with pytest.raises(InputError, match="lacks SOP class") as why:
        read_header(path)
    assert not isinstance(why.value, MismatchError)


def test_images_beside_projections_are_passed_over_and_alone_they_fail(tmp_path: Path) -> None:
    few = Protocol(rows=2, columns=16, column_pitch_mm=59.0, per_turn=4, turns=1.0, feed_mm=1.0)
    synthesise(tmp_path / "raw", water_phantom(), few)
    for path in (tmp_path / "raw").iterdir():
        one = dcmread(path)
        one.StudyInstanceUID, one.SeriesInstanceUID = uid("study", 1), uid("series", 1, "raw")
        one.save_as(path)
    images = [ct(tmp_path / f"{k}.dcm", 1, "images", k) for k in range(1, 4)]
    alone = [ct(tmp_path / "alone" / f"{k}.dcm", 2, "images", k) for k in range(1, 3)]
    seen: list[int] = []

    def process(folder_in: Path, folder_out: Path, tell: object) -> bool:
        files = sorted(folder_in.iterdir())
        seen.append(len(files))
        ct(folder_out / "result.dcm", "result", len(seen))
        return True

    with Sink() as sink, here(tmp_path / "queue", sink, takes=may_hold_projections, process=process) as node:
        connection = Connection(title="SCANNER", timeout_s=10, retries=0)
        sent = send(node.node, connection, headers_of([tmp_path / "raw", *images]))
        assert sent.complete, sent
        wait_for(lambda: node.queue.studies("done"))
        assert seen == [4], node.lines
        assert any("1 of 2 series hold nothing to reconstruct, passed over" in line for line in node.lines)
        send(node.node, connection, headers_of(alone))
        wait_for(lambda: len(seen) == 2)
        assert seen == [4, 2], "they are given to the processing, which says why it fails"
