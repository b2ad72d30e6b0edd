"""C-STORE as a client (PS3.4, B): files are sent as they are, in the transfer syntax they have, or not at all."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ctrecon.dicom.network.associate import associate
from ctrecon.dicom.network.contexts import batches, name_of
from ctrecon.dicom.network.node import Connection, Node
from ctrecon.dicom.network.objects import DEFLATED, Header, data_offset
from ctrecon.errors import InputError, NetworkError

SUCCESS, OUT_OF_RESOURCES, NOT_ACCEPTED = 0x0000, 0xA700, 0x0122
_WARNINGS = (0x0001, 0xB000, 0xB006, 0xB007, 0x0107, 0x0116)


def stored(status: int) -> bool:
    """Whether the object was kept: success, or a warning that says how."""
    return status == SUCCESS or status in _WARNINGS


def explain(status: int) -> str:
    """A status in words (PS3.4, B.2.3; PS3.7, C)."""
    for low, high, words in (
        (0x0000, 0x0000, "stored"),
        (0xA700, 0xA7FF, "out of resources"),
        (0xA900, 0xA9FF, "data set does not match its SOP class"),
        (0xB000, 0xBFFF, "stored, with elements changed or dropped"),
        (0xC000, 0xCFFF, "not understood"),
        (0x0117, 0x0117, "invalid object instance"),
        (0x0122, 0x0122, "SOP class or transfer syntax not accepted"),
        (0x0124, 0x0124, "not authorised"),
    ):
        if low <= status <= high:
            return words
    return "failed"


@dataclass(frozen=True, kw_only=True)
class Sent:
    """What became of each object: ``statuses`` by the object's number in what was given."""

    headers: Sequence[Header]
    statuses: dict[int, int] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        return len(self.statuses) == len(self.headers) and all(map(stored, self.statuses.values()))

    def counts(self) -> Counter[int]:
        """How the sending ended.

        Returns:
            How many objects there are of each status.
        """
        return Counter(self.statuses.values())


def send(
    node: Node,
    connection: Connection,
    headers: Sequence[Header],
    *,
    done: Callable[[Header, int], None] = lambda header, status: None,
) -> Sent:
    """Store files on a node (C-STORE, PS3.4, annex B).

    One presentation context per SOP class and transfer syntax of the files, so nothing is ever transcoded on the way:
    what the node does not accept is counted as 0x0122 and not sent. An association that breaks is opened again, up to
    ``connection.retries`` times, for what has no status yet.

    Args:
        node: Whom to send to.
        connection: Our title, time limits, retries and certificates.
        headers: Of the files.
        done: Hears of each file's status as it is known.

    Returns:
        The status of each file.

    Raises:
        NetworkError: Where the node cannot be reached, or opening again does not help.
    """
    result = Sent(headers=headers)
    for group in batches((h.sop_class, h.transfer_syntax) for h in headers):
        pairs = set(group)
        numbers = [k for k, h in enumerate(headers) if (h.sop_class, h.transfer_syntax) in pairs]
        failures = 0
        while left := [k for k in numbers if k not in result.statuses]:
            before = len(result.statuses)
            try:
                _send_in_one(node, connection, group, left, result, done)
            except _BrokenOffError:
                # An object that breaks every association must not keep us here for ever.
                failures = 0 if len(result.statuses) > before else failures + 1
                if failures > connection.retries:
                    raise
    return result


class _BrokenOffError(NetworkError):
    """The association ended while objects were being sent."""


def _send_in_one(
    node: Node, connection: Connection, group: Sequence[tuple[str, str]], numbers: Sequence[int], result: Sent,
    done: Callable[[Header, int], None],
) -> None:
    with associate(node, connection, [(c, [s]) for c, s in group]) as association, _files_as_they_are():
        accepted = {(str(c.abstract_syntax), str(c.transfer_syntax[0])) for c in association.accepted_contexts}
        for number in numbers:
            header = result.headers[number]
            status = NOT_ACCEPTED
            if (header.sop_class, header.transfer_syntax) in accepted:
                try:
                    with _even(header) as path:
                        answer = association.send_c_store(path, msg_id=number % 65535 + 1)
                except (RuntimeError, ValueError, AttributeError, OSError) as why:
                    if association.is_established:
                        raise NetworkError(f"{header.path}: cannot be sent: {type(why).__name__}") from None
                    answer = None
                if answer is None or "Status" not in answer:
                    count = len(result.statuses)
                    raise _BrokenOffError(f"{node} broke off, or did not answer, after {count} objects; try again")
                status = int(answer.Status)
            result.statuses[number] = status
            done(header, status)


@contextmanager
def _even(header: Header) -> Iterator[Path]:
    """The file, or a copy of it with the null byte that makes a deflated data set even (PS3.5, A.5).

    Fragments have even lengths on the network; a node may wait for ever for the other half of an odd one.
    """
    offset, size = data_offset(header.path), header.path.stat().st_size
    if (size - offset) % 2 == 0:
        yield header.path
        return
    if header.transfer_syntax != DEFLATED:
        raise InputError(f"{header.path}: its data set has an odd number of bytes, so the file was cut; get it anew")
    with tempfile.NamedTemporaryFile(suffix=".dcm") as copy:
        copy.write(header.path.read_bytes() + b"\0")
        copy.flush()
        yield Path(copy.name)


@contextmanager
def _files_as_they_are() -> Iterator[None]:
    """Send the bytes of files, in pieces, without decoding them."""
    from pynetdicom import _config

    before = _config.STORE_SEND_CHUNKED_DATASET
    _config.STORE_SEND_CHUNKED_DATASET = True
    try:
        yield
    finally:
        _config.STORE_SEND_CHUNKED_DATASET = before


def summary(sent: Sent) -> str:
    """``27 stored (0x0000), 1 out of resources (0xA700)``, and what was not accepted by name."""
    parts = [f"{n} {explain(status)} (0x{status:04X})" for status, n in sorted(sent.counts().items())]
    refused = {
        f"{name_of(h.sop_class)} in {name_of(h.transfer_syntax)}"
        for k, h in enumerate(sent.headers)
        if sent.statuses.get(k) == NOT_ACCEPTED
    }
    return ", ".join(parts) + (f"; not accepted: {', '.join(sorted(refused))}" if refused else "")
