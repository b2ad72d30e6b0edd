"""Laws over every method by introspection: one name, one file, settings by their names, needs before any work."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

import ctrecon as ct
from ctrecon.classical.fbp import WINDOWS as FILTERS
from ctrecon.cli.commands.reconstruct import WINDOWS, command
from ctrecon.cli.commands.reconstruct import settings_of as settings_from
from ctrecon.errors import SettingError
from ctrecon.reconstruction import methods, objectives, problem
from ctrecon.reconstruction.methods import METHODS, load_method, settings_of
from ctrecon.reconstruction.objectives import load_energy, load_regulariser
from ctrecon.reconstruction.settings import Settings

FIELDS = {field.name: field.default for field in dataclasses.fields(Settings)}
# What run() gives beside settings.
OBJECTS = {"direction", "objective"}


def test_every_file_has_a_function_of_its_name() -> None:
    files = {path.stem.replace("_", "-") for path in Path(str(methods.__file__)).parent.glob("[!_]*.py")}
    assert files == set(METHODS)
    assert METHODS[0] == Settings().method, "what is taken where none is named comes first"
    for names, load in (
        (METHODS, load_method), (objectives.ENERGIES, load_energy), (objectives.REGULARISERS, load_regulariser)
    ):
        assert names
        assert all(callable(load(name)) for name in names), "a file has a function of its name"


@pytest.mark.parametrize("name", METHODS)
def test_a_method_takes_settings_by_their_names(name: str) -> None:
    method = load_method(name)
    assert settings_of(method) - OBJECTS <= set(FIELDS)
    first, *rest = inspect.signature(method).parameters.values()
    assert first.name == "problem"
    assert all(p.kind is p.KEYWORD_ONLY and p.default is not p.empty for p in rest)
    assert inspect.getdoc(method)


def test_every_setting_is_an_option_of_the_command_with_the_same_default() -> None:
    params = command.make_context("reconstruct", ["scan.npy"]).params
    assert set(FIELDS) <= set(params)
    assert settings_from(params) == Settings()
    assert tuple(WINDOWS) == FILTERS


def matrix_scan() -> ct.Scan:
    rng = np.random.default_rng(0)
    return ct.Scan(rng.random((4, 6)) + 1, matrix=sparse.random(24, 25, 0.5, "csr", random_state=0))


def free_scan() -> ct.Scan:
    free = ct.VectorGeometry(
        parallel=True, source=((0.0, 1.0), (1.0, 0.0)), detector_mm=((0.0, 20.0), (20.0, 0.0)),
        detector_axis=((1.0, 0.0), (0.0, -1.0)), detector_count=12,
    )  # fmt: skip
    return ct.Scan(np.random.default_rng(0).random((2, 12)) + 1, free)


@pytest.mark.parametrize("make", [matrix_scan, free_scan])
def test_what_a_method_needs_is_refused_before_any_work(make: object, monkeypatch: pytest.MonkeyPatch) -> None:
    def worked(*_: object, **__: object) -> None:
        raise AssertionError("an operator was made")

    monkeypatch.setattr("ctrecon.reconstruction.run.prepare", worked)
    with pytest.raises(ct.errors.CtreconError, match=r"FBP needs; use another --method|filtered back projection needs"):
        ct.reconstruct(make(), method="fbp", delta=1)  # type: ignore[operator]
    with pytest.raises(ct.errors.CtreconError, match="which --energy poisson needs"):
        ct.reconstruct(make(), energy="poisson", delta=1)  # type: ignore[operator]
    with pytest.raises(AssertionError, match="an operator was made"):
        ct.reconstruct(make(), method="cgls", delta=1)  # type: ignore[operator]
    assert problem.prepare is not worked


@pytest.mark.parametrize("load", [load_method, load_energy, load_regulariser])
def test_a_name_that_is_none_is_refused_with_those_there_are(load: Callable[[str], object]) -> None:
    with pytest.raises(SettingError, match=r"there is no \w+ 'best'; use (energy|least-squares|huber-tv)"):
        load("best")
