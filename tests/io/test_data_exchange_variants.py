"""Data Exchange as beamlines write it: other orders of axes, missing angles, one white frame or a number, channels."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from balls import ball, noisy

from ctrecon.errors import InputError
from ctrecon.geometry.parallel_rows import ParallelRows
from ctrecon.io.arrays import read_scan

VIEWS, ROWS, COLUMNS, WHITE, DARK = 20, 5, 26, 40000.0, 500.0
DEGREES = np.arange(VIEWS) * 9.0
BEAM = ParallelRows(angles_rad=tuple(np.deg2rad(DEGREES)), detector_count=COLUMNS, detector_rows=ROWS)
LINES = noisy(ball(BEAM, (4.0, 1.5, 0.5)), 1e-4)
COUNTS = np.rint(DARK + (WHITE - DARK) * np.exp(-LINES))
ORDERS = {"theta:y:x": (0, 1, 2), "y:theta:x": (1, 0, 2), "theta:x:y": (0, 2, 1), "x:y:theta": (2, 1, 0),
          "y:x:theta": (1, 2, 0), "angle y x": (0, 1, 2)}  # fmt: skip


def exchange(path: Path, values: dict, *, group: str = "exchange", **attributes: dict) -> Path:
    with h5py.File(path, "a") as file:
        for name, value in values.items():
            made = file.create_dataset(name if "/" in name else f"{group}/{name}", data=value)
            made.attrs.update(attributes.get(name, {}))
    return path


def fields() -> dict:
    return {"data_white": np.full((3, ROWS, COLUMNS), WHITE), "data_dark": np.full((2, ROWS, COLUMNS), DARK)}


def right(scan, row: int = 2) -> bool:
    return bool(np.abs(scan.sinogram - LINES[:, row]).max() < 1e-3) and np.allclose(
        np.rad2deg(scan.geometry.angles_rad), DEGREES
    )


def read(path: Path, **options):
    return read_scan(path, center=(COLUMNS - 1) / 2, **options)


@pytest.mark.parametrize("axes", ORDERS)
@pytest.mark.parametrize("everywhere", [True, False])
def test_the_order_of_axes_is_what_the_attribute_says(tmp_path, axes, everywhere):
    order = ORDERS[axes]
    frames = {name: value.transpose(order) if everywhere else value for name, value in fields().items()}
    said = {name: {"axes": axes} for name in (("data", *frames) if everywhere else ("data",))}
    path = exchange(tmp_path / "a.h5", {"data": COUNTS.transpose(order), "theta": DEGREES, **frames}, **said)
    for row in (0, 2):
        assert right(read(path, row=row), row)


def test_white_frames_that_say_no_order_follow_the_data(tmp_path):
    frames = {name: value.transpose(1, 0, 2) for name, value in fields().items()}
    path = exchange(tmp_path / "a.h5", {"data": COUNTS.transpose(1, 0, 2), "theta": DEGREES, **frames},
                    data={"axes": "y:theta:x"})  # fmt: skip
    assert right(read(path))


@pytest.mark.parametrize(("theta", "units"), [(DEGREES, "deg"), (DEGREES, None), (np.deg2rad(DEGREES), "radians"),
                                              (np.deg2rad(DEGREES), None)])  # fmt: skip
def test_angles_in_degrees_and_radians(tmp_path, theta, units):
    said = {} if units is None else {"theta": {"units": units}}
    path = exchange(tmp_path / "a.h5", {"data": COUNTS, "theta": theta, **fields()}, **said)
    scan = read(path)
    assert right(scan)
    assert any("taken to be radians" in note for note in scan.notes) == (units is None and theta.max() < 4)


def test_angles_by_the_rotation_or_not_at_all(tmp_path):
    path = exchange(tmp_path / "a.h5", {"data": COUNTS, **fields()})
    with pytest.raises(InputError, match="nothing says how its 20 views"):
        read(path)
    exchange(path, {"process/acquisition/rotation/rotation_start": [0.0],
                    "process/acquisition/rotation/rotation_step": [9.0]})  # fmt: skip
    scan = read(path)
    assert right(scan)
    assert any("20 angles from 0 degrees in steps of 9" in note for note in scan.notes)


def test_one_averaged_frame_or_a_number_for_all_cells(tmp_path):
    one = {name: value.mean(axis=0) for name, value in fields().items()}
    assert right(read(exchange(tmp_path / "a.h5", {"data": COUNTS, "theta": DEGREES, **one})))
    numbers = {"process/acquisition/flat_fields/flat_field_value": [WHITE],
               "process/acquisition/dark_fields/dark_field_value": [DARK]}  # fmt: skip
    assert right(read(exchange(tmp_path / "b.h5", {"data": COUNTS, "theta": DEGREES, **numbers})))


def test_channels_are_chosen_by_image(tmp_path):
    path = exchange(tmp_path / "a.h5", {"data": 0.8 * COUNTS, "theta": DEGREES, **fields(), "data_high": COUNTS,
                                        "data_high_white": np.full((3, ROWS, COLUMNS), WHITE)})  # fmt: skip
    exchange(path, {"data": 0.7 * COUNTS, "theta": DEGREES, **fields()}, group="exchange_1")
    first = read(path)
    assert any("channel 0 of 0 exchange/data, 1 exchange/data_high, 2 exchange_1/data" in note for note in first.notes)
    assert not right(first)
    assert right(read(path, image=1))
    assert not right(read(path, image=2))
    with pytest.raises(InputError, match="not 3; choose one with --image"):
        read(path, image=3)


@pytest.mark.parametrize(("values", "said"), [
    (np.exp(-LINES), {"units": "transmission"}), (np.exp(-LINES), {"description": "Normalized projections"}),
    (LINES, {"units": "attenuation"}), (LINES, {"description": "line integrals"}),
])  # fmt: skip
def test_what_is_normalised_already_says_so(tmp_path, values, said):
    path = exchange(tmp_path / "a.h5", {"data": values, "theta": DEGREES}, data=said)
    scan = read(path)
    assert right(scan)
    assert any("has no white field and is called" in note for note in scan.notes)


def test_what_is_normalised_and_does_not_say_so_is_asked_for(tmp_path):
    path = exchange(tmp_path / "a.h5", {"data": LINES, "theta": DEGREES})
    with pytest.raises(InputError, match="normalised data must say so in the attribute units of exchange/data"):
        read(path)
    exchange(path, {"title": "tomography_normalized_projections"})
    exchange(tmp_path / "b.h5", {"data": LINES + 9, "theta": DEGREES, "title": "tomography_normalized_projections"})
    with pytest.raises(InputError, match="above its white level"):  # which these are not
        read(tmp_path / "b.h5")
    (tmp_path / "c.json").write_text('{"arrays": {"sinogram": "exchange/data"}}')
    path = exchange(tmp_path / "c.h5", {"data": LINES, "theta": DEGREES})
    assert np.abs(read(path, row=2, geometry="parallel-180").sinogram - LINES[:, 2]).max() < 1e-9


def test_a_group_that_leads_out_of_the_file_is_refused(tmp_path):
    """As the fuzzer found it: the data seem to be there, and no group holds them."""
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["exchange"] = h5py.ExternalLink("b.h5", "/exchange")
    with pytest.raises(InputError, match="link into another file"):
        read_scan(tmp_path / "a.h5")
