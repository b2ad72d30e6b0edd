"""A few mutated files of every reader; ``python -m tests.io.fuzz_readers --cases 2000`` is the long run."""

from __future__ import annotations

import json

import h5py
import numpy as np
import pytest
import SimpleITK
from fuzz_readers import GEOMETRY, outcome, run

from ctrecon.errors import InputError
from ctrecon.io.arrays import read_scan
from ctrecon.io.nifti import read_stored_volume
from ctrecon.io.pictures import read_picture
from ctrecon.support.json_text import MAX_DEPTH, TOO_DEEP, parse_json


def test_every_mutated_file_is_read_or_refused_in_one_line():
    found = run(12, 1)
    assert len(found) == 15
    assert {name: counts["BUG"] for name, counts in found.items() if counts["BUG"]} == {}
    assert sum(counts["read"] for counts in found.values()) > 20
    assert sum(counts["refused"] for counts in found.values()) > 50


def test_a_bug_would_be_seen():
    with pytest.raises(ZeroDivisionError):
        outcome(lambda: 1 / 0)

    class LongError(InputError):
        def __str__(self):
            return "x" * 1001

    def talk():
        raise LongError("x")

    with pytest.raises(RuntimeError, match="not one short line"):
        outcome(talk)


def test_a_refusal_that_quotes_much_is_cut_in_its_middle():
    line = str(InputError(f"scan.npz: the entry is {'x' * 90_000}; write it again"))
    assert len(line) < 1000
    assert line.startswith("scan.npz: the entry is xxx")
    assert line.endswith("xxx; write it again")


def nested(depth: int) -> str:
    return "[" * depth + "]" * depth


def test_nothing_is_deeper_than_any_file_may_be(tmp_path):
    assert parse_json(nested(MAX_DEPTH))
    for depth in (MAX_DEPTH + 1, 5000, 200_000):
        with pytest.raises(ValueError, match=TOO_DEEP):
            parse_json(nested(depth))
    np.save(tmp_path / "a.npy", np.ones((12, 16), np.float32))
    for depth in (65, 5000):
        (tmp_path / "a.json").write_text(json.dumps(GEOMETRY)[:-1] + f', "scan": {nested(depth)}}}')
        with pytest.raises(InputError, match="nested more than 64 deep"):
            read_scan(tmp_path / "a.npy")
        np.savez(tmp_path / "b.npz", sinogram=np.ones((12, 16)), geometry=nested(depth))
        with pytest.raises(InputError, match="nested more than 64 deep"):
            read_scan(tmp_path / "b.npz")


@pytest.mark.parametrize("linked", [False, True])
def test_no_array_of_hdf5_lies_deeper(tmp_path, linked):
    for depth in (MAX_DEPTH, MAX_DEPTH + 1, 500):
        path = tmp_path / f"a{depth}.h5"
        place = "/".join(["g"] * (depth - 1) + ["rows"])
        with h5py.File(path, "w") as file:
            file[place] = np.ones((12, 16))
            if linked:
                file["rows"] = h5py.SoftLink("/" + place)
        said = {**GEOMETRY, "arrays": {"sinogram": "rows" if linked else place}}
        path.with_suffix(".json").write_text(json.dumps(said))
        if depth == MAX_DEPTH:
            assert read_scan(path).sinogram.shape == (12, 16)
        else:
            with pytest.raises(InputError, match="nested more than 64 deep"):
                read_scan(path)


@pytest.mark.parametrize("key", ["detector_spacing_mm", "source_to_axis_mm", "detector_offset_mm"])
def test_lengths_that_no_scanner_has(tmp_path, key):
    np.save(tmp_path / "a.npy", np.ones((12, 16), np.float32))
    (tmp_path / "a.json").write_text(json.dumps({**GEOMETRY, key: 9e18}))
    with pytest.raises(InputError, match=f"{key} must be at most 1e\\+09, got 9e\\+18"):
        read_scan(tmp_path / "a.npy")
    (tmp_path / "a.json").write_text(json.dumps({**GEOMETRY, key: 1e-300}))
    if "offset" not in key:
        with pytest.raises(InputError, match=f"{key} must be at least 1e-09, got 1e-300"):
            read_scan(tmp_path / "a.npy")


def test_a_tiff_without_dimensions(tmp_path):
    entries = [(259, 3, 1, 1), (262, 3, 1, 1)]  # compression and photometric only
    raw = b"II*\0" + (8).to_bytes(4, "little") + len(entries).to_bytes(2, "little")
    for tag, kind, count, value in entries:
        raw += b"".join((tag.to_bytes(2, "little"), kind.to_bytes(2, "little"), count.to_bytes(4, "little"),
                         value.to_bytes(4, "little")))  # fmt: skip
    (tmp_path / "a.tif").write_bytes(raw + bytes(4))
    with pytest.raises(InputError, match="cannot be read as a picture"):
        read_picture(tmp_path / "a.tif")


@pytest.mark.parametrize("field", ["dimension", "sizes", "encoding", "endian", "whatever"])
def test_a_header_that_would_end_the_process_is_not_handed_on(field, tmp_path):
    """ITK's reader of NRRD quotes a line in a message that has less room than the line."""
    path = tmp_path / "a.nrrd"
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(np.ones((1, 12, 16), np.float32)), str(path))
    whole = path.read_bytes()
    noted = whole.replace(b"\n\n", b"\n# " + b"c" * 5000 + b"\nkey:=" + b"v" * 5000 + b"\n\n", 1)
    path.write_bytes(noted)
    assert read_stored_volume(path).values.shape == (1, 12, 16)
    path.write_bytes(whole.replace(b"\n\n", f"\n{field}: {'1' * 5000}\n\n".encode(), 1))
    with pytest.raises(InputError, match=r"a line of its header has 50\d\d bytes"):
        read_stored_volume(path)
    path.write_bytes(whole.replace(b"\n\n", b"\n# " + b"c" * 70_000 + b"\ndata file: /etc/passwd\n\n", 1))
    with pytest.raises(InputError, match="does not end within"):
        read_stored_volume(path)
