"""Many values may be few rays, look past the image, or count for nothing: then the statement says so."""

import math
import re

import dual_cases
import numpy as np
import pytest
import scipy.sparse
from dual_cases import forged
from worth_cases import balancing, contrast, interval, solving, weighed

from ctrecon.certificates import rows, verify
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
    known = int((np.diff(A.indptr) > 0).sum())
    assert found.rays == known
    assert f"576 values of {known} different rows for 256 pixels" in said


def columns_alone(cells):
    """Weights of a few cells of each view, as of a detector that is dead but for these."""
    weights = np.zeros((VIEWS, CELLS))
    weights[:, cells] = 1.0
    return weights


@pytest.mark.parametrize(("cells", "most"), [(slice(11, 13), 2), (slice(0, 9), 9), (slice(5, 6), 1)])
def test_rays_of_weight_zero_see_nothing(cells, most, tmp_path):
    found, said = certified(tmp_path, parallel(), weights=columns_alone(cells))
    assert found.rays <= most * VIEWS
    assert "of the pixels are seen by fewer than 25% of the views" in said
    # Some dead cells between others hide nothing.
    scattered = columns_alone(slice(None))
    scattered[:, [3, 4, 11, 17]] = 0.0
    scattered[5] = 0.0
    found, _ = certified(tmp_path, parallel(), weights=scattered)
    assert (found.nothing, found.little) == ((), ())


def test_a_few_values_may_be_all_that_an_image_explains(tmp_path):
    """A norm that a few values dominate makes delta look small beside it, whatever the others hold."""
    rng = np.random.default_rng(4)
    A = joseph_matrix(parallel(), GRID, np.float64).toarray()
    for times, few in ((1e5, True), (1.0, False)):
        scale = np.ones(len(A))
        scale[[200, 333]] = times
        B, u = scipy.sparse.csr_matrix(A * scale[:, None]), rng.random(SIDE * SIDE)
        f = B @ u
        f = f + 1e-3 * f * rng.standard_normal(f.size)
        known = [200, 333] if few else slice(None)
        image = np.linalg.lstsq(B.toarray()[known], f[known], rcond=1e-6)[0].reshape(SIDE, SIDE).astype(np.float32)
        delta = 1.01 * float(np.linalg.norm(B @ image.ravel().astype(np.float64) - f))
        made = certify(image, f.reshape(-1, CELLS), None, None, delta, matrix=B)
        found, said = weighed(made.write(tmp_path / "s.npy", overwrite=True)[""])
        assert found.share < 0.01
        weak = re.search("without [12] of its 576 values delta is more than half of the norm of the data", said)
        assert bool(weak) == few, said


def test_a_matrix_of_few_numbers_or_few_pixels_leaves_most_of_the_image_open(tmp_path):
    rng = np.random.default_rng(5)
    pixels, count = SIDE * SIDE, 12 * CELLS
    low = scipy.sparse.csr_matrix(rng.random((count, 7)) @ rng.random((7, pixels)))
    blind = scipy.sparse.hstack(
        [scipy.sparse.csr_matrix(rng.random((count, 40))), scipy.sparse.csr_matrix((count, pixels - 40))]
    )
    for matrix, words in ((low, f"sums of 7, for {pixels} pixels"), (blind, "84% of the pixels are in no row")):
        found, said = certified(tmp_path, None, matrix=matrix.tocsr())
        assert found.rays == count
        assert words in said
    found, _ = certified(tmp_path, None, matrix=scipy.sparse.csr_matrix(rng.random((count, pixels))))
    assert (found.nothing, found.little) == ((), ())


def test_the_rank_of_some_rows_at_a_time_is_that_of_all(monkeypatch):
    rng = np.random.default_rng(6)
    for r in (1, 5, rows.MOST_RANK, rows.MOST_RANK + 1, 60):
        matrix = rng.standard_normal((200, r)) @ rng.standard_normal((r, 90)) * 10.0 ** rng.uniform(-8, 8, (200, 1))
        place = np.indices(matrix.shape).reshape(2, -1)
        entries, counts = np.stack([*place, matrix.ravel()], axis=1), np.ones(200, dtype=np.bool_)
        for together in (1, 17, 500):
            monkeypatch.setattr(rows, "_TOGETHER", together)
            assert rows.rank(entries, (200, 90), counts) == (r if r <= rows.MOST_RANK else None)
    counts[3:] = False
    assert rows.rank(entries, (200, 90), counts) == 3
    assert rows.rank(entries, (200, 90), ~counts & False) == 0


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
