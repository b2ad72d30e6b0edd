"""The picture of a geometry: what a wrong sign turns over is turned over in it, for every geometry that exists."""

from __future__ import annotations

import dataclasses
import io
import json
import math

import numpy as np
import pytest
from click.testing import CliRunner
from defusedxml import ElementTree
from each_geometry import every, example
from geometries import FAN, TURN
from PIL import Image
from volumes import cone

import ctrecon as ct
from ctrecon.cli.main import cli
from ctrecon.geometry.cone import HelicalCone
from ctrecon.geometry.fan import FanBeam
from ctrecon.geometry.grid import default_grid
from ctrecon.geometry.parallel import ParallelBeam
from ctrecon.io.write import write_scan
from ctrecon.outputs.drawing import Dot, Drawing, Words
from ctrecon.outputs.geometry_picture import FIRST, SIDE, draw_geometry


def drawn(geometry) -> Drawing:
    return draw_geometry(geometry, default_grid(geometry))


def dots(drawing, colour=FIRST):
    """The source and column 0 of the first view, seen from above, from the panel's middle; y up."""
    found = [part for part in drawing.parts if isinstance(part, Dot) and part.colour == colour][:2]
    return [np.array([part.at[0] - SIDE / 2, SIDE / 2 - part.at[1]]) for part in found]


@pytest.mark.sampled(11)
@every
def test_every_geometry_is_drawn_with_its_source_and_column_0_where_they_are(kind, name) -> None:
    geometry = example(kind, name)
    drawing = drawn(geometry)
    root = ElementTree.fromstring(drawing.svg())
    assert root.get("aria-label") == drawing.said
    assert drawing.width == (SIDE if geometry.to_vectors().planar else 2 * SIDE)
    source, column = dots(drawing)
    vectors = geometry.to_vectors().views(slice(0, 1))
    true = -vectors.source[0] if vectors.parallel else vectors.source[0]
    assert angle(source, true[:2]) < 1e-6
    # Along the detector: from its middle to column 0.
    cells = vectors.cells()[0, vectors.rows // 2]
    if not vectors.parallel:
        assert angle(column, cells[0][:2]) < 0.03  # the edge of the cell, not its middle
    assert angle(column - dots(turned_over(drawing, geometry))[1], cells[0][:2] - cells[-1][:2]) < 0.2
    for part in drawing.parts:
        if isinstance(part, Words):
            left, top, right, bottom = part.box
            assert left > -4, part
            assert right < drawing.width + 60, part
            assert top > -4, part
            assert bottom < drawing.height + 4, part


def turned_over(drawing, geometry):
    """The same with the columns counted from the other end."""
    from ctrecon.geometry.vectors_in_space import VectorsInSpace

    vectors = geometry.to_vectors()
    return draw_geometry(
        VectorsInSpace.from_vectors(dataclasses.replace(vectors, u=-vectors.u)), default_grid(geometry)
    )


def angle(a, b) -> float:
    return abs(math.atan2(a[0] * b[1] - a[1] * b[0], float(np.dot(a, b))))


def test_a_wrong_sign_shows() -> None:
    fan = FanBeam(**FAN)
    for wrong, words in (
        (dataclasses.replace(fan, angles_rad=tuple(-TURN)), "turns clockwise"),
        (dataclasses.replace(fan, detector_offset_mm=-30.0), "column 68.7727"),
        (dataclasses.replace(fan, angles_rad=tuple(TURN + math.pi)), "counter-clockwise"),
    ):
        assert drawn(wrong).svg() != drawn(fan).svg()
        assert words in drawn(wrong).said
    assert "turns counter-clockwise by 356" in drawn(fan).said
    shift = [column[0] for column in (dots(drawn(dataclasses.replace(fan, detector_offset_mm=s)))[1] for s in (-9, 9))]
    assert shift[0] < shift[1]
    mixed = dataclasses.replace(fan, angles_rad=tuple(np.random.default_rng(0).permutation(TURN)))
    assert "mixed order" in drawn(mixed).said
    assert "does not turn" in drawn(ParallelBeam(angles_rad=(0.0,), detector_count=8, detector_spacing_mm=1.0)).said


def test_a_helix_is_seen_to_climb_or_to_descend() -> None:
    row = {field.name: getattr(cone(), field.name) for field in dataclasses.fields(cone())}
    up, down = (drawn(HelicalCone(**row, pitch_mm=pitch)) for pitch in (30.0, -30.0))
    assert "climbs by 29 mm" in up.said
    assert "descends by 29 mm" in down.said
    assert up.svg() != down.svg()
    with Image.open(io.BytesIO(up.png())) as picture:
        assert picture.size == (2 * up.width, 2 * up.height)
        assert np.asarray(picture).std() > 10
    assert "climbs" not in drawn(cone()).said


def test_the_command_draws_it(tmp_path) -> None:
    write_scan(tmp_path / "scan.npz", ct.simulate("seeds", beam="fan", size=24, views=30, noise=0.01, seed=1).scan)
    line = ["info", str(tmp_path / "scan.npz"), "--json", "--picture", str(tmp_path / "g.png")]
    done = CliRunner().invoke(cli, line)
    assert done.exit_code == 0, done.output
    assert json.loads(done.output)["geometry_picture"] == str(tmp_path / "g.png")
    with Image.open(tmp_path / "g.png") as picture:
        assert picture.size[0] == 2 * SIDE
    assert CliRunner().invoke(cli, line).exit_code == 2  # it is there already
    assert "must end in .png" in CliRunner().invoke(cli, [*line[:3], "--picture", "g.jpg"]).output


def test_a_scan_that_brings_its_matrix_has_no_geometry_to_draw(tmp_path) -> None:
    from scipy import sparse

    from ctrecon.errors import InputError
    from ctrecon.measurement.scan import Scan
    from ctrecon.outputs.geometry_picture import write_geometry

    scan = Scan(np.ones((2, 3), dtype=np.float32), matrix=sparse.csr_matrix(np.ones((6, 4))), image_shape=(2, 2))
    with pytest.raises(InputError, match="no geometry that could be drawn"):
        write_geometry(tmp_path / "g.png", scan)
    assert not (tmp_path / "g.png").exists()
