"""Bad files: one line that names the file, the value and the remedy, at once and without filling the memory."""

from __future__ import annotations

import json
import math
import pickle
import struct
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io
import scipy.sparse
from bad_files import DETECTORS, SIDECAR, VIEWS, npy_header, read_scan, refuse, sinogram

from ctrecon.errors import CtreconError, InputError
from ctrecon.support import limits

# Files that are something else


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".mat", ".h5", ".hdf5"])
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"just some text\n" * 100, "text|MATLAB file"),
        (b"\x00" * 4000, "begins with|MATLAB file"),
        (b"\x80\x04\x95" + pickle.dumps({"a": 1})[3:], "pickle, which is never loaded|MATLAB file"),
    ],
)
def test_other_files(tmp_path, suffix, content, words):
    path = tmp_path / f"bad{suffix}"
    path.write_bytes(content)
    refuse(path, words)


@pytest.mark.parametrize("suffix", [".npy", ".mat", ".h5"])
def test_a_zip_file_with_another_name(tmp_path, suffix):
    path = tmp_path / f"bad{suffix}"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.txt", "text")
    refuse(path, "is a zip file")


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".h5", ".mat"])
@pytest.mark.parametrize("part", [0.02, 0.3, 0.7, 0.999])
def test_files_cut_off(tmp_path, suffix, part):
    path = tmp_path / f"cut{suffix}"
    if suffix == ".npy":
        np.save(path, sinogram())
    elif suffix == ".npz":
        np.savez_compressed(path, sinogram=sinogram())
    elif suffix == ".mat":
        scipy.io.savemat(path, {"sinogram": sinogram()}, do_compression=True)
    else:
        with h5py.File(path, "w") as file:
            file["sinogram"] = sinogram()
    whole = path.read_bytes()
    read_scan(path)
    path.write_bytes(whole[: int(len(whole) * part)])
    refuse(path, "cut|whole|damaged|npy header|unpacked|header")


@pytest.mark.parametrize("suffix", [".npz", ".mat", ".h5"])
def test_damaged_bytes_are_refused_or_read_but_never_crash(tmp_path, suffix):
    """150 random damages each; only errors of ours may come out."""
    path = tmp_path / f"d{suffix}"
    if suffix == ".npz":
        np.savez_compressed(path, sinogram=sinogram())
    elif suffix == ".mat":
        scipy.io.savemat(path, {"sinogram": sinogram(), "CtDataFull": {"parameters": {"angles": 1.0}}})
    else:
        with h5py.File(path, "w") as file:
            file.create_dataset("sinogram", data=sinogram(), compression="gzip")
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(150):
        broken = bytearray(whole)
        for at in rng.integers(0, len(whole), 3):
            broken[at] = rng.integers(0, 256)
        path.write_bytes(broken)
        try:
            read_scan(path)
        except CtreconError:
            refused += 1
    assert refused > 10


def test_names_that_lead_nowhere(tmp_path):
    refuse(tmp_path / "missing.npy", "there is no such file")
    refuse(tmp_path, "holds no files", geometry=None)
    (tmp_path / "a.tga").write_bytes(b"II*\x00")
    refuse(tmp_path / "a.tga", r"ending in \.tga are not known; known are \.npy, \.npz, \.mat, \.h5")


# Types and shapes


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.array([[1, "a"]], dtype=object), "pickled Python objects, which are never loaded"),
        (np.array([["a", "b"]]), "holds text"),
        (np.array([[b"a", b"b"]]), "holds text"),
        (sinogram().astype(complex), "is complex; store its real part or its modulus"),
        (np.zeros((3, 4), dtype=[("x", "f8"), ("y", "i4")]), "structured array with fields x, y"),
        (np.array(3.0), "a single number; two dimensions are needed"),
        (np.zeros(7), r"shape \(7,\); two dimensions"),
        (np.zeros((2, 3, 4)), "choose one of its 3 detector rows with --row"),
        (np.zeros((2, 3, 4, 5)), "two dimensions"),
        (np.zeros((0, 5)), "at least one view"),
        (np.zeros((5, 0)), "at least one view"),
        (np.zeros((3, 4), dtype=bool), "truth values"),
        (np.zeros((3, 4), dtype="datetime64[s]"), "has type datetime64"),
    ],
)
@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_arrays_that_are_no_sinogram(tmp_path, array, words, suffix):
    path = tmp_path / f"bad{suffix}"
    if suffix == ".npy":
        np.save(path, array, allow_pickle=True)
    else:
        np.savez(path, sinogram=array)
    refuse(path, words)


def test_a_pickle_is_not_run(tmp_path):
    """The file would create another one if it were loaded."""
    target = tmp_path / "owned"

    class Bomb:
        def __reduce__(self):
            return Path.touch, (target,)

    np.save(tmp_path / "bad.npy", np.array([[Bomb()]], dtype=object), allow_pickle=True)
    np.savez(tmp_path / "bad.npz", sinogram=np.array([[Bomb()]], dtype=object))
    refuse(tmp_path / "bad.npy", "never loaded")
    refuse(tmp_path / "bad.npz", "never loaded")
    assert not target.exists()
    np.load(tmp_path / "bad.npy", allow_pickle=True)
    assert target.exists(), "the bomb is a real one"


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ("(-1, 5)", r"impossible shape \(-1, 5\)"),
        ("(-2, -3)", r"impossible shape \(-2, -3\)"),
        ("(1000000, 1000000)", "more than the limit"),
        ("(10000, 10000)", r"claims shape \(10000, 10000\) \(800000000 bytes\) but 48 bytes follow.*cut off"),
        ("(2, 2)", "more than one array or is damaged"),
        ("(99999999999999999999, 99999999999999999999)", "more than the limit"),
        ("('a', 5)", "npy header"),
        ("2", "npy header"),
    ],
)
def test_npy_headers_are_held_against_the_file(tmp_path, shape, words):
    path = tmp_path / "bad.npy"
    path.write_bytes(npy_header(shape, extra=bytes(48)))
    refuse(path, words)
    path.write_bytes(npy_header("(2, 3)", extra=bytes(48)))
    assert read_scan(path).sinogram.shape == (2, 3)


@pytest.mark.parametrize(
    "content",
    [
        b"\x93NUMPY",
        b"\x93NUMPY\x01\x00\xff\xff{",
        npy_header("(2, 3)", descr="'nonsense'", extra=bytes(48)),
        npy_header("(2, 3)", descr="'|O'", extra=bytes(48)),
        npy_header("(2, 3)", extra=bytes(48), version=9),
        b"\x93NUMPY\x02\x00" + struct.pack("<I", 2**31) + b"{}",
        b"\x93NUMPY\x01\x00" + struct.pack("<H", 9000) + b"(" * 9000,
        b"\x93NUMPY\x01\x00" + struct.pack("<H", 40) + b"__import__('os').system('true')".ljust(39) + b"\n",
    ],
)
def test_npy_headers_that_are_none(tmp_path, content):
    path = tmp_path / "bad.npy"
    path.write_bytes(content)
    refuse(path, "npy|never loaded")


def written(path, f):
    """The same array in the container that the suffix says."""
    if path.suffix == ".npy":
        np.save(path, f)
    elif path.suffix == ".npz":
        np.savez(path, sinogram=f)
    elif path.suffix == ".mat":
        scipy.io.savemat(path, {"sinogram": f})
    else:
        with h5py.File(path, "w") as file:
            file["sinogram"] = f
    return path


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("suffix", [".npy", ".npz", ".mat", ".h5"])
def test_values_that_are_not_finite(tmp_path, bad, suffix):
    f = sinogram()
    f[3, 4] = f[7, 0] = f[7, 1] = bad
    path = written(tmp_path / f"bad{suffix}", f)
    found = read_scan(path)
    assert np.argwhere(~found.mask).tolist() == [[3, 4], [7, 0], [7, 1]]
    assert any("values that are NaN, infinite or masked: 3 of" in note for note in found.notes)


@pytest.mark.parametrize("huge", [1e60, 1e155, -1e300, 1.7e308])
@pytest.mark.parametrize("suffix", [".npy", ".npz", ".mat", ".h5"])
def test_values_that_nothing_measures(tmp_path, huge, suffix):
    """Damage makes them; they are refused before anything squares them."""
    f = sinogram()
    f[3, 4] = f[7, 0] = huge
    path = written(tmp_path / f"bad{suffix}", f)
    refuse(path, "which nothing measures")


# Sidecars


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "not JSON"),
        ("{", "not JSON"),
        ("[1, 2]", "must hold a JSON object"),
        ("[" * 100_000, "not JSON"),
        (b"\xff\xfe\x00", "not JSON"),
        (json.dumps({**SIDECAR, "angles_deg": [0, 1]}), "angles that do not match"),
        (json.dumps({**SIDECAR, "angles_deg": "all"}), "angles"),
        (json.dumps({**SIDECAR, "angles_deg": [math.nan] * VIEWS}), "12 values that are not finite"),
        (json.dumps({**SIDECAR, "detector_spacing_mm": -0.2}), r"detector_spacing_mm must be a finite number > 0"),
        (json.dumps({**SIDECAR, "detector_spacing_mm": "wide"}), "must be a number"),
        (json.dumps({**SIDECAR, "geometry": "spiral"}), 'must be "arc-cone"'),
        (json.dumps({**SIDECAR, "geometry": "cone"}), '"detector_rows" is missing in a cone geometry'),
        (json.dumps({**SIDECAR, "image": {"size": 4, "pixel_mm": [1, 2, 3]}}), r"one number, or \(dy, dx\)"),
        (json.dumps({**SIDECAR, "image": {"size": 4, "pixel_mm": 1, "centre_mm": 3}}), r"centre_mm must be \(x, y\)"),
        (
            json.dumps({**SIDECAR, "image": {"size": 4, "pixel_mm": 1, "slices": 3, "slice_mm": 1}}),
            "was measured in one plane, and its grid has 3 slices",
        ),
        (json.dumps({**SIDECAR, "colour": 1}), "unknown entry 'colour'"),
        (json.dumps({**SIDECAR, "detector_count": 5}), "12 angles and 5 detectors"),
        (json.dumps({**SIDECAR, "arrays": 3}), '"arrays" must be an object'),
        (json.dumps({**SIDECAR, "arrays": {"sinogram": 3}}), '"sinogram" in "arrays" must be the name'),
        (json.dumps({**SIDECAR, "arrays": {"counts": "a"}}), 'need a "white"'),
        (json.dumps({**SIDECAR, "arrays": {"sinogram": "nothing"}}), "no variable 'nothing'"),
        (json.dumps({**SIDECAR, "arrays": {}}), 'either a "sinogram" or "counts"'),
        (json.dumps({**SIDECAR, "arrays": {"sinogram": "a", "x": 1}}), "unknown entry 'x'"),
    ],
)
def test_bad_sidecars(tmp_path, text, words):
    np.save(tmp_path / "s.npy", sinogram())
    (tmp_path / "s.json").write_bytes(text if isinstance(text, bytes) else text.encode())
    refuse(tmp_path / "s.npy", words)


def test_a_geometry_file_that_is_not_there(tmp_path):
    np.save(tmp_path / "s.npy", sinogram())
    with pytest.raises(InputError, match=r"g\.json: there is no such file"):
        read_scan(tmp_path / "s.npy", geometry=tmp_path / "g.json")


WRONG = [{"every": 0}, {"every": 13}, {"size": 0}, {"size": 10**6}, {"pixel_mm": -1.0}, {"center": 99}, {"row": 5}]


@pytest.mark.parametrize("options", WRONG)
def test_wrong_sizes(tmp_path, options):
    np.save(tmp_path / "s.npy", sinogram().reshape(VIEWS, 1, DETECTORS) if "row" in options else sinogram())
    with pytest.raises(CtreconError) as caught:
        read_scan(tmp_path / "s.npy", **options)
    assert str(*options.values()) in str(caught.value)


def test_counts_above_the_white_field(tmp_path):
    np.savez(tmp_path / "c.npz", counts=np.full((VIEWS, DETECTORS), 900.0), white=np.full(DETECTORS, 400.0))
    refuse(tmp_path / "c.npz", "counts above the white field on 204 of 204 rays.*up to 2.25 times: check")


def test_the_limits_are_what_refuses(monkeypatch, tmp_path):
    """With no limit the same bomb is read: the tests above do test the limit."""
    path = tmp_path / "bomb.npz"
    np.savez_compressed(path, sinogram=np.zeros((3000, 3000)))
    monkeypatch.setattr(limits, "BOMB_BYTES", 10**6)
    refuse(path, "decompression bomb")
    monkeypatch.setattr(limits, "BOMB_RATIO", 10**9)
    assert read_scan(path).sinogram.shape == (3000, 3000)
