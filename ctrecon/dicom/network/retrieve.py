"""C-GET and C-MOVE as a client (PS3.4, C.4): a study or series of a node comes here."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ctrecon.dicom.network import command_set
from ctrecon.dicom.network.associate import associate, need_pynetdicom, silence
from ctrecon.dicom.network.contexts import UNCOMPRESSED, retrieved_pairs
from ctrecon.dicom.network.conversation import Services
from ctrecon.dicom.network.door import Door
from ctrecon.dicom.network.incoming import incoming, no_room
from ctrecon.dicom.network.node import Connection, Node
from ctrecon.dicom.network.query import PENDING
from ctrecon.dicom.network.receive import Kept, handlers, straight_to_disk
from ctrecon.dicom.network.repeated import Repeated
from ctrecon.errors import NetworkError

STUDY_ROOT_MOVE, STUDY_ROOT_GET = "1.2.840.10008.5.1.4.1.2.2.2", "1.2.840.10008.5.1.4.1.2.2.3"


@dataclass(frozen=True, kw_only=True)
class Retrieved:
    """Files that arrived, and sub-operations by how they ended, as the other node counts them."""

    files: tuple[Path, ...]
    completed: int
    failed: int
    warned: int
    status: int
    refused: dict[int, int]

    @property
    def complete(self) -> bool:
        return self.status == 0 and not self.failed and not self.refused


def get(
    node: Node, connection: Connection, folder: Path, study: str, series: str | None = None,
    *, most_bytes: int = 1 << 36,
) -> Retrieved:
    """Retrieve a study over the same association (C-GET, PS3.4, C.4.3).

    Each storage context offers a single transfer syntax, so objects come as they are stored.

    Args:
        node: Who has it.
        connection: Our title, time limits and certificates.
        folder: Where the files go.
        study: UID of the study.
        series: UID of one of its series; None for all.
        most_bytes: No more is taken.

    Returns:
        The files, and how the node counts what it sent.

    Raises:
        NetworkError: Where the node cannot be reached, offers no C-GET, or breaks off.
        OutputError: Where the folder cannot be written.
    """
    need_pynetdicom()
    pairs = retrieved_pairs()
    contexts = [(STUDY_ROOT_GET, [str(s) for s in UNCOMPRESSED]), *((c, [s]) for c, s in pairs)]
    with incoming(folder) as temporary, straight_to_disk(temporary) as disk:
        kept = Kept(folder=folder, expect_study=study, most_bytes=most_bytes)
        roles = [c for c, _ in pairs]
        try:
            with associate(node, connection, contexts, roles=roles, handlers=handlers(kept)) as association:
                if not any(c.abstract_syntax == STUDY_ROOT_GET for c in association.accepted_contexts):
                    raise NetworkError(f"{node} does not offer C-GET; use --move")
                disk.wake = partial(association.dimse.msg_queue.put, (None, None))
                answers = association.send_c_get(_identifier(study, series), STUDY_ROOT_GET)
                return _follow(answers, kept, node, connection)
        except NetworkError:
            if disk.error is None:
                raise
            raise no_room(folder, disk.error, len(kept.files)) from None


def move(
    node: Node, connection: Connection, folder: Path, study: str, series: str | None = None,
    *, address: str = "127.0.0.1", port: int, most_bytes: int = 1 << 36,
) -> Retrieved:
    """Have a node send a study to us (C-MOVE, PS3.4, C.4.2): we listen only for it and only meanwhile.

    Args:
        node: Who has it; it must know our AE title at ``address`` and ``port``.
        connection: Our title, time limits and certificates.
        folder: Where the files go.
        study: UID of the study.
        series: UID of one of its series; None for all.
        address: On which we listen.
        port: On which we listen.
        most_bytes: No more is taken.

    Returns:
        The files, and how the node counts what it sent.

    Raises:
        NetworkError: Where the node cannot be reached, offers no C-MOVE, or breaks off.
        OutputError: Where the folder cannot be written.
    """
    need_pynetdicom()
    silence()
    accepted: dict[str, tuple[str, ...]] = {}
    for sop_class, syntax in retrieved_pairs():
        accepted[sop_class] = (*accepted.get(sop_class, ()), syntax)
    said: list[str] = []
    with incoming(folder) as temporary:
        kept = Kept(folder=folder, expect_study=study, most_bytes=most_bytes)
        services = Services(
            title=connection.title, syntaxes=accepted, handlers={command_set.STORE_RQ: kept.on_message},
            arriving=temporary, timeout_s=connection.timeout_s, log=Repeated(said.append),
        )
        tls = connection.tls
        door = Door(services, address, port, None if tls is None else tls.server())
        try:
            syntaxes = [str(s) for s in UNCOMPRESSED]
            with associate(node, connection, [(STUDY_ROOT_MOVE, syntaxes)]) as association:
                answers = association.send_c_move(_identifier(study, series), connection.title, STUDY_ROOT_MOVE)
                return _follow(answers, kept, node, connection)
        except NetworkError as why:
            heard = [line for line in said if line.startswith("refused")]
            raise NetworkError(f"{why}; meanwhile here: {heard[-1]}" if heard else str(why)) from None
        finally:
            door.close()


def _identifier(study: str, series: str | None) -> Any:
    from pydicom.dataset import Dataset

    wanted = Dataset()
    wanted.QueryRetrieveLevel = "STUDY" if series is None else "SERIES"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of identifiers that archives do hold, such as 1.02
        wanted.StudyInstanceUID = study
        if series is not None:
            wanted.SeriesInstanceUID = series
    return wanted


def _follow(answers: Iterator[Any], kept: Kept, node: Node, connection: Connection) -> Retrieved:
    counts = {"Completed": 0, "Failed": 0, "Warning": 0}
    final = None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for status, _ in answers:
            if "Status" not in status:
                raise NetworkError(
                    f"{node} broke off, or did not answer within {connection.timeout_s:g} s, after {len(kept.files)} "
                    f"objects; run it again"
                )
            for name in counts:
                counts[name] = int(status.get(f"NumberOf{name}Suboperations", None) or counts[name])
            if status.Status not in PENDING:
                final = int(status.Status)
    if final is None:
        raise NetworkError(f"{node} ended the retrieval without a result")
    if final in (0xA801, 0xA702, 0xA701, 0xA900) or (final and not kept.files and not counts["Failed"]):
        raise NetworkError(f"{node} refused the retrieval with status 0x{final:04X}: {_why(final)}")
    return Retrieved(
        files=tuple(dict.fromkeys(kept.files)), completed=counts["Completed"], failed=counts["Failed"],
        warned=counts["Warning"], status=final, refused=dict(kept.refused),
    )


def _why(status: int) -> str:
    return {
        0xA801: "it does not know our AE title as a destination; have it registered there",
        0xA701: "it cannot say how many objects there are",
        0xA702: "it could not send any of them; check that our AE title, address and port are registered there",
        0xA900: "it does not understand what was asked for",
    }.get(status, "it cannot process it; check the UIDs")
