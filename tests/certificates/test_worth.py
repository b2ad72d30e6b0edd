"""True statements about one image that say nothing, or little: each kind is found and said, honest ones pass."""

import dual_cases
import numpy as np
import pytest
from certificate_cases import CASES, problem, written
from worth_cases import feasible, weighed

from ctrecon.certificates import verify
from ctrecon.certificates.feasible import certify

# --- honest ones ----------------------------------------------------------------------------------------------------


def test_honest_certificates_are_not_suspected(tmp_path):
    for case in CASES:
        (tmp_path / case).mkdir()
        found, said = weighed(written(case, tmp_path / case)[""])
        assert (found.nothing, found.little) == ((), ()), case
        assert 0 < found.share < 0.5
        assert "explains the data" in said
        assert f"delta is {100 * found.share:.3g}% of the " in said
    for whitened in (False, True):
        found, said = weighed(dual_cases.infeasible(1, whitened=whitened)[0].write(tmp_path / f"n{whitened}.npy")[""])
        assert (found.nothing, found.little) == ((), ())
        assert "no image of 7 x 9 pixels with values from 0 to 1 per unit of length explains" in said


def test_the_share_is_that_of_the_norm_the_certificate_uses(tmp_path):
    image, data, kept, _ = problem("whitened")
    made = certify(image, data, delta=7.0, **kept)
    found, said = weighed(made.write(tmp_path / "s.npy")[""])
    w = kept["weights"].astype(np.float64)
    assert found.share == pytest.approx(7.0 / np.sqrt((w * data**2).sum()))
    assert found.counted == pytest.approx(w.sum() ** 2 / (w**2).sum())
    assert f"make {data.size} values worth {found.counted:.0f} of equal weight" in said


# --- a statement about one image ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("delta above the data", "image 0 meets delta"), ("weights of zero", "image 0 meets delta"),
        ("tiny weights", "image 0 meets delta"), ("data of zero", "image 0 meets delta"),
        ("rays past the image", "image 0 meets delta"), ("an operator of zeros", "image 0 meets delta"),
    ],
)  # fmt: skip
def test_what_the_image_zero_meets_says_nothing(name, words, tmp_path):
    image, data, kept, _ = problem("fan")
    size = float(np.linalg.norm(data))
    if name == "delta above the data":
        path = feasible(tmp_path, delta=1.001 * size)
    elif name in ("weights of zero", "tiny weights"):
        path = feasible(tmp_path, weights=np.full(data.shape, 1e-12 * (name == "tiny weights"), dtype=np.float32))
    elif name == "data of zero":
        path = feasible(tmp_path, image=0 * image, data=0 * data, delta=1e-3)
    elif name == "rays past the image":
        geometry, grid = kept["geometry"], kept["grid"]
        far = type(geometry)(**{**vars(geometry), "detector_offset_mm": 1e3})
        path = certify(image, data, far, grid, size * 1.001).write(tmp_path / "s.npy", overwrite=True)[""]
    else:
        image, data, kept, _ = problem("matrix")
        none = {**kept, "matrix": 1e-300 * kept["matrix"].astype(np.float64)}
        made = certify(image, data, delta=float(np.linalg.norm(data.astype(float))) * 1.001, **none)
        path = made.write(tmp_path / "s.npy", overwrite=True)[""]
    found, said = weighed(path)
    assert words in "; ".join(found.nothing)
    assert "true, but it says nothing" in said
    assert "explains the data" not in said
    assert found.share >= 1 - 1e-9


def test_just_below_the_data_it_says_little_and_its_share(tmp_path):
    image, data, _, _ = problem("fan")
    found, said = weighed(feasible(tmp_path, delta=0.999 * float(np.linalg.norm(data))))
    assert not found.nothing
    assert "delta is more than half of the norm of the data" in found.little
    assert f"delta is 99.9% of the norm of the data: {data.size} values for {image.size} pixels" in said


def test_one_dominating_ray_is_counted(tmp_path):
    image, data, kept, _ = problem("fan")
    weights = np.full(data.shape, 1e-6)
    weights[2, 8] = 1e6
    made = certify(image, data, delta=1e3, **{**kept, "weights": weights})
    found, said = weighed(made.write(tmp_path / "s.npy")[""])
    assert found.counted == pytest.approx(1, abs=1e-3)
    assert "make 136 values worth 1 of equal weight" in said


def test_data_computed_from_the_image_are_noticed(tmp_path):
    image, _, kept, _ = problem("offset")
    stated = {"projector": "joseph", "geometry": kept["geometry"].to_dict(), "grid": kept["grid"].to_dict()}
    exact = verify.apply(stated, image, None)[0].reshape(kept["geometry"].shape)
    for name, data in (("float64", exact), ("float32", exact.astype(np.float32))):
        found, said = weighed(certify(image, data, delta=1e-2, **kept).write(tmp_path / f"{name}.npy")[""])
        assert "computed from it" in said
        assert found.little


def test_few_values_leave_most_of_an_image_open(tmp_path):
    image, data, kept, _ = problem("fan")
    weights = np.zeros(data.shape)
    weights[3, 5:11] = 1.0
    made = certify(image, data, delta=0.5 * float(np.linalg.norm(data[3, 5:11])), **{**kept, "weights": weights})
    found, said = weighed(made.write(tmp_path / "s.npy")[""])
    assert f"6 values are little for {image.size} pixels" in said
    assert found.little
