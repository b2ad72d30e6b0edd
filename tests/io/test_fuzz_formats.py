"""A few mutated files of every scanner's format."""

from __future__ import annotations

from fuzz_formats import run


def test_every_mutated_scan_is_read_or_refused_in_one_line(tmp_path):
    found = run(tmp_path, 6, 1)
    assert len(found) == 11
    assert all(counts["read"] >= 1 for counts in found.values()), found  # the sound ones, at least
    assert sum(counts["refused"] for counts in found.values()) > 20
