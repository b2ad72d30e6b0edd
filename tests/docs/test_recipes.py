"""The recipes of docs/from_*.md against the programs themselves where they can be had, else against their formulas."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import astra
import numpy as np
import pytest
import torch
from skimage.transform import radon

import ctrecon as ct
from ctrecon.geometry.grid import Grid
from ctrecon.operators.choose import choose_operator
from ctrecon.phantoms.base import Phantom
from ctrecon.phantoms.ellipse import Ellipse

PAGES = sorted((Path(__file__).resolve().parents[2] / "docs").glob("from_*.md"))
N, VIEWS = 40, 36
OBJECT = Phantom((Ellipse(center=(6.0, -3.0), semi_axes=(8.0, 5.0), value=0.02, angle_rad=0.4),
                  Ellipse(center=(-5.0, 8.0), semi_axes=(3.0, 3.0), value=0.03)))  # fmt: skip


@pytest.fixture(scope="module")
def recipes() -> SimpleNamespace:
    space: dict[str, object] = {}
    for page in PAGES:
        for code in re.findall(r"^```python\n(.*?)^```", page.read_text(), flags=re.MULTILINE | re.DOTALL):
            if "def " in code:  # the others use what these define
                exec(compile(code, page.name, "exec", dont_inherit=True), space)
    return SimpleNamespace(**space)


def seen(geometry, grid: Grid, image: np.ndarray) -> np.ndarray:
    return choose_operator(geometry, grid)(torch.from_numpy(image[None, None].astype(np.float32)))[0, 0].numpy()


def off(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


def agrees(geometry, grid: Grid, image: np.ndarray, data: np.ndarray, tolerance: float) -> None:
    """With our projector, and neither one cell aside nor with angles or cells the other way round."""
    assert off(seen(geometry, grid, image), data) < tolerance
    assert off(np.roll(seen(geometry, grid, image), 1, axis=1), data) > 2 * tolerance
    assert off(seen(geometry, grid, image)[:, ::-1], data) > 5 * tolerance
    assert off(seen(geometry, grid, image)[::-1], data) > 5 * tolerance


GRID = Grid(rows=N, columns=N)
TURN = 0.2 + np.linspace(0, 2 * np.pi, VIEWS, endpoint=False)
PLANE = {
    "parallel": astra.create_proj_geom("parallel", 1.1, 56, TURN),
    "fanflat": astra.create_proj_geom("fanflat", 1.6, 60, TURN, 80.0, 40.0),
}


@pytest.mark.parametrize("kind", [*PLANE, *(f"{kind}_vec" for kind in PLANE)])
def test_astra_in_the_plane(recipes, kind):
    given = PLANE[kind.removesuffix("_vec")]
    if kind.endswith("_vec"):
        given = astra.geom_2vec(given)
        given["Vectors"][:, 2:4] += 2.5 * given["Vectors"][:, 4:]  # its detector stands aside
    image = OBJECT.image(GRID).astype(np.float32)
    name = "line" if "parallel" in kind else "line_fanflat"
    projector = astra.create_projector(name, given, astra.create_vol_geom(N, N))
    try:
        number, data = astra.create_sino(image, projector)
    finally:
        astra.projector.delete(projector)
    astra.data2d.delete(number)
    agrees(recipes.of_astra(given), GRID, image, data, 0.04)


@pytest.mark.parametrize("kind", ["parallel3d", "cone"])
def test_astra_in_space_is_where_its_own_vectors_are(recipes, kind):
    given = astra.create_proj_geom(kind, 1.1, 1.3, 10, 14, TURN, *((80.0, 40.0) if kind == "cone" else ()))
    vectors = astra.geom_2vec(given)
    for one in (given, vectors):
        found = recipes.of_astra(one).to_vectors()
        table = vectors["Vectors"]
        scale = 1.0 if kind == "cone" else np.linalg.norm(table[:, :3], axis=1)[:, None]
        np.testing.assert_allclose(found.source, table[:, :3] / scale, atol=1e-9)
        np.testing.assert_allclose(found.detector - (table[:, 3:6] if kind == "cone" else 0), 0, atol=1e-9)
        np.testing.assert_allclose(found.u * found.column_mm, table[:, 6:9], atol=1e-9)
        np.testing.assert_allclose(found.v * found.row_mm, table[:, 9:], atol=1e-9)
        assert found.shape == (VIEWS, 10, 14)
    data = np.arange(10 * VIEWS * 14).reshape(10, VIEWS, 14)
    assert recipes.data_of_astra_3d(data)[3, 2, 1] == data[2, 3, 1]


@pytest.mark.parametrize("side", [40, 41])
@pytest.mark.parametrize("circle", [True, False])
def test_scikit_image(recipes, side, circle):
    theta = np.arange(0.0, 180.0, 5.0)
    # In its own pixels: the axis is the middle of pixel side // 2.
    y, x = side // 2 - np.arange(side)[:, None], np.arange(side) - side // 2
    image = 0.02 * (((x - 6) / 8) ** 2 + ((y + 3) / 5) ** 2 < 1) + 0.03 * ((x + 5) ** 2 + (y - 8) ** 2 < 9)
    data = radon(image, theta, circle=circle)
    beam, grid = recipes.of_radon(data.shape[0], theta, side)
    agrees(beam, grid, image, data.T, 0.06)


def test_tigre_by_its_formula(recipes):
    """Source and cells as TIGRE's own code places them: turned about z from ``+x``, offsets of image and detector."""
    geo = SimpleNamespace(DSO=100.0, DSD=150.0, nDetector=np.array([8, 10]), dDetector=np.array([1.5, 1.2]),
                          offDetector=np.array([0.7, -0.4]), nVoxel=np.array([6, 12, 10]),
                          dVoxel=np.array([2.0, 1.0, 1.1]), offOrigin=np.array([3.0, 2.0, -1.0]))  # fmt: skip
    angles = np.array([0.0, 0.3, 2.0])
    beam, grid = recipes.of_tigre(geo, angles)
    cells, vectors = beam.to_vectors().cells(), beam.to_vectors()
    for k, a in enumerate(angles):
        turn = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
        np.testing.assert_allclose(vectors.source[k], turn @ [geo.DSO, 0, 0], atol=1e-9)
        for v, u in ((0, 0), (7, 9), (2, 5)):
            z = geo.dDetector[0] * (8 / 2 - 0.5 - (8 - v - 1)) + geo.offDetector[0]
            y = geo.dDetector[1] * (u - 10 / 2 + 0.5) + geo.offDetector[1]
            np.testing.assert_allclose(cells[k, v, u], turn @ [-(geo.DSD - geo.DSO), y, z], atol=1e-9)
    # Voxel (z, y, x) of TIGRE stands at offOrigin + (index - (n - 1) / 2) d, and y grows.
    volume = np.arange(6 * 12 * 10).reshape(6, 12, 10)
    assert recipes.volume_of_tigre(volume)[1, 12 - 1 - 4, 7] == volume[1, 4, 7]
    np.testing.assert_allclose(grid.x_mm[7], -1.0 + (7 - 4.5) * 1.1)
    np.testing.assert_allclose(grid.y_mm[12 - 1 - 4], 2.0 + (4 - 5.5) * 1.0)
    np.testing.assert_allclose(grid.z_mm[1], 3.0 + (1 - 2.5) * 2.0)


@pytest.mark.parametrize("line", [True, False])
def test_matlabs_fanbeam_by_its_formula(recipes, line):
    D, beta = 90.0, np.arange(0.0, 360.0, 30.0)
    places = np.arange(-20, 21) * (1.0 if line else 0.8)
    gamma = np.arctan(places / D) if line else np.deg2rad(places)
    beam, _ = recipes.of_fanbeam(D, places, beta, N, line=line)
    start, way = (part[:, 0] for part in beam.to_vectors().rays())
    way = way / np.linalg.norm(way, axis=-1, keepdims=True)
    start, way = start[:, ::-1], way[:, ::-1]  # as F.T[:, ::-1] is given
    turned = np.deg2rad(beta)[:, None] + gamma
    across = np.stack([np.cos(turned), np.sin(turned)], axis=-1)
    along = np.stack([-np.sin(turned), np.cos(turned)], axis=-1)
    # The same lines: parallel to the parallel ray at beta + gamma, D sin(gamma) from the axis.
    np.testing.assert_allclose(np.abs((way[..., :2] * along).sum(-1)), 1, atol=1e-9)
    places_of = np.broadcast_to(D * np.sin(gamma), turned.shape)
    np.testing.assert_allclose((start[..., :2] * across).sum(-1), places_of, atol=1e-9)


def test_matlabs_radon_has_its_axis_one_pixel_before(recipes):
    for side in (40, 41):
        beam, grid = recipes.of_matlab_radon(np.arange(-30, 31), [0.0, 90.0], side)
        # floor((side + 1) / 2), counted from 1, is the pixel whose middle is the axis.
        at = (side + 1) // 2 - 1
        np.testing.assert_allclose([grid.x_mm[at], grid.y_mm[at]], 0, atol=1e-12)
        assert beam.detector_offset_mm == 0


def test_odl_and_tomosipo(recipes):
    part = SimpleNamespace(cell_sides=np.array([1.5, 2.0]), mid_pt=np.array([0.3, -0.2]), shape=(12, 8))
    cone = recipes.of_odl(SimpleNamespace(angles=TURN, det_partition=part, src_radius=80.0, det_radius=40.0))
    # ODL: source at -r (-sin, cos), columns along (cos, sin), rows along z.
    vectors = cone.to_vectors()
    np.testing.assert_allclose(vectors.source, 80 * np.stack([np.sin(TURN), -np.cos(TURN), 0 * TURN], 1), atol=1e-9)
    np.testing.assert_allclose(vectors.u, np.stack([np.cos(TURN), np.sin(TURN), 0 * TURN], 1), atol=1e-9)
    assert (cone.detector_offset_mm, cone.detector_row_offset_mm, cone.shape) == (0.3, -0.2, (VIEWS, 8, 12))
    flat = SimpleNamespace(cell_sides=np.array([1.5]), mid_pt=np.array([0.0]), shape=(12,))
    assert recipes.of_odl(SimpleNamespace(angles=TURN, det_partition=flat)).shape == (VIEWS, 12)
    given = astra.create_proj_geom("cone", 1.1, 1.3, 10, 14, TURN, 80.0, 40.0)
    assert recipes.of_tomosipo(SimpleNamespace(to_astra=lambda: given)) == recipes.of_astra(given)


def radon_of_the_manual(image: np.ndarray, theta_deg: np.ndarray, half: int) -> np.ndarray:
    """``[detectors, views]`` as MATLAB's manual has it: quarters of pixels, each shared by the two nearest cells."""
    rows, columns = image.shape
    cells = np.zeros((2 * half + 1, len(theta_deg)))
    # Counted from 1, the origin is pixel floor((size + 1) / 2); y grows upwards.
    x = np.arange(1, columns + 1)[None, :] - (columns + 1) // 2 + 0 * np.arange(rows)[:, None]
    y = (rows + 1) // 2 - np.arange(1, rows + 1)[:, None] + 0 * x
    for k, theta in enumerate(np.deg2rad(theta_deg)):
        for dx, dy in ((-0.25, -0.25), (-0.25, 0.25), (0.25, -0.25), (0.25, 0.25)):
            place = ((x + dx) * np.cos(theta) + (y + dy) * np.sin(theta) + half).ravel()
            lower = np.floor(place).astype(int)
            for cell, share in ((lower, 1 - (place - lower)), (lower + 1, place - lower)):
                np.add.at(cells[:, k], cell, image.ravel() / 4 * share)
    return cells


@pytest.mark.parametrize("side", [40, 41])
def test_matlabs_radon_by_its_manual(recipes, side):
    theta = np.arange(0.0, 180.0, 5.0)
    image = OBJECT.image(Grid(rows=side, columns=side)).astype(np.float32)
    data = radon_of_the_manual(image, theta, 30)
    beam, grid = recipes.of_matlab_radon(np.arange(-30, 31), theta, side)
    agrees(beam, grid, image, data.T, 0.06)
    if side % 2 == 0:  # scikit-image's axis is another pixel
        other = recipes.of_radon(61, theta, side)
        assert off(seen(*other, image), data.T) > 0.1


def psnr_db(found: np.ndarray, truth: np.ndarray) -> float:
    return float(20 * np.log10(truth.max() / np.sqrt(np.mean((found - truth) ** 2))))


def test_data_of_scikit_image_reconstruct_the_right_way_round(recipes):
    theta, image = np.arange(0.0, 180.0, 3.0), OBJECT.image(GRID).astype(np.float32)
    data = radon(image, theta, circle=False)
    beam, grid = recipes.of_radon(len(data), theta, N)
    found = ct.reconstruct(ct.Scan(data.T, beam, grid=grid), method="cgls", delta="2%").image
    assert psnr_db(found, image) > 28
    for wrong in (found[:, ::-1], found[::-1], np.roll(found, 1, axis=1)):
        assert psnr_db(wrong, image) < psnr_db(found, image) - 4


def test_data_of_astra_reconstruct_the_right_way_round(recipes):
    image = OBJECT.image(GRID).astype(np.float32)
    projector = astra.create_projector("line_fanflat", PLANE["fanflat"], astra.create_vol_geom(N, N))
    number, data = astra.create_sino(image, projector)
    astra.projector.delete(projector)
    astra.data2d.delete(number)
    found = ct.reconstruct(
        ct.Scan(data, recipes.of_astra(PLANE["fanflat"]), grid=GRID), method="cgls", delta="2%"
    ).image
    assert psnr_db(found, image) > 28
    for wrong in (found[:, ::-1], found[::-1], np.roll(found, 1, axis=1)):
        assert psnr_db(wrong, image) < psnr_db(found, image) - 4


@pytest.mark.parametrize("side", [40, 41])
@pytest.mark.parametrize("circle", [True, False])
def test_deepinv(recipes, side, circle):
    tomography = pytest.importorskip("deepinv", reason="deepinv is not installed").physics.Tomography
    theta = np.arange(0.0, 180.0, 5.0)
    image = OBJECT.image(Grid(rows=side, columns=side)).astype(np.float32)
    physics = tomography(torch.from_numpy(theta).float(), side, circle=circle, normalize=False)
    data = physics(torch.from_numpy(image)[None, None])[0, 0].numpy()
    agrees(*recipes.of_deepinv(len(data), theta, side, circle=circle), image, data.T, 0.04)


@pytest.mark.parametrize("fan", [True, False])
def test_odl(recipes, fan):
    odl = pytest.importorskip("odl", reason="odl is not installed")
    tomo = pytest.importorskip("odl.applications.tomo", reason="this odl keeps its tomography elsewhere")
    space = odl.uniform_discr([-N / 2, -N / 2], [N / 2, N / 2], [N, N], dtype="float32")
    if fan:
        angles, cells = odl.uniform_partition(0, 2 * np.pi, VIEWS), odl.uniform_partition(-48, 48, 60)
        geometry = tomo.FanBeamGeometry(angles, cells, src_radius=80, det_radius=40)
    else:
        angles, cells = odl.uniform_partition(0, np.pi, VIEWS), odl.uniform_partition(-30, 30, 60)
        geometry = tomo.Parallel2dGeometry(angles, cells)
    image = OBJECT.image(GRID).astype(np.float32)
    transform = tomo.RayTransform(space, geometry, impl="astra_cpu")
    data = np.asarray(transform(space.element(np.ascontiguousarray(np.rot90(image, -1)))).data)
    agrees(recipes.of_odl(geometry), GRID, image, data, 0.05)
