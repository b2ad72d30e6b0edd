"""The tables of the conformance statement are what the programs offer, accept and answer."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from orthanc_server import free_port
from pacs_nodes import ROOT, Listening, run
from pacs_objects import ct
from pydicom import Dataset, dcmread
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian
from pynetdicom import AE, build_context, evt

import ctrecon.dicom
from ctrecon.dicom.common.uids import identify
from ctrecon.dicom.deidentify.files import deidentified_bytes
from ctrecon.dicom.deidentify.identity import Identity
from ctrecon.dicom.network import associate, contexts, query, retrieve
from ctrecon.dicom.network.arriving_file import file_header

TEXT = (ROOT / "docs" / "conformance.md").read_text(encoding="utf-8")


def table(number: str) -> list[tuple[str, str]]:
    """Name and UID (or status) of each row of a table."""
    part = TEXT.partition(f"Table {number}:")[2].partition("\n\n")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in part.splitlines()[3:]]
    assert rows, number
    return [(row[0], row[1].strip("`")) for row in rows]


@pytest.mark.parametrize(
    ("number", "values"),
    [
        ("3.2-1", contexts.UNCOMPRESSED), ("3.2-3", contexts.RETRIEVED_IMAGES), ("3.2-4", contexts.IMAGE_SYNTAXES),
        ("3.2-5", contexts.RETRIEVED_DOCUMENTS), ("3.2-6", contexts.DOCUMENT_SYNTAXES),
        ("3.3-1", contexts.RECEIVED_CLASSES), ("3.3-2", contexts.RECEIVED_SYNTAXES),
        ("3.2-2", ("1.2.840.10008.1.1", query.STUDY_ROOT_FIND, retrieve.STUDY_ROOT_MOVE, retrieve.STUDY_ROOT_GET)),
    ],
)
def test_a_table_is_the_codes(number: str, values: tuple[str, ...]) -> None:
    rows = table(number)
    assert [value for _, value in rows] == [str(value) for value in values]
    for name, value in rows:
        assert UID(value).name.startswith(name), value


def test_the_cover_names_what_is_sent(tmp_path: Path) -> None:
    """On the network, and in the header of every kind of file that is written."""
    assert associate.IMPLEMENTATION_CLASS in TEXT
    assert associate.IMPLEMENTATION_VERSION in TEXT
    received = tmp_path / "received.dcm"
    received.write_bytes(file_header(CTImageStorage, "1.2", ExplicitVRLittleEndian))
    image = ct(tmp_path / "1.dcm")
    clean = tmp_path / "clean.dcm"
    clean.write_bytes(deidentified_bytes("1.dcm", image.read_bytes(), Identity(secret=b"k" * 32))[0])
    ours = Dataset()
    ours.SOPClassUID = CTImageStorage
    identify(ours, UID("1.2"), UID("1.3"))
    for meta in (dcmread(received, force=True).file_meta, dcmread(clean).file_meta, ours.file_meta):
        name = str(meta.ImplementationVersionName).partition(" ")[0]
        assert re.search(rf"`{meta.ImplementationClassUID}`, `{name}`", TEXT), name
    assert len(associate.IMPLEMENTATION_CLASS) <= 64
    assert len(associate.IMPLEMENTATION_VERSION) <= 16
    assert f"{len(contexts.retrieved_pairs())} contexts" in TEXT
    assert len(contexts.retrieved_pairs()) < contexts.MOST_CONTEXTS


def test_every_status_that_is_answered_is_listed() -> None:
    from ctrecon.dicom.network import arrivals

    answered = {
        arrivals.SUCCESS, arrivals.OUT_OF_RESOURCES, arrivals.MISMATCH, arrivals.NOT_UNDERSTOOD, arrivals.CONFLICT,
        arrivals.NOT_AUTHORISED,
    }
    assert {int(status.strip("`"), 16) for status, _ in table("3.3-3")} == answered


def test_the_node_accepts_on_the_network_what_the_tables_say(tmp_path: Path) -> None:
    everything = [value for _, value in (*table("3.2-4"), *table("3.3-2"))]
    classes = [value for _, value in (*table("3.2-3"), *table("3.2-5"))]
    with Listening(tmp_path / "queue", "X@127.0.0.1:1", ("--quiet", 600)) as node:
        accepted = set()
        for sop_class in classes:
            ae = AE(ae_title="TEST")
            wanted = [build_context(sop_class, [syntax]) for syntax in dict.fromkeys(everything)]
            association = ae.associate("127.0.0.1", node.port, contexts=wanted, ae_title="NODE")
            accepted |= {(str(c.abstract_syntax), str(c.transfer_syntax[0])) for c in association.accepted_contexts}
            if association.is_established:
                assert association.acceptor.implementation_class_uid == associate.IMPLEMENTATION_CLASS
                association.release()
    assert accepted == {(c, s) for _, c in table("3.3-1") for _, s in table("3.3-2")}


def test_the_client_offers_on_the_network_what_the_tables_say(tmp_path: Path) -> None:
    offered: list[tuple[str, tuple[str, ...]]] = []

    def listen(event: Any) -> None:
        wanted = event.assoc.requestor.requested_contexts
        offered.extend((str(context.abstract_syntax), tuple(context.transfer_syntax)) for context in wanted)

    ae = AE(ae_title="TEST")
    ae.add_supported_context("1.2.840.10008.1.1")
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_REQUESTED, listen)])
    assert server is not None
    node = f"TEST@127.0.0.1:{server.server_address[1]}"
    plain = tuple(value for _, value in table("3.2-1"))
    try:
        for arguments, sop_class in (
            (("echo", "--to", node), "1.2.840.10008.1.1"),
            (("find", "--from", node), query.STUDY_ROOT_FIND),
            (("get", "1.2", "--from", node, "-o", tmp_path, "--move", "--port", free_port()), retrieve.STUDY_ROOT_MOVE),
        ):
            offered.clear()
            run("dicom", *arguments)
            assert offered == [(sop_class, plain)]
        offered.clear()
        run("dicom", "get", "1.2", "--from", node, "-o", tmp_path / "a")
        images = [(c, (s,)) for _, c in table("3.2-3") for _, s in table("3.2-4")]
        documents = [(c, (s,)) for _, c in table("3.2-5") for _, s in table("3.2-6")]
        assert offered == [(retrieve.STUDY_ROOT_GET, plain), *images, *documents]
        offered.clear()
        run("dicom", "send", ct(tmp_path / "1.dcm"), "--to", node)
        assert offered == [("1.2.840.10008.5.1.4.1.1.2", ("1.2.840.10008.1.2.1",))]
    finally:
        server.shutdown()


def test_a_wrong_table_would_be_noticed() -> None:
    assert table("3.3-1") != table("3.2-3")
    with pytest.raises(AssertionError):
        table("9.9-9")
    assert not re.search(r"Table \d\.\d-\d:.*\n\n", TEXT)  # each is followed by its rows


def test_private_codes_and_attributes_are_those_that_are_written(tmp_path: Path) -> None:
    from ctrecon.dicom.common import private
    from ctrecon.dicom.series import parametric_map, raw_certificate, sr

    codes = {one.value: one.meaning for one in vars(sr).values() if getattr(one, "scheme_designator", "") == sr.SCHEME}
    quantity = parametric_map.QUANTITY
    codes |= {quantity.value: quantity.meaning}
    for source in Path(ctrecon.dicom.__file__).parent.rglob("*.py"):
        codes |= dict(re.findall(rf'code\("([^"]+)", "{sr.SCHEME}", "([^"]+)"\)', source.read_text(encoding="utf-8")))
    assert {"certified-image", "listed-image"} <= codes.keys()
    section = TEXT.split("Table 7.3-1")[1].split("###")[0]
    listed = dict(re.findall(r"^\| `([^`]+)` \| ([^|]+) \|", section, flags=re.MULTILINE))
    assert listed == codes
    section = TEXT.split("Table 7.2-1")[1].split("###")[0]
    elements = {int(found, 16) for found in re.findall(rf"\({private.GROUP:04x},xx(..)\)", section)}
    assert elements == {
        private.WATER, private.PIXEL, private.HASH, *raw_certificate.ELEMENTS.values(), raw_certificate.LENGTHS,
        private.MANIFEST, private.SIGNATURE, private.KEY,
    }
