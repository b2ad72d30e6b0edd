"""Bad files: one line that names the file, the value and the remedy, at once and without filling the memory."""

from __future__ import annotations

import json
import math
import pickle
import resource
import struct
import subprocess
import sys
import time
import tracemalloc
import zipfile
import zlib
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io
import scipy.sparse

from ctrecon.errors import CtreconError, InputError
from ctrecon.io import limits
from ctrecon.io.arrays import read_scan

VIEWS, DETECTORS = 12, 17
SIDECAR = {"geometry": "parallel", "angles_deg": list(range(VIEWS)), "detector_spacing_mm": 1.0}


def sinogram(dtype=float):
    return (np.random.default_rng(0).random((VIEWS, DETECTORS)) * 100).astype(dtype)


def npy_header(shape, descr="'<f8'", extra=b"", version=1):
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    text = text.ljust(117) + b"\n"
    return b"\x93NUMPY" + bytes([version, 0]) + struct.pack("<H", len(text)) + text + extra


def refuse(path, words, **options):
    """The file is refused within a second and 64 MB with one line of the words; gives the message."""
    tracemalloc.start()
    begin = time.process_time()
    try:
        with pytest.raises(CtreconError, match=words) as caught:
            read_scan(path, **options)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    message = str(caught.value)
    assert "\n" not in message
    assert Path(path).name in message or Path(path).stem in message
    assert len(message) < 600
    assert time.process_time() - begin < 2
    assert peak < 64e6
    return message


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
    refuse(tmp_path, "holds no files")
    (tmp_path / "a.tif").write_bytes(b"II*\x00")
    refuse(tmp_path / "a.tif", r"ending in \.tif are not known; known are \.npy, \.npz, \.mat, \.h5")


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


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("suffix", [".npy", ".npz", ".mat", ".h5"])
def test_values_that_are_not_finite(tmp_path, bad, suffix):
    f = sinogram()
    f[3, 4] = f[7, 0] = f[7, 1] = bad
    path = tmp_path / f"bad{suffix}"
    if suffix == ".npy":
        np.save(path, f)
    elif suffix == ".npz":
        np.savez(path, sinogram=f)
    elif suffix == ".mat":
        scipy.io.savemat(path, {"sinogram": f})
    else:
        with h5py.File(path, "w") as file:
            file["sinogram"] = f
    refuse(path, r"holds 3 values that are not finite \(NaN or Inf\), the first at view 3, detector 4; replace")


# Bombs


def test_npz_bombs(tmp_path):
    """300 MB of zeros in 300 kB; and a small member beside it does not make it better."""
    path = tmp_path / "bomb.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("sinogram.npy", "w") as stream:
        stream.write(npy_header("(6000, 6250)"))
        for _ in range(300):
            stream.write(bytes(1_000_000))
    assert path.stat().st_size < 1e6
    refuse(path, "grow from .* bytes, which looks like a decompression bomb")


def test_npz_that_claims_less_than_it_holds(tmp_path):
    """The size in the directory is the one that counts: it is checked, and zipfile stops there."""
    path = tmp_path / "liar.npz"
    np.savez_compressed(path, sinogram=np.zeros((2000, 2000)))
    raw = path.read_bytes()
    true = struct.pack("<I", 2000 * 2000 * 8 + 128)
    assert raw.count(true) >= 1
    path.write_bytes(raw.replace(true, struct.pack("<I", 500)))
    refuse(path, "liar")


def test_what_a_library_quotes_of_a_damaged_file_stays_short(tmp_path):
    path = tmp_path / "long.npz"
    np.savez_compressed(path, sinogram=sinogram())
    raw = bytearray(path.read_bytes())
    raw[26:28] = struct.pack("<H", 900)  # the member's name now swallows its data
    path.write_bytes(raw)
    refuse(path, "cannot be unpacked")


def test_npz_with_too_many_members(tmp_path):
    path = tmp_path / "many.npz"
    np.savez(path, **{f"a{k}": np.zeros(1) for k in range(300)})
    refuse(path, "300 members")


def test_npz_names_are_no_paths(tmp_path):
    path = tmp_path / "slip.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("../../evil.npy", npy_header("(2, 3)", extra=bytes(48)))
    read_scan(path)
    assert not (tmp_path.parents[1] / "evil.npy").exists()


def test_hdf5_bombs(tmp_path):
    path = tmp_path / "bomb.h5"
    with h5py.File(path, "w") as file:
        data = file.create_dataset("sinogram", (40_000, 1000), "f8", chunks=(4000, 1000), compression="gzip")
        data[:4000] = 0.0
        for k in range(4000, 40_000, 4000):
            data[k : k + 4000] = 0.0
    assert path.stat().st_size < 1e6
    refuse(path, "decompression bomb")


@pytest.mark.parametrize("shape", [(10**6, 10**6), (40_000, 40_000), (10**9, 10**9)])
def test_hdf5_that_claims_much_and_stores_nothing(tmp_path, shape):
    path = tmp_path / "void.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("sinogram", shape, "f8", chunks=(100, 100))
    refuse(path, "stores no values")


def test_hdf5_with_a_monstrous_chunk(tmp_path):
    path = tmp_path / "chunk.h5"
    with h5py.File(path, "w") as file:
        data = file.create_dataset(
            "sinogram", (10, 10), "f8", chunks=(12_000, 12_000), maxshape=(None, None), compression="gzip"
        )
        data.id.write_direct_chunk((0, 0), zlib.compress(bytes(1000)))
    refuse(path, "one chunk of sinogram would grow")


def test_matlab_bombs(tmp_path):
    """A compressed variable that claims or unpacks too much, by its own header."""
    path = tmp_path / "bomb.mat"
    scipy.io.savemat(path, {"sinogram": np.zeros((20_000, 2000))}, do_compression=True)
    assert path.stat().st_size < 1e6
    refuse(path, "decompression bomb")
    head = (tmp_path / "bomb.mat").read_bytes()[:128]
    packed = zlib.compress(struct.pack("<II", 14, 0xFFFFFFF0) + bytes(100))
    path.write_bytes(head + struct.pack("<II", 15, len(packed)) + packed)
    refuse(path, "more than the limit")
    path.write_bytes(head + struct.pack("<II", 14, 0xFFFFFFF0) + bytes(100))
    refuse(path, "claims 4294967280 bytes, 100 are there")


def test_matlab_matrices_whose_shape_does_not_fit_their_bytes(tmp_path):
    path = tmp_path / "shape.mat"
    scipy.io.savemat(path, {"sinogram": sinogram()})
    raw = path.read_bytes()
    assert raw.count(struct.pack("<ii", VIEWS, DETECTORS)) == 1
    for shape in ((60_000, 60_000), (-1, 5), (VIEWS, DETECTORS + 1)):
        path.write_bytes(raw.replace(struct.pack("<ii", VIEWS, DETECTORS), struct.pack("<ii", *shape)))
        refuse(path, "claims the shape")


@pytest.mark.parametrize("at", ["ir", "jc"])
@pytest.mark.parametrize("value", [-1, 9, 2**30])
def test_sparse_indices_outside_the_matrix(tmp_path, at, value):
    """Compiled sparse code does not look: such a matrix would read or write beyond its memory."""
    path = tmp_path / "s.mat"
    A = scipy.sparse.csc_matrix(np.array([[0.0, 7, 0, 0], [0, 0, 0, 0], [9, 0, 0, 0], [0, 8, 0, 0]]))
    scipy.io.savemat(path, {"A": A, "m": np.zeros((2, 2))})
    raw = path.read_bytes()
    old = A.indices if at == "ir" else A.indptr
    new = old.copy()
    new[1] = value
    assert raw.count(old.astype("<i4").tobytes()) == 1
    path.write_bytes(raw.replace(old.astype("<i4").tobytes(), new.astype("<i4").tobytes()))
    refuse(path, "indices outside its shape")
    path.write_bytes(raw)
    read_scan(path)


def test_matlab_values_that_are_not_read(tmp_path):
    """Cells, text and structs beside a sinogram do no harm; alone they are no sinogram."""
    path = tmp_path / "c.mat"
    others = {"c": np.full((2, 3), 1.5, dtype=object), "t": "text", "s": {"a": 1.0}, "n": np.array([{}, {}])}
    scipy.io.savemat(path, others)
    refuse(path, "none of numbers")
    scipy.io.savemat(path, others | {"f": sinogram()})
    np.testing.assert_array_equal(read_scan(path).sinogram, sinogram())
    scipy.io.savemat(path, {"sinogram": sinogram().astype(complex)})
    refuse(path, "complex")
    scipy.io.savemat(path, {"sinogram": sinogram() > 0})
    refuse(path, "truth values")


@pytest.mark.parametrize("dtype", ["f8", "f4", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8"])
@pytest.mark.parametrize("packed", [True, False])
def test_matlab_numbers_are_those_scipy_reads(tmp_path, dtype, packed):
    f = sinogram(dtype)
    scipy.io.savemat(tmp_path / "n.mat", {"sinogram": f}, do_compression=packed)
    reference = scipy.io.loadmat(tmp_path / "n.mat")["sinogram"]
    np.testing.assert_array_equal(read_scan(tmp_path / "n.mat").sinogram, reference)


def test_structs_nested_too_deep(tmp_path):
    deep = {"sinogram": 1.0}
    for _ in range(40):
        deep = {"a": deep}
    scipy.io.savemat(tmp_path / "deep.mat", {"d": deep}, long_field_names=True)
    refuse(tmp_path / "deep.mat", "nested")


def test_a_refusal_holds_in_little_memory(tmp_path):
    """In a process that may only have 1 GB beyond what its libraries take: a claim of 64 GB is refused, not tried."""
    path = tmp_path / "big.npy"
    path.write_bytes(npy_header("(90000, 90000)", extra=bytes(64)))
    code = (
        "import resource, sys; from ctrecon.io.arrays import read_scan; from ctrecon.errors import InputError\n"
        "used = int(open('/proc/self/statm').read().split()[0]) * 4096\n"
        "resource.setrlimit(resource.RLIMIT_AS, (used + 10**9,) * 2)\n"
        "try:\n    read_scan(sys.argv[1])\nexcept InputError as error:\n    print(error)\n"
    )
    if not Path("/proc/self/statm").exists():
        pytest.skip("the memory in use is not told here")
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert "more than the limit" in done.stdout
    assert resource.getrlimit(resource.RLIMIT_AS)[0] != 10**9


# HDF5 that leads out of the file


def secret(tmp_path):
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["sinogram"] = sinogram()
    return tmp_path / "secret.h5"


def test_external_links_are_not_followed(tmp_path):
    other = secret(tmp_path)
    with h5py.File(tmp_path / "bad.h5", "w") as file:
        file["sinogram"] = h5py.ExternalLink(str(other), "/sinogram")
        file["soft"] = h5py.SoftLink("/sinogram")
        file["group"] = h5py.ExternalLink(str(other), "/")
        np.testing.assert_array_equal(file["sinogram"][()], sinogram())
    for name in ("sinogram", "soft", "group/sinogram"):
        (tmp_path / "bad.json").write_text(json.dumps(SIDECAR | {"arrays": {"sinogram": name}}))
        refuse(tmp_path / "bad.h5", r"a link into another file \('.*secret\.h5'\), which is not followed")


def test_external_links_in_data_exchange(tmp_path):
    other = secret(tmp_path)
    with h5py.File(tmp_path / "bad.h5", "w") as file:
        file["exchange/data"] = h5py.ExternalLink(str(other), "/sinogram")
    refuse(tmp_path / "bad.h5", "not followed")


def test_a_dangling_external_link_is_called_what_it_is(tmp_path):
    with h5py.File(tmp_path / "bad.h5", "w") as file:
        file["exchange/data"] = h5py.ExternalLink("nowhere.h5", "/sinogram")
    refuse(tmp_path / "bad.h5", r"'nowhere\.h5'.*not followed")


def test_external_storage_is_not_opened(tmp_path):
    (tmp_path / "raw.bin").write_bytes(sinogram().tobytes())
    with h5py.File(tmp_path / "bad.h5", "w") as file:
        raw = [(str(tmp_path / "raw.bin"), 0, h5py.h5f.UNLIMITED)]
        file.create_dataset("sinogram", (VIEWS, DETECTORS), "f8", external=raw)
        np.testing.assert_array_equal(file["sinogram"][()], sinogram())
    refuse(tmp_path / "bad.h5", r"keeps its values in another file \('.*raw\.bin'\), which is not opened")


def test_virtual_datasets_are_not_opened(tmp_path):
    layout = h5py.VirtualLayout((VIEWS, DETECTORS), "f8")
    layout[:] = h5py.VirtualSource(str(secret(tmp_path)), "sinogram", (VIEWS, DETECTORS))
    with h5py.File(tmp_path / "bad.h5", "w") as file:
        file.create_virtual_dataset("sinogram", layout)
    refuse(tmp_path / "bad.h5", "put together from other files")


def test_links_in_a_circle(tmp_path):
    with h5py.File(tmp_path / "bad.h5", "w") as file:
        file["exchange/data"] = h5py.SoftLink("/other")
        file["other"] = h5py.SoftLink("/exchange/data")
    refuse(tmp_path / "bad.h5", "circle of links")


def test_hdf5_types_that_are_no_numbers(tmp_path):
    path = tmp_path / "bad.h5"
    text = h5py.string_dtype()
    for value, words in (
        (sinogram().astype(complex), "complex"),
        (np.zeros((3, 4), dtype=[("x", "f8")]), "structured"),
        (np.array([["a", "b"]], dtype=object), "never loaded|text"),
        (h5py.Empty("f8"), "empty"),
    ):
        with h5py.File(path, "w") as file:
            file.create_dataset("exchange/data", data=value, dtype=text if value.dtype == object else None)
        refuse(path, words)


def test_hdf5_without_a_sinogram(tmp_path):
    path = tmp_path / "bad.h5"
    with h5py.File(path, "w") as file:
        file["a"], file["b"] = sinogram(), sinogram()
    refuse(path, r"not clear which of its arrays \(a, b\) is the sinogram")
    with h5py.File(path, "w") as file:
        file.create_group("exchange")
    refuse(path, "none of numbers")


def test_matlab_73_stands_transposed_in_the_file_and_not_in_the_scan(tmp_path):
    """And where the angles show that it was written the other way round, it is refused."""
    path = tmp_path / "s.mat"
    for stored, fits in ((sinogram().T, True), (sinogram(), False)):
        with h5py.File(path, "w", userblock_size=512) as file:
            file.create_dataset("sinogram", data=stored)
        (tmp_path / "s.json").write_text(json.dumps(SIDECAR))
        if fits:
            np.testing.assert_array_equal(read_scan(path).sinogram, sinogram())
        else:
            refuse(path, "angles that do not match.*transpose the data")


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
        (json.dumps({**SIDECAR, "geometry": "cone"}), '"fan" or "arc-fan"'),
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
        read_scan(tmp_path / "s.npy", geometry_file=tmp_path / "g.json")


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
