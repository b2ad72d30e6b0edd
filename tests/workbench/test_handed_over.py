"""What a Python user may hand over wrongly to what ``import ctrecon`` offers: refused in one line, by its name."""

from __future__ import annotations

import dataclasses
import inspect
import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import ctrecon as ct
from ctrecon.errors import CtreconError, SettingError
from ctrecon.outputs.stack.store import StackTarget
from ctrecon.support.arguments import as_annotated, checked, in_words

BEAM = ct.FanBeam(
    angles_rad=np.linspace(0, 6, 12), detector_count=16, detector_spacing_mm=3.0, source_to_axis_mm=110.0,
    source_to_detector_mm=300.0,
)  # fmt: skip
GRID = ct.Grid(rows=12, columns=12)


class Lost:
    """An array of a device that is gone."""

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise RuntimeError("device lost")


class Odd:
    """Nothing that any argument may be."""

    def __repr__(self) -> str:
        return "Odd\n" * 99


# No argument may be one of these, whatever it is for; and none takes the others of its kind.
NOTHING: dict[str, Any] = {
    "object": Odd(), "complex": 1j, "bytes": b"x", "set": {1}, "class": int, "huge": 10**400,
}  # fmt: skip
NO_NUMBERS: dict[str, Any] = {
    "nan": math.nan, "infinite": math.inf, "truth": True, "array": np.ones(3), "tensor": torch.ones(3, 2),
    "gradient": torch.tensor(2.0, requires_grad=True),
}  # fmt: skip
NO_NAMES: dict[str, Any] = {"empty": "", "nul": "a\0b", "surrogate": "a\ud800.npy"}


def offered() -> dict[str, Callable[..., Any]]:
    """The functions of the front door, and what is done with a result."""
    found = {name: one for name in dir(ct) if inspect.isfunction(one := getattr(ct, name))}
    of_result = {f"Reconstruction.{name}": getattr(ct.Reconstruction, name) for name in (
        "save", "save_volume", "report", "to_dicom"
    )}  # fmt: skip
    return found | of_result


CASES = [
    (name, parameter)
    for name, function in offered().items()
    for parameter, one in inspect.signature(function).parameters.items()
    if parameter != "self" and parameter not in ct.Settings.__dataclass_fields__
]


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What each function needs, by the name of the parameter."""
    folder = tmp_path_factory.mktemp("handed")
    made = ct.simulate("head", geometry=BEAM, grid=GRID, noise=0.05)
    result = ct.reconstruct(made, method="fbp")
    return {
        "scan": made.scan, "subject": result, "a": result, "b": result, "path": folder / "a.npy",
        "folder": folder / "series", "output": folder / "v.zarr", "self": result, "file": folder / "scan.npz",
        "target": StackTarget(path=folder / "v.zarr"),
    }  # fmt: skip


def kinds_of(function: Callable[..., Any], parameter: str) -> str:
    return str(inspect.signature(inspect.unwrap(function)).parameters[parameter].annotation)


def refused(function: Callable[..., Any], values: Mapping[str, Any], parameter: str, bad: Any) -> str:
    """The message with which it refuses a value; what it needs besides is fit."""
    needed = {
        name: values[name] for name, one in inspect.signature(function).parameters.items()
        if one.default is one.empty and one.kind is not one.VAR_KEYWORD and name in values
    }  # fmt: skip
    if function is ct.reconstruct_stack:
        needed["scan"] = values["file"]
    with pytest.raises(CtreconError) as error:
        function(**{**needed, parameter: bad})
    return str(error.value)


@pytest.mark.parametrize(("name", "parameter"), CASES)
def test_nonsense_is_refused_by_the_parameters_name(name: str, parameter: str, given: dict[str, Any]) -> None:
    function = offered()[name]
    kind = kinds_of(function, parameter)
    calls = any(word in kind for word in ("Callable", "Report", "Direction"))
    for what, bad in NOTHING.items():
        if what == "class" and calls:
            continue  # it can be called
        if what == "huge" and "float" in kind:
            bad = Odd()
        said = refused(function, given, parameter, bad)
        assert said.startswith(f"{parameter} "), said
        assert "\n" not in said
        assert len(said) < 400
    if any(word in kind for word in ("int", "float")) and not any(word in kind for word in ("Array", "Roi", "Disc")):
        for bad in NO_NUMBERS.values():
            if bad is not True or "bool" not in kind:
                assert refused(function, given, parameter, bad).startswith(f"{parameter} ")
    if "PathLike" in kind:
        for bad in NO_NAMES.values():
            assert parameter in refused(function, given, parameter, bad)


def test_the_fields_of_settings_and_scans_are_held_against_their_kinds(given: dict[str, Any]) -> None:
    kinds = {one.name: str(one.type) for one in dataclasses.fields(ct.Settings)}
    numbers = [name for name, kind in kinds.items() if "float" in kind or "int" in kind]
    assert len(numbers) > 10
    for name in numbers:
        for bad in (*NOTHING.values(), *NO_NUMBERS.values()):
            if isinstance(bad, int) and not isinstance(bad, bool) and "float" in kinds[name]:
                continue  # its range is another test's
            with pytest.raises(CtreconError, match=name):
                ct.Settings(**{name: bad})
    arrays = ("sinogram", "variance", "mask", "counts", "white", "matrix", "_")
    for field in dataclasses.fields(ct.Scan):
        for what, bad in NOTHING.items():
            if field.name not in arrays and what != "huge":
                with pytest.raises(ct.errors.InputError, match=field.name):
                    dataclasses.replace(given["scan"], **{field.name: bad})


def uneven() -> torch.Tensor:
    """The tensor of rows of several lengths: it loads much of torch, so only the tests that hand it over make it."""
    return torch.nested.nested_tensor(list(torch.ones(BEAM.shape)), layout=torch.jagged)


def sinograms() -> dict[str, Any]:
    """A sinogram in every form in which somebody may have one; what is made by a function is to be called."""
    plain = np.random.default_rng(0).uniform(1, 2, BEAM.shape)
    tensor = torch.from_numpy(plain.copy())
    locked = plain.copy()
    locked.flags.writeable = False
    masked = np.ma.masked_array(plain, mask=plain > 1.9)
    return {
        "mirrored": plain[:, ::-1], "turned": plain[::-1], "fortran": np.asfortranarray(plain), "masked": masked,
        "nan": np.where(plain > 1.9, np.nan, plain), "locked": locked, "big endian": plain.astype(">f8"),
        "nested": plain.tolist(), "tensor": tensor, "graph": tensor.clone().requires_grad_(), "flipped": tensor.flip(1),
        "half": tensor.half(), "bfloat": tensor.bfloat16(), "sparse": tensor.to_sparse(), "meta": tensor.to("meta"),
        "complex": plain + 0j, "whole": (100 * plain).astype(int), "truth": plain > 1.5,
        "objects": plain.astype(object), "none": np.full(BEAM.shape, None), "text": plain.astype(str),
        "long": plain.astype(np.longdouble),
        "empty": plain[:0], "line": plain.ravel(), "deep": plain[None], "narrow": plain[:, :-1], "turn": plain.T,
        "ragged": [[1.0], [1.0, 2.0]], "infinite": np.full(BEAM.shape, np.inf), "far": np.full(BEAM.shape, 1e31),
        "lost": Lost(), "uneven": uneven,
        "fields": np.zeros(3, dtype=[("a", float)]), "number": 3.0, "nothing": None, "zero": 0 * plain,
    }  # fmt: skip


TAKEN = {
    "mirrored", "turned", "fortran", "masked", "nan", "locked", "big endian", "nested", "tensor", "graph", "flipped",
    "zero",
}  # fmt: skip


@pytest.mark.parametrize("what", sorted(sinograms()))
def test_a_sinogram_is_taken_or_refused_and_nothing_else(what: str) -> None:
    values = sinograms()[what]
    values = values() if callable(values) else values
    if what not in TAKEN:
        with pytest.raises(CtreconError, match=r"\S"):
            ct.Scan(values, BEAM, grid=GRID)
        return
    scan = ct.Scan(values, BEAM, grid=GRID)
    assert (scan.mask is not None) == (what in ("masked", "nan"))
    if what == "zero":
        with pytest.raises(ct.errors.InputError, match="no noise was found"):
            ct.reconstruct(scan, method="fbp")
    else:
        data = torch.from_numpy(scan.sinogram).float()[None, None]  # which refuses strides below zero
        assert ct.operator(scan).adjoint(data).shape == (1, 1, *GRID.shape)


@pytest.mark.parametrize("what", sorted(set(sinograms()) - {"deep"}))
def test_a_mask_is_taken_or_refused_and_nothing_else(what: str) -> None:
    values = sinograms()[what]
    values = values() if callable(values) else values
    good = np.full(BEAM.shape, 1.5)
    if what == "nothing":
        assert ct.Scan(good, BEAM, mask=values).mask is None
    elif what == "truth":
        assert ct.Scan(good, BEAM, mask=torch.from_numpy(values)).usable_count == values.sum()
    else:
        with pytest.raises(CtreconError, match="mask"):
            ct.Scan(good, BEAM, mask=values)


@pytest.mark.parametrize(
    "bad",
    [
        np.ma.masked_array(np.linspace(0, 6, 12), mask=np.arange(12) == 3), np.linspace(0, 6, 12) + 0j, ["0", "1"],
        np.array(["2020-01-01"], dtype="datetime64[D]"), [True, False], torch.ones(3, device="meta"), [[0], [1, 2]],
        torch.ones(3, dtype=torch.bfloat16), b"12", {0: 1}, 3j,
    ],
    ids=str,
)  # fmt: skip
def test_angles_that_would_lose_something_are_refused(bad: Any) -> None:
    with pytest.raises(ct.errors.GeometryError, match="angles_rad"):
        ct.ParallelBeam(angles_rad=bad, detector_count=9)


def test_angles_of_a_tensor_are_taken() -> None:
    angles = torch.linspace(0, 3, 5, dtype=torch.float64, requires_grad=True)
    assert ct.ParallelBeam(angles_rad=angles, detector_count=9).angles_rad == tuple(angles.tolist())  # type: ignore[arg-type]


def test_numbers_of_numpy_reach_a_function_as_pythons_own() -> None:
    @checked
    def told(a: int, b: float, c: bool, d: str | os.PathLike[str]) -> list[type]:
        return [type(one) for one in (a, b, c)]

    assert told(np.int16(3), np.float32(2.5), np.bool_(True), Path("x")) == [int, float, bool]  # type: ignore[arg-type]
    with pytest.raises(SettingError, match=r"a must be a whole number, got 2\.5"):
        told(2.5, 1.0, True, "x")  # type: ignore[arg-type]
    with pytest.raises(SettingError, match="d must be the name of a file or folder, got 3"):
        told(1, 1.0, True, 3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="unexpected"):
        told(1, 1.0, True, "x", e=1)  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("name", "given", "words"),
    [
        ("reconstruct", {"detla": 1}, "'detla'; did you mean delta"), ("simulate", {"nois": 1}, "did you mean noise"),
        ("reconstruct_stack", {"delta": 1}, r"did you mean settings=Settings\(delta=\.\.\.\)"),
        ("audit", {"zzz": 1}, "'zzz'; it takes everywhere, gap, "), ("members", {}, "missing a required argument"),
    ],
)
def test_a_keyword_that_is_none_is_told_with_the_one_that_is_meant(name: str, given: Any, words: str) -> None:
    needed = {} if not given or name == "simulate" else {"scan": 1, "output": "", "subject": ""}
    known = inspect.signature(getattr(ct, name)).parameters
    with pytest.raises(TypeError, match=rf"^{name}\(\) .*{words}"):
        getattr(ct, name)(**{key: value for key, value in needed.items() if key in known}, **given)


def test_what_is_open_is_not_refused() -> None:
    assert as_annotated("x", Odd, Any) is Odd
    assert in_words(float | None) == "a finite number or None"
    assert in_words(ct.Grid | None) == "a Grid or None"
