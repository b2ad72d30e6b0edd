"""What a Python user may hand over wrongly to a member of a scan, a geometry, a grid or settings."""

from __future__ import annotations

import inspect
import warnings
from typing import Any

import numpy as np
import pytest
from geometries import EXAMPLES
from test_handed_over import BEAM, GRID, NO_NAMES, NO_NUMBERS, NOTHING

import ctrecon as ct
from ctrecon.errors import CtreconError

SCAN = ct.simulate("head", geometry=BEAM, grid=GRID, noise=0.05).scan
SUBJECTS: list[Any] = [
    SCAN, GRID, ct.Settings(), *(next(iter(made.values()))() for made in EXAMPLES.values()),
]  # fmt: skip
VALUES: dict[str, Any] = {
    **NOTHING, **NO_NUMBERS, **NO_NAMES, "none": None, "negative": -1, "zero": 0, "many": 10**9, "half": 0.5,
    "list": [1, 2], "far": [10**6], "dictionary": {}, "matrix": np.ones((3, 3)), "objects": np.array([object()]),
    "no views": slice(5, 2), "no values": np.zeros(0),
}  # fmt: skip
OTHERS = {"why": "cut off", "mask": np.ones(SCAN.sinogram.shape, dtype=bool)}
CASES = [
    pytest.param(one, name, parameter, id=f"{type(one).__name__}.{name}-{parameter.name}")
    for one in SUBJECTS
    for name in dir(one)
    if not name.startswith("_") and inspect.isroutine(getattr(one, name))
    for parameter in inspect.signature(getattr(one, name)).parameters.values()
]


@pytest.mark.parametrize(("subject", "name", "parameter"), CASES)
def test_it_is_taken_or_refused_in_one_line(subject: Any, name: str, parameter: inspect.Parameter) -> None:
    needed = inspect.signature(getattr(subject, name)).parameters.values()
    others = {
        one.name: OTHERS.get(one.name) for one in needed if one.default is one.empty and one.name != parameter.name
    }
    refused = {}
    for what, value in VALUES.items():
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            try:
                getattr(subject, name)(**others, **{parameter.name: value})
            except CtreconError as error:
                refused[what] = str(error)
    assert all(said and "\n" not in said for said in refused.values()), refused


def test_there_are_such_members() -> None:
    assert len(CASES) > 40
