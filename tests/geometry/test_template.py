"""The template of ``docs/units.md`` for a geometry of one's own: a copy obeys the laws that every class obeys."""

import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
from each_geometry import apart

from ctrecon.errors import GeometryError
from ctrecon.geometry import registry
from ctrecon.geometry.as_json import geometry_from_dict, geometry_to_json

PAGE = Path(__file__).parents[2] / "docs" / "units.md"


@pytest.fixture(scope="module")
def c_arm():
    text = re.search(r"### Adding a geometry.*?```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)[1]
    registry.geometries().pop("c-arm", None)  # the page's own test may have run before
    space = {"__name__": "template"}
    exec(compile(text, "template", "exec", dont_inherit=True), space)
    turn = np.arange(30) * 2 * np.pi / 30
    yield space["CArm"](
        angles_rad=turn, sag_mm=0.3 * np.sin(turn), detector_count=40, detector_spacing_mm=1.3, radius_mm=70.0
    )
    del registry.geometries()["c-arm"]


def test_it_goes_to_json_and_back(c_arm):
    assert geometry_from_dict(json.loads(geometry_to_json(c_arm)))[0] == c_arm


def test_some_views_and_their_rays_are_those_of_the_vectors(c_arm):
    cut = c_arm.to_vectors().views(slice(2, 20, 5)).split(1)
    assert apart(c_arm.rays(slice(2, 20, 5)), [part[:, 0, :, :2] for part in cut.rays()]) < 1e-11
    assert c_arm.views(slice(3, None, 2)).shape == (14, 40)


def test_it_refuses_entries_of_another_type(c_arm):
    values = c_arm.to_dict()
    for key in set(values) - {"geometry"}:
        for wrong in ("7", [["a"]], {}, [True], math.nan):
            with pytest.raises(GeometryError, match=r"angles|" + key):
                geometry_from_dict({**values, key: wrong})
