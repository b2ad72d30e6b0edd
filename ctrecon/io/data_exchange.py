"""HDF5 in the Data Exchange layout: raw counts with white and dark frames, or normalised data, and the angles.

F. De Carlo et al., Scientific data exchange: a schema for HDF5-based storage of raw and analyzed data, J. Synchrotron
Radiat. 21, 2014. ``exchange/data`` is ``[views, rows, columns]`` unless its attribute ``axes`` says another order,
``data_white`` and ``data_dark`` are frames or one averaged frame, ``theta`` is in degrees unless its ``units`` are
radians. Further channels are ``exchange/data_NAME`` and those of ``exchange_1`` and on. Where ``theta`` is
missing, the rotation's start and step under ``process/acquisition/rotation`` say it, and single values under
``process/acquisition/flat_fields`` and ``dark_fields`` stand for frames, as dxchange reads them. The layout says
neither where the rotation axis projects nor how large a cell must be.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import numpy as np

from ctrecon.errors import InputError
from ctrecon.io.arrayfile import missing
from ctrecon.io.ask import Ask, any_row
from ctrecon.io.framed import from_frames
from ctrecon.io.hdf5 import Hdf5File
from ctrecon.io.measured import Measured
from ctrecon.io.transmitted import line_integrals_of
from ctrecon.measurement.given import LARGEST_VALUE
from ctrecon.support.arrays import Array

_GROUP = re.compile(r"exchange_?\d*")
_NAME = re.compile(r"data(_(?!white|dark|flat)\w+)?")
_PLACES = "theta", "y", "x"
_ROTATION = "process/acquisition/rotation"
_SINGLE = {"white": "process/acquisition/flat_fields/flat_field_value",
           "dark": "process/acquisition/dark_fields/dark_field_value"}  # fmt: skip
_LINES = ("attenuation", "absorption", "absorbance", "line integral", "-log", "sinogram")
_NORMALISED = ("normali", "transmission", "transmittance", "flat field corrected", "i/i0")


@dataclass(frozen=True)
class _Channel:
    """``group/name``, and what the group calls its white and dark frames."""

    group: str
    name: str

    @property
    def data(self) -> str:
        return f"{self.group}/{self.name}"

    def fields(self, kind: str) -> tuple[str, ...]:
        """Where its frames may be: its own before those of the group."""
        others = ("white", "flat") if kind == "white" else (kind,)
        own = [f"{self.group}/{self.name}_{one}" for one in others]
        return (*own, *(f"{self.group}/data_{one}" for one in others))


def is_data_exchange(file: Hdf5File) -> bool:
    return "exchange/data" in file


def read_data_exchange(file: Hdf5File, ask: Ask) -> Measured:
    """One detector row of one channel, the middle row (the lower of two) of the first by default.

    Raises InputError where white field or angles are missing or do not fit, or there is no such row or channel.
    """
    channel, notes = _chosen(file, ask)
    shape, axes = file.dataset(channel.data).shape, _axes(file, channel.data)
    if len(shape) != 3:
        raise InputError(f"{file.path}: {channel.data} has shape {shape}; [views, rows, columns] is needed")
    row, noted = any_row(file.path, shape[axes.index("y")], ask.row)
    notes += noted
    values = _row(file, channel.data, row, axes)
    angles, said = _angles(file, channel, len(values))
    notes += said
    white = _field(file, channel, "white", row, values.shape[1])
    if white is None:
        return replace(_normalised(file, channel, values, angles, notes), rows=shape[axes.index("y")])
    dark = _field(file, channel, "dark", row, values.shape[1])
    return from_frames(
        file.path, values, white, dark, notes=notes, angles_deg=angles, center="auto", rows=shape[axes.index("y")]
    )


def _chosen(file: Hdf5File, ask: Ask) -> tuple[_Channel, tuple[str, ...]]:
    groups = sorted((name for name in file.groups() if _GROUP.fullmatch(name)), key=lambda name: (len(name), name))
    found = [_Channel(group, name) for group in groups for name in sorted(file.members(group))
             if _NAME.fullmatch(name) and not name.endswith(("_white", "_dark", "_flat"))]  # fmt: skip
    if not found:
        file.dataset("exchange/data")  # says what of it is damaged
        raise missing(file, "exchange/data")
    names = ", ".join(f"{k} {channel.data}" for k, channel in enumerate(found))
    if ask.image is None:
        notes = (f"channel 0 of {names} (--image chooses another)",) if len(found) > 1 else ()
        return found[0], notes
    if not 0 <= ask.image < len(found):
        raise InputError(f"{file.path}: has the channels {names}, not {ask.image}; choose one with --image")
    return found[ask.image], ()


def _axes(file: Hdf5File, name: str) -> tuple[str, ...]:
    """What its dimensions count: the attribute ``axes`` may say it (``theta:y:x``), else views, rows, columns."""
    said = [axis.strip()[:5] for axis in re.split(r"[:,\s]+", file.attribute(name, "axes").lower().strip())]
    said = ["theta" if axis in ("angle", "frame") else axis for axis in said]
    return tuple(said) if sorted(said) == sorted(_PLACES) else _PLACES


def _row(file: Hdf5File, name: str, row: int, axes: tuple[str, ...]) -> Array:
    """One detector row of a stack of frames: ``[frames, columns]`` in float64."""
    values = file.read_row(name, axes.index("y"), row)
    left = [axis for axis in axes if axis != "y"]
    return np.asarray(values if left == ["theta", "x"] else values.T, dtype=np.float64)


def _field(file: Hdf5File, channel: _Channel, kind: str, row: int, columns: int) -> Array | None:
    """White or dark frames of the row, ``[frames, columns]``; None where there are none."""
    name = next((place for place in channel.fields(kind) if place in file), None)
    if name is None:
        if _SINGLE[kind] not in file:
            return None
        level = np.asarray(file.read(_SINGLE[kind]), dtype=np.float64).reshape(-1)
        if level.size < 1 or not np.isfinite(level[0]):
            raise InputError(f"{file.path}: {_SINGLE[kind]} must be a number")
        return np.full((1, columns), level[0])
    found = file.dataset(name)
    axes = _axes(file, name)
    if axes == _PLACES and found.ndim == 3 and not file.attribute(name, "axes"):
        # Frames that say no order have that of the data, where only that one fits.
        other, whole = _axes(file, channel.data), file.dataset(channel.data).shape
        rows = whole[other.index("y")]
        if found.shape[1:] != (rows, columns) and found.shape[other.index("y")] == rows:
            axes = other
    if found.ndim == 2 and 0 <= row < found.shape[0]:
        values = np.asarray(file.read(name), dtype=np.float64)[None, row]  # a single frame, already averaged
    elif found.ndim == 3 and row < found.shape[axes.index("y")]:
        values = _row(file, name, row, axes)
    else:
        values = np.zeros((0, 0))
    if values.size == 0:
        raise InputError(f"{file.path}: {name} of shape {found.shape} has no detector row {row}; choose one with --row")
    if values.shape[1] != columns:
        raise InputError(f"{file.path}: {name} has {values.shape[1]} columns, {channel.data} {columns}")
    bad = ~(np.abs(values) <= LARGEST_VALUE)
    if bad.any():
        first = np.argwhere(bad)[0]
        raise InputError(
            f"{file.path}: {name} holds {int(bad.sum())} values that are not finite, the first at frame {first[0]}, "
            f"column {first[1]}; replace them"
        )
    return values


def _normalised(
    file: Hdf5File, channel: _Channel, values: Array, angles: Array | None, notes: tuple[str, ...]
) -> Measured:
    """Data without a white field: what they are must be said, in their attributes or by the group's title."""
    said = " ".join([*(file.attribute(channel.data, key) for key in ("units", "description", "long_name")),
                     *(file.text(f"{channel.group}/{key}") for key in ("title", "description"))]).lower()  # fmt: skip
    if any(word in said for word in _NORMALISED):
        values, what = line_integrals_of(file.path, values, 1.0), "shares of the open beam"
    elif any(word in said for word in _LINES):
        what = "line integrals"
    else:
        raise InputError(f"{file.path}: there is no {channel.group}/data_white; raw counts need a white field beside "
                         f"them, and normalised data must say so in the attribute units of {channel.data} "
                         "(transmission, or attenuation)")  # fmt: skip
    note = f"{channel.data} has no white field and is called {said.strip()[:60]!r}: taken for {what}"
    return Measured(sinogram=np.ascontiguousarray(values), notes=(*notes, note), angles_deg=angles, center="auto")


def _angles(file: Hdf5File, channel: _Channel, views: int) -> tuple[Array | None, tuple[str, ...]]:
    """In degrees, and a note; None where the file has none."""
    place = next((name for name in (f"{channel.group}/theta", "exchange/theta") if name in file), None)
    if place is None:
        if f"{_ROTATION}/rotation_step" not in file or f"{_ROTATION}/rotation_start" not in file:
            return None, ()
        start, step = (np.asarray(file.read(f"{_ROTATION}/rotation_{name}"), dtype=np.float64).reshape(-1)
                       for name in ("start", "step"))  # fmt: skip
        if not (start.size and step.size and np.isfinite(start[0]) and np.isfinite(step[0]) and step[0]):
            raise InputError(f"{file.path}: {_ROTATION} says no start and step that are numbers; give --geometry")
        note = f"no theta: {views} angles from {start[0]:g} degrees in steps of {step[0]:g}, by {_ROTATION}"
        return start[0] + step[0] * np.arange(views), (note,)
    theta = np.asarray(file.read(place), dtype=np.float64).reshape(-1)
    if theta.size != views:
        raise InputError(
            f"{file.path}: angles that do not match: {place} has {theta.size} angles, {channel.data} {views} views; "
            "give them by --geometry"
        )
    unit = file.attribute(place, "units").lower()
    if unit.startswith("rad"):
        return np.rad2deg(theta), ()
    span = float(np.ptp(theta))
    if not unit and views > 8 and 0.5 < span <= 2.2 * np.pi:
        return np.rad2deg(theta), (f"{place} states no units and covers {span:.4g}: taken to be radians",)
    return theta, ()
