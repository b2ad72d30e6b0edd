"""Command sets of DIMSE messages (PS3.7, 6.3 and E): group 0000 in Implicit VR Little Endian, nothing else."""

from __future__ import annotations

import struct
from dataclasses import dataclass

MOST_BYTES = 16 << 10
STORE_RQ, ECHO_RQ, CANCEL_RQ, ACTION_RQ, EVENT_RQ = 0x0001, 0x0030, 0x0FFF, 0x0130, 0x0100
_RESPONSE = 0x8000
_NO_DATA_SET = 0x0101
_CLASS, _REQUESTED_CLASS, _FIELD, _MESSAGE, _ANSWERED = 0x0002, 0x0003, 0x0100, 0x0110, 0x0120
_DATA_SET, _STATUS, _INSTANCE, _REQUESTED_INSTANCE, _EVENT, _ACTION = 0x0800, 0x0900, 0x1000, 0x1001, 0x1002, 0x1008


class CommandError(Exception):
    """These bytes are no command set."""


@dataclass(frozen=True, kw_only=True)
class Command:
    """A request: its kind, its number, the class and instance that it speaks of, whether a data set follows."""

    kind: int
    number: int
    sop_class: str
    sop_instance: str
    has_data: bool
    type_id: int = 0

    @property
    def is_request(self) -> bool:
        return not self.kind & _RESPONSE and self.kind != CANCEL_RQ


def decode(content: bytes) -> Command:
    """Raises CommandError."""
    found: dict[int, bytes] = {}
    at = 0
    while at < len(content):
        if len(content) < at + 8:
            raise CommandError("it ends inside an element")
        group, element, size = struct.unpack_from("<HHI", content, at)
        if group != 0 or size > len(content) - at - 8:
            raise CommandError("an element of another group, or longer than the set")
        found[element] = content[at + 8 : at + 8 + size]
        at += 8 + size

    def number(element: int, default: int | None = None) -> int:
        value = found.get(element)
        if value is None and default is not None:
            return default
        if value is None or len(value) != 2:
            raise CommandError(f"no number at (0000,{element:04X})")
        return int.from_bytes(value, "little")

    def uid(*elements: int) -> str:
        value = next((found[e] for e in elements if e in found), b"")
        if len(value) > 64:
            raise CommandError("a UID of more than 64 characters")
        return value.decode("ascii", "replace").rstrip(" \0")

    kind = number(_FIELD)
    cancel = kind == CANCEL_RQ or kind & _RESPONSE
    return Command(
        kind=kind, number=number(_ANSWERED if cancel else _MESSAGE), sop_class=uid(_CLASS, _REQUESTED_CLASS),
        sop_instance=uid(_INSTANCE, _REQUESTED_INSTANCE), has_data=number(_DATA_SET) != _NO_DATA_SET,
        type_id=number(_ACTION, number(_EVENT, 0)),
    )


def answer(to: Command, status: int) -> bytes:
    """The command set of the response to a request, without data set."""
    elements = {_FIELD: to.kind | _RESPONSE, _ANSWERED: to.number, _DATA_SET: _NO_DATA_SET, _STATUS: status}
    values: dict[int, bytes] = {element: value.to_bytes(2, "little") for element, value in elements.items()}
    values[_CLASS], values[_INSTANCE] = (_even(uid) for uid in (to.sop_class, to.sop_instance))
    if to.kind == ACTION_RQ:
        values[_ACTION] = to.type_id.to_bytes(2, "little")
    if to.kind == EVENT_RQ:
        values[_EVENT] = to.type_id.to_bytes(2, "little")
    body = b"".join(
        struct.pack("<HHI", 0, element, len(value)) + value for element, value in sorted(values.items()) if value
    )
    return struct.pack("<HHII", 0, 0, 4, len(body)) + body


def _even(uid: str) -> bytes:
    value = uid.encode("ascii", "replace")
    return value + b"\0" * (len(value) % 2)
