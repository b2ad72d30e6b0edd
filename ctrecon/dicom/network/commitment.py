"""Storage commitment, push model (PS3.4, J): who holds an object says so, before the other side deletes it."""

from __future__ import annotations

import re
import uuid
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from ctrecon.dicom.network.associate import associate
from ctrecon.dicom.network.contexts import UNCOMPRESSED
from ctrecon.dicom.network.node import Connection, Node
from ctrecon.errors import InputError, NetworkError

PUSH_MODEL, PUSH_INSTANCE = "1.2.840.10008.1.20.1", "1.2.840.10008.1.20.1.1"
REQUEST, ALL_HELD, SOME_FAILED = 1, 1, 2  # action type; event types
NO_SUCH_OBJECT, CLASS_CONFLICT = 0x0112, 0x0119  # failure reasons (PS3.3, C.14)
_MOST_ITEMS = 15_000
# Also those with zeros in front, which some makers write; what is no UID cannot be told back.
_UID = re.compile(r"[0-9.]{1,64}")

Reference = tuple[str, str]
"""SOP class and SOP instance."""


@dataclass(frozen=True, kw_only=True)
class Commitment:
    """A request (``held`` are the objects asked about) or its result."""

    transaction: str
    held: tuple[Reference, ...] = ()
    failed: tuple[tuple[str, str, int], ...] = ()

    def data_set(self) -> Any:
        """As it is sent."""
        from pydicom.dataset import Dataset

        said = Dataset()
        said.TransactionUID = self.transaction
        if self.held:
            said.ReferencedSOPSequence = [_item(*reference) for reference in self.held]
        if self.failed:
            said.FailedSOPSequence = [_item(*reference) for reference in self.failed]
        return said


def new_transaction() -> str:
    """A UID for a request."""
    return f"2.25.{uuid.uuid4().int}"


def _item(sop_class: str, sop_instance: str, reason: int | None = None) -> Any:
    from pydicom.dataset import Dataset

    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class, sop_instance
    if reason is not None:
        item.FailureReason = reason
    return item


def read(data: bytes, syntax: str) -> Commitment:
    """Decode a data set that came in. Raises InputError."""
    from pydicom.filereader import read_dataset
    from pydicom.uid import UID

    if max(data.count(b"\xfe\xff\x00\xe0"), data.count(b"\xff\xfe\xe0\x00")) > _MOST_ITEMS:
        raise InputError(f"a storage commitment of more than {_MOST_ITEMS} objects; ask in parts")
    kind = UID(syntax)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = read_dataset(BytesIO(data), kind.is_implicit_VR, kind.is_little_endian)
            held, failed = (found.get(name, None) or () for name in ("ReferencedSOPSequence", "FailedSOPSequence"))
            result = Commitment(
                transaction=str(found.TransactionUID), held=tuple(map(_reference, held)),
                failed=tuple((*_reference(item), int(item.get("FailureReason", 0x0110))) for item in failed),
            )
    except Exception as why:  # pydicom raises what it meets
        raise InputError(f"no storage commitment that can be read: {type(why).__name__}") from None
    objects = [*result.held, *((one, instance) for one, instance, _ in result.failed)]
    named = [result.transaction, *(uid for reference in objects for uid in reference)]
    if not objects or not all(map(_UID.fullmatch, named)):
        raise InputError("a storage commitment without transaction, without objects, or with UIDs that are none")
    return result


def _reference(item: Any) -> Reference:
    return str(item.ReferencedSOPClassUID), str(item.ReferencedSOPInstanceUID)


def ask(node: Node, connection: Connection, transaction: str, held: Sequence[Reference]) -> None:
    """Request commitment (N-ACTION); the answer comes over an association of its own. Raises NetworkError."""
    with associate(node, connection, _CONTEXTS) as association:
        request = Commitment(transaction=transaction, held=tuple(held)).data_set()
        answer, _ = association.send_n_action(request, REQUEST, PUSH_MODEL, PUSH_INSTANCE)
        _check(answer, node, connection, "storage commitment")


def report(node: Node, connection: Connection, result: Commitment) -> None:
    """Say what is held (N-EVENT-REPORT). Raises NetworkError."""
    with associate(node, connection, _CONTEXTS, roles=[PUSH_MODEL]) as association:
        kind = SOME_FAILED if result.failed else ALL_HELD
        answer, _ = association.send_n_event_report(result.data_set(), kind, PUSH_MODEL, PUSH_INSTANCE)
        _check(answer, node, connection, "the report of a storage commitment")


_CONTEXTS = [(PUSH_MODEL, [str(syntax) for syntax in UNCOMPRESSED[:2]])]


def _check(answer: Any, node: Node, connection: Connection, what: str) -> None:
    if "Status" not in answer:
        raise NetworkError(f"{node} did not answer {what} within {connection.timeout_s:g} s")
    if answer.Status != 0:
        raise NetworkError(f"{node} refused {what} with status 0x{answer.Status:04X}")
