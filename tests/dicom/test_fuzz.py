"""Three hundred mutated files; ``python -m tests.fuzz_dicom --cases 20000`` is the long run."""

from __future__ import annotations

import pytest
from fuzz_dicom import case, examine, mutate, run, seeds


@pytest.mark.parametrize("cases", [100, pytest.param(1000, marks=pytest.mark.long)])
def test_mutated_files_are_read_or_refused(data_dir, cases):
    found = run(cases, seed=1000)
    for kind in ("BUG", "hung", "died", "grew"):
        assert not found[kind], (kind, found[kind])
    # Neither all broken beyond recognition nor all as good as before.
    assert len(found["read"]) > 0.1 * cases
    assert len(found["refused"]) > 0.4 * cases
    assert len(found["read"]) + len(found["refused"]) == cases


def test_a_case_is_its_seed_and_number(data_dir):
    files = seeds(data_dir)
    assert len(files) > 20
    assert case(7, 1, files) == case(7, 1, files)
    assert case(7, 1, files) != case(8, 1, files)


def test_a_bug_would_be_seen(monkeypatch):
    import random

    import ctrecon.dicom.common.files

    monkeypatch.setattr(ctrecon.dicom.common.files, "check_structure", None)
    with pytest.raises(TypeError):
        examine("a.dcm", bytes(128) + b"DICM" + b"\x02\x00\x10\x00UI\x12\x001.2.840.10008.1.2\0")
    assert mutate(random.Random(1), b"abc" * 100, [b"x" * 100]) != b"abc" * 100
