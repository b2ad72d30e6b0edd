"""What strangers do to an open port: each flood opens connections, leaves them as they are, and gives them back."""

from __future__ import annotations

import socket
import ssl
import struct
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress

Flood = Callable[[int, int], list[socket.socket]]


def connect(port: int, source: str = "127.0.0.1") -> socket.socket:
    one = socket.create_connection(("127.0.0.1", port), timeout=10, source_address=(source, 0))
    one.settimeout(10)
    return one


def speak(port: int, data: bytes, source: str = "127.0.0.1") -> socket.socket:
    """Connect and say something, whether it is still wanted or not."""
    one = connect(port, source)
    with suppress(OSError):
        one.sendall(data)
    return one


def item(kind: int, content: bytes) -> bytes:
    return struct.pack(">BBH", kind, 0, len(content)) + content


def pdu(kind: int, content: bytes, length: int | None = None) -> bytes:
    return struct.pack(">BBI", kind, 0, len(content) if length is None else length) + content


def context(number: int, abstract: str = "1.2.840.10008.1.1", syntaxes: int = 1) -> bytes:
    inner = item(0x30, abstract.encode()) + item(0x40, b"1.2.840.10008.1.2.1") * syntaxes
    return item(0x20, bytes([number, 0, 0, 0]) + inner)


def request(calling: str = "FLOOD", contexts: bytes = b"", user: bytes = b"") -> bytes:
    """An A-ASSOCIATE-RQ, of Verification unless ``contexts`` says otherwise."""
    body = b"\0\1\0\0" + b"NODE".ljust(16) + calling.encode().ljust(16) + bytes(32)
    body += item(0x10, b"1.2.840.10008.3.1.1.1") + (contexts or context(1))
    return pdu(1, body + item(0x50, item(0x51, struct.pack(">I", 16384)) + user))


def answer(one: socket.socket) -> int:
    """The type of the PDU that comes next; 0 where the connection is closed instead."""
    try:
        head = one.recv(6, socket.MSG_WAITALL)
        if len(head) == 6:
            one.recv(struct.unpack(">BBI", head)[2], socket.MSG_WAITALL)
            return head[0]
    except ConnectionError:
        pass
    return 0


def associated(port: int, calling: str = "FLOOD") -> socket.socket:
    one = speak(port, request(calling))
    answer(one)
    return one


def command(kind: int = 0x30, data_set: int = 0x101, extra: bytes = b"") -> bytes:
    body = b""
    for element, value in ((0x0002, b"1.2.840.10008.1.1\0"), (0x0100, struct.pack("<H", kind)),
                           (0x0110, b"\1\0"), (0x0800, struct.pack("<H", data_set))):
        body += struct.pack("<HHI", 0, element, len(value)) + value
    return body + extra


def value(control: int, content: bytes, number: int = 1) -> bytes:
    """A P-DATA-TF of one data value."""
    return pdu(4, struct.pack(">IBB", len(content) + 2, number, control) + content)


def silent(port: int, count: int) -> list[socket.socket]:
    return [connect(port) for _ in range(count)]


def open_and_close(port: int, count: int) -> list[socket.socket]:
    for _ in range(count):
        connect(port).close()
    return []


def garbage(port: int, count: int) -> list[socket.socket]:
    return [speak(port, bytes([k % 256]) * (k + 1)) for k in range(count)]


def four_gigabytes(port: int, count: int) -> list[socket.socket]:
    """Announced; some of it is sent."""
    return [speak(port, pdu(1, bytes(1 << 20), 0xFFFFFFFF)) for _ in range(count)]


def one_byte_of_a_request(port: int, count: int) -> list[socket.socket]:
    """Slow: a request that stops in its header, in its titles, before its last byte."""
    whole = request()
    return [speak(port, whole[: (1, 5, 40, len(whole) - 1)[k % 4]]) for k in range(count)]


def nearly_whole_requests(port: int, count: int) -> list[socket.socket]:
    """The largest that may be announced, but for the last byte: the most that a stranger can make us keep."""
    return [speak(port, pdu(1, bytes((256 << 10) - 1), 256 << 10)) for _ in range(count)]


def associations_of_one_peer(port: int, count: int) -> list[socket.socket]:
    return [speak(port, request("ONE PEER")) for _ in range(count)]


def associations_of_many_peers(port: int, count: int) -> list[socket.socket]:
    return [speak(port, request(f"PEER {k}")) for k in range(count)]


def endless_lists(port: int, count: int) -> list[socket.socket]:
    """Contexts, syntaxes and user items by the thousand."""
    many = [
        request(contexts=b"".join(context(2 * (k % 128) + 1) for k in range(3000))),
        request(contexts=context(1, syntaxes=2000)),
        request(contexts=context(1, "1." * 3000 + "1")),
        request(user=item(0x54, b"\0\0\0\0") * 8000),
        request(user=item(0x58, b"\2\1" + struct.pack(">H", 60000) + b"u" * 60000)),
        request(user=b"\x58\0\xff\xff"),
    ]
    return [speak(port, many[k % len(many)]) for k in range(count)]


def too_much_data(port: int, count: int) -> list[socket.socket]:
    """Associations that are accepted, and then announce or send what no memory holds."""
    many = [
        pdu(4, bytes(1 << 20), 0xFFFFFFFF),
        value(1, bytes(16000)) * 300,  # a command set without end
        value(3, command(data_set=0)) + value(0, bytes(16000)) * 600,  # an echo with a data set without end
        value(3, command()) * 5000,  # requests without waiting for answers
        value(3, command(0xFFF)) * 5000,  # cancellations of nothing
        value(3, command(extra=b"\0\0\1\1\xff\xff\xff\xff")),
        pdu(4, struct.pack(">IBB", 1 << 31, 1, 3) + b"x"),
        pdu(5, b"", 1 << 31),
    ]
    found = []
    for k in range(count):
        one = associated(port, f"DATA {k % 4}")
        one.settimeout(0.2)
        with suppress(OSError):
            one.sendall(many[k % len(many)])
        found.append(one)
    return found


def store_command() -> bytes:
    """A C-STORE-RQ, whose object never ends."""
    body = b""
    ct = b"1.2.840.10008.5.1.4.1.1.2\0"
    for element, content in ((0x0002, ct), (0x0100, b"\1\0"), (0x0110, b"\1\0"), (0x0700, b"\0\0"),
                             (0x0800, b"\0\0"), (0x1000, b"1.2.3.4\0")):
        body += struct.pack("<HHI", 0, element, len(content)) + content
    return body


def _at_work(port: int, count: int, source: Callable[[int], str]) -> list[socket.socket]:
    """Associations that are never idle: each sends a little more of an object, again and again."""
    ct = context(1, "1.2.840.10008.5.1.4.1.1.2")
    opened = [speak(port, request(f"WORK {k}", ct), source(k)) for k in range(count)]
    for one in opened:
        answer(one)
        with suppress(OSError):
            one.sendall(value(3, store_command()))

    def work() -> None:
        while any(one.fileno() >= 0 for one in opened):
            for one in opened:
                with suppress(OSError):
                    one.send(value(0, bytes(1100)), socket.MSG_DONTWAIT)
            time.sleep(0.1)

    threading.Thread(target=work, daemon=True).start()
    return opened


def at_work_with_many_titles(port: int, count: int) -> list[socket.socket]:
    return _at_work(port, count, lambda k: "127.0.0.1")


def at_work_from_many_addresses(port: int, count: int) -> list[socket.socket]:
    return _at_work(port, count, lambda k: f"127.0.{k // 200}.{2 + k % 200}")


def requests_from_many_addresses(port: int, count: int) -> list[socket.socket]:
    return [speak(port, request(f"ADDRESS {k}"), f"127.1.{k // 200}.{2 + k % 200}") for k in range(count)]


def answers_that_nobody_reads(port: int, count: int) -> list[socket.socket]:
    """C-ECHO after C-ECHO, until no answer fits any more."""
    many = value(3, command()) * 5000
    opened = [speak(port, request(f"DEAF {k}")) for k in range(count)]
    for one in opened:
        answer(one)
        one.setblocking(False)
        with suppress(OSError):
            while True:
                one.send(many)
    return opened


def long_requests(port: int, count: int) -> list[socket.socket]:
    """As many contexts and transfer syntaxes as there may be, in each."""
    syntaxes = b"".join(item(0x40, b"1.2.%d" % k) for k in range(128))
    inner = item(0x30, b"1.2.840.10008.5.1.4.1.1.2") + syntaxes
    contexts = b"".join(item(0x20, bytes([2 * k + 1, 0, 0, 0]) + inner) for k in range(128))
    return [speak(port, request(f"LONG {k}", contexts)) for k in range(count)]


def wide_requests(port: int, count: int) -> list[socket.socket]:
    """Many small contexts, commands without waiting for the answer, and next to no room to receive it."""
    contexts = b"".join(context(2 * k + 1) for k in range(128))
    opened = []
    for k in range(count):
        one = socket.socket()
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 256)
        one.settimeout(10)
        one.connect(("127.0.0.1", port))
        with suppress(OSError):
            one.sendall(request(f"WIDE {k}", contexts) + value(3, command()) * 300)
        opened.append(one)
    return opened


def hello() -> bytes:
    """The first thing that TLS says; what answers it is signed."""
    said = ssl.MemoryBIO()
    one = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), said, server_hostname="127.0.0.1")
    with suppress(ssl.SSLWantReadError):
        one.do_handshake()
    return said.read()


def hellos(port: int, count: int) -> list[socket.socket]:
    said = hello()
    return [speak(port, said) for _ in range(count)]


def storage_commitments(port: int, count: int) -> list[socket.socket]:
    """Requests by whom nobody knows, with data sets as long as they may be, and reports of nothing."""
    push = context(1, "1.2.840.10008.1.20.1")
    opened = []
    for k in range(count):
        opened.append(speak(port, request(f"COMMIT {k % 20}", push)))
        answer(opened[-1])
        opened[-1].settimeout(0.2)
        with suppress(OSError):
            opened[-1].sendall(value(3, command((0x130, 0x100)[k % 2], data_set=0)))
            for _ in range(130):
                opened[-1].sendall(value(0, bytes(16000)))
    return opened


def ends_of_speech(port: int, count: int) -> list[socket.socket]:
    """Closed for sending only: after nothing, a request, and half of one."""
    opened = [speak(port, (b"", request(f"END {k}"), request()[:50])[k % 3]) for k in range(count)]
    for one in opened:
        with suppress(OSError):
            one.shutdown(socket.SHUT_WR)
    return opened


def values_without_end(port: int, count: int) -> list[socket.socket]:
    """Thousands of data values in each P-DATA-TF, in as many as are taken."""
    ct = context(1, "1.2.840.10008.5.1.4.1.1.2")
    opened = []
    for k in range(count):
        size = (0, 1, 60)[k % 3]
        one = struct.pack(">IBB", size + 2, 1, 0) + bytes(size)
        opened.append(speak(port, request(f"VALUES {k}", ct)))
        answer(opened[-1])
        opened[-1].setblocking(False)
        with suppress(OSError):
            opened[-1].sendall(value(3, store_command()))
            opened[-1].sendall(pdu(4, one * (16382 // len(one))) * 100)
    return opened


FLOODS: tuple[tuple[Flood, int], ...] = (
    (silent, 60), (open_and_close, 60), (garbage, 200), (four_gigabytes, 8), (one_byte_of_a_request, 60),
    (nearly_whole_requests, 100), (associations_of_one_peer, 30), (associations_of_many_peers, 150),
    (endless_lists, 24), (too_much_data, 16), (at_work_with_many_titles, 110), (at_work_from_many_addresses, 110),
    (requests_from_many_addresses, 150), (answers_that_nobody_reads, 110),
    (long_requests, 100), (values_without_end, 16), (wide_requests, 110), (hellos, 150), (storage_commitments, 30),
    (ends_of_speech, 150),
)


def all_at_once(port: int, seconds: float) -> None:
    """Every flood in a thread of its own, again and again."""
    stop = threading.Event()

    def again(flood: Flood, count: int) -> None:
        while not stop.is_set():
            opened = []
            with suppress(OSError):
                opened = flood(port, count)
            stop.wait(1)
            for one in opened:
                one.close()

    for pair in FLOODS:
        threading.Thread(target=again, args=pair).start()
    time.sleep(seconds)
    stop.set()


if __name__ == "__main__":
    all_at_once(int(sys.argv[1]), float(sys.argv[2]))
