"""Where errors came from, without their values."""

from __future__ import annotations

import numpy as np
import pytest

from ctrecon.errors import SettingError
from ctrecon.geometry.grid import Grid
from ctrecon.support.where import causes, trail, where

SECRET = "Doe^Jane"


def caught() -> BaseException:
    try:
        try:
            raise KeyError(SECRET)
        except KeyError:
            Grid(rows=-1, columns=3, pixel_mm=1.0)
    except Exception as error:
        return error
    raise AssertionError


def test_the_last_own_place_is_named_and_no_value() -> None:
    error = caught()
    assert where(error).startswith("geometry/")
    said = trail(error)
    assert "geometry/grid.py:" in said
    assert "(test_where.py:" in said
    assert "; from KeyError: (test_where.py:" in said
    assert SECRET not in said + where(error)


def test_foreign_errors_have_a_place_too() -> None:
    with pytest.raises(np.linalg.LinAlgError) as info:
        np.linalg.inv(np.zeros((2, 2)))
    assert "test_where.py:" in trail(info.value)
    assert "in " in where(info.value)


def test_circles_end() -> None:
    one, two = SettingError("one"), SettingError("two")
    one.__cause__, two.__cause__ = two, one
    assert list(causes(one)) == [one, two]
    assert where(one) == "an unknown place"
