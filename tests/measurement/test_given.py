"""What a Python user may hand over as an array: each kind works, or is an error with shape and remedy."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from scipy import sparse

from ctrecon.errors import CtreconError, InputError
from ctrecon.geometry.parallel import ParallelBeam
from ctrecon.measurement.given import plain_floats
from ctrecon.measurement.scan import Scan

VIEWS, DETECTORS = 6, 9
GEOMETRY = ParallelBeam(angles_rad=tuple(np.arange(VIEWS) * np.pi / VIEWS), detector_count=DETECTORS)


def values(dtype=np.float32):
    return (np.random.default_rng(0).random((VIEWS, DETECTORS)) + 0.5).astype(dtype)


def with_memory_map(tmp_path):
    np.save(tmp_path / "m.npy", values())
    return np.load(tmp_path / "m.npy", mmap_mode="r")


class Wrapped:
    """As other libraries wrap arrays."""

    def __array__(self, dtype=None, copy=None):
        return values()


WORKS = {
    "plain": lambda _: values(),
    "double": lambda _: values(np.float64),
    "negative strides": lambda _: values()[::-1, ::-1][::-1, ::-1],
    "Fortran order": lambda _: np.asfortranarray(values()),
    "every second of twice as many": lambda _: np.repeat(values(), 2, axis=1)[:, ::2],
    "big-endian": lambda _: values().astype(">f4"),
    "read-only": lambda _: np.broadcast_to(values(), (VIEWS, DETECTORS)),
    "memory map": with_memory_map,
    "masked without a mask": lambda _: np.ma.masked_array(values()),
    "masked with nothing masked": lambda _: np.ma.masked_array(values(), mask=np.zeros((VIEWS, DETECTORS), bool)),
    "lists": lambda _: values(np.float64).tolist(),
    "tuples of whole numbers": lambda _: tuple(tuple(row) for row in np.ones((VIEWS, DETECTORS), int).tolist()),
    "tensor": lambda _: torch.from_numpy(values()),
    "tensor of a gradient": lambda _: torch.from_numpy(values()).requires_grad_(),
    "transposed tensor": lambda _: torch.from_numpy(values().T.copy()).T,
    "wrapped": lambda _: Wrapped(),
}  # fmt: skip
REFUSED = {
    "float16": (lambda: values(np.float16), r"float16 of shape \(6, 9\); convert it first"),
    "int": (lambda: values(int), "convert it first"),
    "bool": (lambda: values(bool), "truth values"),
    "complex": (lambda: values(complex), "real part"),
    "object": (lambda: values(object), "Python objects"),
    "structured": (lambda: np.zeros((VIEWS, DETECTORS), dtype=[("a", "f4")]), "one field"),
    "text": (lambda: values(np.float32).astype(str), "text"),
    "dates": (lambda: np.zeros((VIEWS, DETECTORS), "datetime64[s]"), "dates"),
    "bfloat16 tensor": (lambda: torch.ones((VIEWS, DETECTORS), dtype=torch.bfloat16), "dense tensor of torch.float32"),
    "half tensor": (lambda: torch.ones((VIEWS, DETECTORS)).half(), "convert it first"),
    "sparse tensor": (lambda: torch.ones((VIEWS, DETECTORS)).to_sparse(), "dense tensor"),
    "sparse matrix": (lambda: sparse.csr_matrix(values()), "must be an array of float32 or float64, got csr_matrix"),
    "masked": (lambda: np.ma.masked_greater(values(), 0.0), "masked values, which have no place|leaves no ray usable"),
    "ragged": (lambda: [[1.0, 2.0], [3.0]], "equally long"),
    "words": (lambda: [["a", "b"]], "rows of numbers"),
    "text alone": (lambda: "s.npy", "got str"),
    "nothing": (lambda: None, "got NoneType"),
    "number": (lambda: 3.0, "got float"),
    "nan": (lambda: np.full((VIEWS, DETECTORS), np.nan, np.float32), "54 values that are not finite"),
    "inf": (lambda: np.full((VIEWS, DETECTORS), -np.inf, np.float32), "54 values that are not finite"),
    "no views": (lambda: values()[:0], r"got shape \(0, 9\)|has shape \(0, 9\)"),
    "one axis": (lambda: values().ravel(), r"shape \(54,\)"),
    "no axis": (lambda: np.array(3.0), r"shape \(\)"),
    "wrong shape": (lambda: values()[:, 1:], "6 views of 8 detectors|must agree"),
}  # fmt: skip
TAKERS = {
    "sinogram": lambda f: Scan(sinogram=f, geometry=GEOMETRY).sinogram,
    "variance": lambda f: Scan(sinogram=values(), variance=f, geometry=GEOMETRY).variance,
    "counts": lambda f: Scan(sinogram=values(), counts=f, white=values(), geometry=GEOMETRY).counts,
    "white": lambda f: Scan(sinogram=values(), counts=values(), white=f, geometry=GEOMETRY).white,
}


@pytest.mark.parametrize("taker", TAKERS)
@pytest.mark.parametrize("kind", WORKS)
def test_it_works_and_is_plain(tmp_path, taker, kind):
    given = WORKS[kind](tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        if taker == "image" and plain_floats("x", "y", given).dtype != np.float32:
            with pytest.raises(InputError, match="must be float32"):
                TAKERS[taker](given)
            return
        taken = TAKERS[taker](given)
        torch.from_numpy(taken)  # warns of read-only memory, raises on negative strides and foreign bytes
    expected = np.ones((VIEWS, DETECTORS)) if "whole numbers" in kind else values()
    np.testing.assert_allclose(taken, expected, rtol=1e-6)
    assert type(taken) is np.ndarray
    assert taken.flags.c_contiguous
    assert taken.dtype.isnative


@pytest.mark.parametrize("taker", TAKERS)
@pytest.mark.parametrize("kind", REFUSED)
def test_it_is_refused_with_shape_and_remedy(taker, kind):
    make, words = REFUSED[kind]
    if taker != "sinogram" and kind == "nothing":
        return  # an optional array may be nothing
    words = words if not (taker == "image" and kind == "wrong shape") else "must agree"
    names = (taker, "mask") if kind == "masked" else (taker,)
    with pytest.raises(CtreconError, match=words) as caught:
        TAKERS[taker](make())
    assert "\n" not in str(caught.value)
    assert any(name in str(caught.value) for name in names) or kind == "wrong shape"


def test_plain_arrays_are_not_copied():
    given = values()
    assert np.shares_memory(plain_floats("x", "y", given), given)
    assert np.shares_memory(plain_floats("x", "y", torch.from_numpy(given)), given)
