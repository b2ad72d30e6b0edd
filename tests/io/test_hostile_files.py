"""Files made to do harm: bombs, types that lie, links that lead out of the file. Nothing is opened, run or filled."""

from __future__ import annotations

import json
import resource
import struct
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io
import scipy.sparse
from bad_files import DETECTORS, SIDECAR, VIEWS, npy_header, read_scan, refuse, sinogram

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


@pytest.mark.long
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


@pytest.mark.long
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
    """And where the angles show that it was written the other way round, it is turned, and said so."""
    path = tmp_path / "s.mat"
    for stored, fits in ((sinogram().T, True), (sinogram(), False)):
        with h5py.File(path, "w", userblock_size=512) as file:
            file.create_dataset("sinogram", data=stored)
        (tmp_path / "s.json").write_text(json.dumps(SIDECAR))
        scan = read_scan(path)
        np.testing.assert_array_equal(scan.sinogram, sinogram())
        assert any("and turned" in note for note in scan.notes) is not fits
