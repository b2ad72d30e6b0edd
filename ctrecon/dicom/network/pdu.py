"""Protocol data units of the upper layer (PS3.8, 9.3): read strictly, each bound checked before anything is kept."""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterator
from dataclasses import dataclass

ASSOCIATE_RQ, ASSOCIATE_AC, ASSOCIATE_RJ, DATA, RELEASE_RQ, RELEASE_RP, ABORT = range(1, 8)
HEADER_BYTES = 6
APPLICATION_CONTEXT = b"1.2.840.10008.3.1.1.1"

# What a request may announce. 128 contexts with all transfer syntaxes of the standard stay below.
MOST_REQUEST_BYTES = 256 << 10
MOST_CONTEXTS = 128
_MOST_SYNTAXES = 128
_MOST_USER_ITEMS = 512
# 64 characters, and one that pads.
_MOST_UID_BYTES, _LONG_UID = 65, "a UID of more than 64 characters"
# Of a P-DATA-TF: what we say in the A-ASSOCIATE-AC (PS3.8, D.1), without the header of six bytes.
MOST_DATA_BYTES = 16382

# Reasons of a rejection (PS3.8, 9.3.4): result, source, reason.
CALLED_UNKNOWN, CALLING_UNKNOWN = (1, 1, 7), (1, 1, 3)
WRONG_USER, NO_ROOM = (2, 2, 1), (2, 3, 2)
# Results of a presentation context (PS3.8, 9.3.3.2).
TAKEN, CLASS_UNKNOWN, SYNTAX_UNKNOWN = 0, 3, 4
# Reasons of an abort by the provider (PS3.8, 9.3.8).
UNRECOGNISED, UNEXPECTED, BAD_PARAMETER = 1, 2, 6


class PduError(Exception):
    """The bytes are no PDU that may come here; ``reason`` is that of the A-ABORT which answers it."""

    def __init__(self, what: str, reason: int = BAD_PARAMETER) -> None:
        super().__init__(what)
        self.reason = reason


@dataclass(frozen=True, kw_only=True)
class Offer:
    """A presentation context that is proposed; ``syntaxes`` are the bytes that came."""

    number: int
    abstract: str
    syntaxes: tuple[bytes, ...]

    def first_of(self, known: Collection[str]) -> str:
        """The first transfer syntax that is ``known``, or none: those that are not asked for are not decoded."""
        wanted = {syntax.encode(): syntax for syntax in known}
        return next((wanted[raw] for raw in map(_unpadded, self.syntaxes) if raw in wanted), "") if wanted else ""


@dataclass(frozen=True, kw_only=True)
class User:
    """User identity (PS3.7, D.3.3.7)."""

    kind: int
    wants_answer: bool
    primary: bytes
    secondary: bytes


@dataclass(frozen=True, kw_only=True)
class Request:
    """An A-ASSOCIATE-RQ: titles, presentation contexts, and the user information that is used here."""

    called: str
    calling: str
    offers: tuple[Offer, ...]
    most_bytes: int
    roles: dict[str, tuple[int, int]]
    user: User | None


def header(data: bytes, limits: dict[int, int]) -> tuple[int, int]:
    """Type and length of what follows; ``limits``: the most bytes of each type that may come now. Raises PduError."""
    kind, _, length = struct.unpack(">BBI", data)
    if kind not in limits:
        known = ASSOCIATE_RQ <= kind <= ABORT
        raise PduError(f"type 0x{kind:02X}", UNEXPECTED if known else UNRECOGNISED)
    if length > limits[kind]:
        raise PduError(f"{length} bytes announced, of at most {limits[kind]}")
    return kind, length


def titles(body: bytes) -> tuple[str, str]:
    """Called and calling title of a request, without padding. Raises PduError."""
    if len(body) < 68:
        raise PduError("a request of fewer than 74 bytes")
    called, calling = (body[k : k + 16].decode("ascii", "replace").strip(" \0") for k in (4, 20))
    return called, calling


def request(body: bytes) -> Request:
    """Decode an A-ASSOCIATE-RQ, without its header. Raises PduError."""
    called, calling = titles(body)
    if not int.from_bytes(body[:2], "big") & 1:
        raise PduError("another protocol version than 1")
    offers: list[Offer] = []
    user = b""
    for kind, item in _items(body, 68, MOST_CONTEXTS + 8):
        if kind == 0x20:
            offers.append(_offer(item))
        elif kind == 0x50:
            user = item
        elif kind == 0x10 and _unpadded(item) != APPLICATION_CONTEXT:
            raise PduError("another application context than DICOM's")
    if not 1 <= len(offers) <= MOST_CONTEXTS or len({offer.number for offer in offers}) < len(offers):
        raise PduError("no, too many, or equally numbered presentation contexts")
    most, roles, who = 0, {}, None
    for kind, item in _items(user, 0, _MOST_USER_ITEMS):
        if kind == 0x51:
            most = int.from_bytes(item[:4], "big")
        elif kind == 0x54:
            size = int.from_bytes(item[:2], "big")
            if len(item) != size + 4:
                raise PduError("a role selection of a wrong length")
            roles[_uid(item[2 : 2 + size])] = (item[-2], item[-1])
        elif kind == 0x58:
            who = _user(item)
    return Request(called=called, calling=calling, offers=tuple(offers), most_bytes=most, roles=roles, user=who)


def _items(data: bytes, at: int, most: int) -> Iterator[tuple[int, bytes]]:
    """Kind and content of each item from ``at`` on; a request may have sixteen thousand, so each is cheap."""
    end, count = len(data), 0
    while at < end:
        begin = at + 4
        after = begin + (data[at + 2] << 8 | data[at + 3]) if begin <= end else end + 1
        count += 1
        if after > end or count > most:
            raise PduError("an item longer than what holds it, or too many items")
        yield data[at], data[begin:after]
        at = after


def _offer(item: bytes) -> Offer:
    if len(item) < 4 or not item[0] & 1:
        raise PduError("a presentation context without an odd number")
    inner = list(_items(item, 4, _MOST_SYNTAXES + 1))
    abstract = _uid(next((content for kind, content in inner if kind == 0x30), b""))
    syntaxes = tuple(content for kind, content in inner if kind == 0x40)
    if max(map(len, syntaxes), default=0) > _MOST_UID_BYTES:
        raise PduError(_LONG_UID)
    return Offer(number=item[0], abstract=abstract, syntaxes=syntaxes)


def _uid(item: bytes) -> str:
    if len(item) > _MOST_UID_BYTES:
        raise PduError(_LONG_UID)
    return _unpadded(item).decode("ascii", "replace")


def _unpadded(uid: bytes) -> bytes:
    return uid.rstrip(b" \0")


def _user(item: bytes) -> User:
    first = int.from_bytes(item[2:4], "big")
    second = int.from_bytes(item[4 + first : 6 + first], "big")
    if len(item) != 6 + first + second:
        raise PduError("a user identity of a wrong length")
    return User(
        kind=item[0], wants_answer=item[1] == 1, primary=item[4 : 4 + first], secondary=item[6 + first :],
    )


def fragments(body: memoryview) -> Iterator[tuple[int, int, memoryview]]:
    """Context, message control header and content of each presentation data value (PS3.8, 9.3.5). Raises PduError."""
    while body:
        size = int.from_bytes(body[:4], "big")
        if size < 2 or len(body) < 4 + size:
            raise PduError("a data value longer than what holds it")
        yield body[4], body[5], body[6 : 4 + size]
        body = body[4 + size :]


# --- written


def accept(body: bytes, contexts: dict[int, tuple[int, str]], answers: bytes) -> bytes:
    """An A-ASSOCIATE-AC to the request ``body``: result and chosen syntax of each context, and the items of user
    information that answer.
    """
    items = _item(0x10, APPLICATION_CONTEXT)
    for number, (result, syntax) in contexts.items():
        # A refused context names a syntax all the same, which says nothing (PS3.8, 9.3.3.2).
        chosen = _item(0x40, (syntax or "1.2.840.10008.1.2").encode())
        items += _item(0x21, bytes([number, 0, result, 0]) + chosen)
    items += _item(0x50, answers)
    return _pdu(ASSOCIATE_AC, b"\0\1\0\0" + body[4:36] + bytes(32) + items)


def user_information(
    implementation: str, version: str, roles: dict[str, tuple[int, int]], user_answer: bool
) -> bytes:
    """The items that an acceptance says of its side (PS3.7, D.3.3)."""
    said = _item(0x51, MOST_DATA_BYTES.to_bytes(4, "big")) + _item(0x52, implementation.encode())
    for uid, (as_user, as_provider) in roles.items():
        said += _item(0x54, len(uid).to_bytes(2, "big") + uid.encode() + bytes([as_user, as_provider]))
    said += _item(0x55, version.encode())
    return said + (_item(0x59, b"\0\0") if user_answer else b"")


def reject(why: tuple[int, int, int]) -> bytes:
    """An A-ASSOCIATE-RJ."""
    return _pdu(ASSOCIATE_RJ, bytes([0, *why]))


def abort(reason: int) -> bytes:
    """An A-ABORT of the service provider."""
    return _pdu(ABORT, bytes([0, 0, 2, reason]))


def released() -> bytes:
    """An A-RELEASE-RP."""
    return _pdu(RELEASE_RP, bytes(4))


def data(context: int, command: bytes, most_bytes: int) -> bytes:
    """P-DATA-TF PDUs with a whole command set, in pieces where the other side takes only ``most_bytes`` (0: any)."""
    piece = max(1, most_bytes - 6) if most_bytes else len(command)
    pieces = [command[k : k + piece] for k in range(0, len(command), piece)]
    return b"".join(
        _pdu(DATA, (len(part) + 2).to_bytes(4, "big") + bytes([context, 3 if k == len(pieces) - 1 else 1]) + part)
        for k, part in enumerate(pieces)
    )


def _item(kind: int, content: bytes) -> bytes:
    return struct.pack(">BBH", kind, 0, len(content)) + content


def _pdu(kind: int, content: bytes) -> bytes:
    return struct.pack(">BBI", kind, 0, len(content)) + content
