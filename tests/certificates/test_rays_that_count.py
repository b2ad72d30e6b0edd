"""Many values may be few rays, look past the image, or count for nothing: then the statement says so."""

import math

import dual_cases
import numpy as np
import pytest
from dual_cases import forged
from worth_cases import balancing, contrast, interval, solving, weighed

from ctrecon.certificates import verify
from ctrecon.certificates.feasible import certify
from ctrecon.certificates.infeasible import exclude
from ctrecon.certificates.rays import different_rays
from ctrecon.geometry.fan import FanBeam
from ctrecon.geometry.grid import Grid
from ctrecon.geometry.parallel import ParallelBeam
from ctrecon.geometry.vectors_in_space import VectorsInSpace
from ctrecon.operators.sparse import joseph_matrix

SIDE, VIEWS, CELLS = 16, 24, 24
GRID = Grid(rows=SIDE, columns=SIDE)
ANGLES = math.pi * np.arange(VIEWS) / VIEWS


def parallel(angles=ANGLES, spacing=1.0, offset=0.0):
    return ParallelBeam(angles_rad=tuple(np.asarray(angles).tolist()), detector_count=CELLS,
                        detector_spacing_mm=spacing, detector_offset_mm=offset)  # fmt: skip


def certified(folder, geometry, grid=GRID, weights=None, matrix=None):
    rng = np.random.default_rng(3)
    image = rng.random(grid.shape, dtype=np.float32) * np.float32(0.05)
    A = joseph_matrix(geometry, grid, np.float64) if matrix is None else matrix
    exact = (A @ image.ravel().astype(np.float64)).reshape(-1, CELLS)
    data = exact + 0.01 * rng.normal(size=exact.shape)
    misfit = (exact - data) * (1.0 if weights is None else np.sqrt(weights))
    kept = {"geometry": geometry, "grid": grid} if matrix is None else {"geometry": None, "grid": None, "matrix": A}
    if weights is not None:
        kept["weights"] = weights
    made = certify(image, data, delta=1.001 * float(np.linalg.norm(misfit)), **kept)
    return weighed(made.write(folder / "s.npy", overwrite=True)[""])


@pytest.mark.parametrize("geometry", [
    parallel(), parallel(2 * ANGLES), parallel(ANGLES[::-1] + 0.3, 1.3, 0.2),
    FanBeam(angles_rad=tuple((2 * ANGLES).tolist()), detector_count=CELLS, detector_spacing_mm=2.0,
            detector_offset_mm=7.0, source_to_axis_mm=40.0, source_to_detector_mm=70.0),
], ids=["half a turn", "a turn", "another way round", "half of the object seen"])  # fmt: skip
def test_an_honest_scan_is_not_suspected(geometry, tmp_path):
    found, _ = certified(tmp_path, geometry)
    assert (found.nothing, found.little) == ((), ())


WEIGHTS = np.full((VIEWS, CELLS), 1e-9)
WEIGHTS[:5] = 1.0


@pytest.mark.parametrize(("made", "words"), [
    ({"geometry": parallel(spacing=1e-6)}, "24 different rays through the image"),
    ({"geometry": parallel(spacing=0.02)}, "of the pixels are seen by fewer than 25% of the views"),
    ({"geometry": parallel(offset=19.0), "grid": Grid(rows=SIDE, columns=SIDE, pixel_mm=2.0)}, "the pixels are seen"),
    ({"geometry": parallel(), "grid": Grid(rows=SIDE, columns=SIDE, pixel_mm=20.0)}, "the pixels are seen"),
    ({"geometry": parallel([0.1, 0.1 + math.pi / 2] * 12)}, "run in 2 directions only"),
    ({"geometry": parallel(0.1 + math.pi * np.repeat([0, 1, 2], 8) / 3 + 1e-5 * np.arange(VIEWS))}, "in 3 directions"),
    ({"geometry": parallel(np.zeros(VIEWS))}, "22 different rays through the image for 256"),
    ({"geometry": parallel(), "weights": WEIGHTS}, "no ray through the middle runs between"),
], ids=["the axis", "the middle", "the rim", "a vast grid", "twice", "thrice", "one view", "tiny weights"])  # fmt: skip
def test_many_values_of_little_are_noticed(made, words, tmp_path):
    found, said = certified(tmp_path, **made)
    assert words in said
    assert found.rays is not None
    assert found.rays < found.values or found.little


def test_rows_of_a_matrix_that_repeat_or_are_zero_are_no_rows(tmp_path):
    A = joseph_matrix(parallel(), GRID, np.float64).tocsr()[: 4 * CELLS]
    index = np.repeat(np.arange(4 * CELLS), 6)
    many = A[index].multiply(np.random.default_rng(1).uniform(0.5, 2, len(index))[:, None]).tocsr()
    found, said = certified(tmp_path, None, matrix=many)
    rows = int((np.diff(A.indptr) > 0).sum())
    assert found.rays == rows
    assert f"576 values of {rows} different rows for 256 pixels" in said


def test_rays_are_counted_in_space_and_either_way_along():
    flat = parallel(2 * ANGLES)
    space = VectorsInSpace.of(flat)
    seen = np.ones(VIEWS, dtype=np.bool_)
    grid = GRID.to_dict()
    volume = Grid(rows=SIDE, columns=SIDE, pixel_mm=(1.0, 1.0), centre_mm=(0.0, 0.0, 0.0), slices=2, slice_mm=1.0)
    through = np.hypot(*2 * [SIDE]) / 2
    rays = int((np.abs(np.arange(CELLS) - (CELLS - 1) / 2) <= through).sum()) * VIEWS // 2
    assert different_rays({"geometry": flat.to_dict(), "grid": grid}, None, seen) == rays
    assert different_rays({"geometry": space.to_dict(), "grid": volume.to_dict()}, None, seen) == rays


# --- ranges and exclusions ------------------------------------------------------------------------------------------


def test_a_range_that_roughness_alone_gives_says_nothing_of_the_data(tmp_path):
    c = contrast()
    found, said = weighed(interval(tmp_path, c, y=1e-9 * solving(c), p=balancing(c), kappa=0.05))
    assert found.nothing == ("the limits on values and roughness alone give this range",)
    assert "not decided" not in said
    assert not weighed(interval(tmp_path, c, y=solving(c), p=0.0, delta=0.05, kappa=4.0))[0].nothing


def test_a_range_of_data_that_are_a_projection_says_so(tmp_path):
    c, (_, truth, _, _) = contrast(), dual_cases.scan("parallel", noise=0.0)
    found, _ = weighed(interval(tmp_path, c, y=solving(c), delta=0.05, kappa=40.0, member=truth, noise=0.0))
    assert "the data are its member's own projection" in found.little[0]
    found, _ = weighed(interval(tmp_path, c, y=solving(c), delta=1e-6, kappa=40.0, noise=0.0))
    assert "delta is no more than the rounding of data" in found.little[0]
    found, _ = weighed(interval(tmp_path, c, y=solving(c), delta=0.5, kappa=40.0, member=truth, noise=0.01))
    assert not found.little


def test_an_exclusion_by_one_ray_says_so(tmp_path):
    _, _, f, _ = dual_cases.scan("fan")
    f[4, 3] = 700.0
    y = np.zeros(f.shape)
    y[4, 3] = 1.0
    made = exclude(y, f, dual_cases.FAN, dual_cases.GRID, 1.0, lo=0.0, hi=60.0, shape=dual_cases.GRID.shape)
    found, _ = weighed(made.write(tmp_path / "s.npy")[""])
    assert found.little == (f"its proof rests on 1 of {f.size} values",)


def test_data_of_the_wrong_sign_do_not_fit_the_box(tmp_path):
    _, _, f, _ = dual_cases.scan("fan")
    made = exclude(-np.ones(f.shape), -f, dual_cases.FAN, dual_cases.GRID, 1.0, lo=0.0, hi=1.0,
                   shape=dual_cases.GRID.shape)  # fmt: skip
    found, _ = weighed(made.write(tmp_path / "s.npy")[""])
    assert any("no ray reaches half of the largest value" in why for why in found.little)


def test_a_label_does_not_close_its_own_quotation(tmp_path):
    made, *_ = dual_cases.interval()
    path = made.write(tmp_path / "s.npy")[""]
    forged(path, lambda v: v.update(region='x"; every structure is real; "'))
    assert verify.check(path).valid
    _, said = weighed(path)
    assert said.endswith("""calls it "x'; every structure is real; '\"""")
