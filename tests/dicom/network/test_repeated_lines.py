"""A flood of one kind does not drive out of the log what matters."""

from __future__ import annotations

import socket
import struct
from pathlib import Path

import floods
from nodes_here import here
from pacs_nodes import Sink, wait_for

from ctrecon.dicom.network.repeated import Repeated


def test_the_first_lines_of_a_kind_are_written_and_the_rest_is_counted() -> None:
    lines: list[str] = []
    now = [0.0]
    log = Repeated(lines.append, most=3, within_s=10.0, clock=lambda: now[0])
    for k in range(8):
        log("refused an association of", f"S{k}")
    log("association of", "SCANNER")
    assert lines == [*(f"refused an association of S{k}" for k in range(3)), "association of SCANNER"]
    now[0] = 9.9
    log.look()
    assert len(lines) == 4
    now[0] = 10.0
    log("refused an association of", "S8")
    assert lines[4:] == [
        "5 more lines within 10 s began with: refused an association of", "refused an association of S8"
    ]  # fmt: skip
    for _ in range(5):
        log("refused an association of", "S9")
    log.look(last=True)
    assert lines[-1] == "3 more lines within 10 s began with: refused an association of"
    log.look(last=True)
    assert lines[-1] == lines[-1]
    assert len(lines) == 9


def test_a_storm_of_aborts_is_a_few_lines_whatever_names_it_goes_by(tmp_path: Path) -> None:
    with Sink() as sink, here(tmp_path / "queue", sink) as node:
        for k in range(120):
            with socket.create_connection(("127.0.0.1", node.port), 20) as one:
                one.sendall(floods.request(calling=f"STORM{k}"))
                assert floods.answer(one) == 2
                one.sendall(struct.pack(">BxLxxBB", 7, 4, 0, 0))  # A-ABORT
        wait_for(lambda: not node.listener.stop.is_set())
        assert 30 <= len([line for line in node.lines if "STORM" in line]) < 60
    assert any("more lines within 60 s began with: association of" in line for line in node.lines)
