"""What the front door returns is shown in one line, printed in words, and given as plain values."""

from __future__ import annotations

import copy
import inspect
import json
import typing
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import ctrecon as ct

SIMULATED = ct.simulate("chest", size=32, views=24, noise=0.02, seed=4)


@cache
def reconstruction(method: str = "cgls") -> Any:
    return ct.reconstruct(SIMULATED.scan, method=method, delta="auto")


def verified(folder: Path) -> Any:
    reconstruction().save(folder / "a.npy")
    return ct.verify(folder / "a.certificate.json")


MADE: dict[str, Callable[[Path], Any]] = {
    "reconstruct": lambda _: reconstruction(),
    "diagnose": lambda _: ct.diagnose(SIMULATED.scan),
    "calibrate": lambda _: ct.calibrate(SIMULATED.scan, rounds=1),
    "compare": lambda _: ct.compare(reconstruction(), reconstruction("huber-tv"), iterations=20),
    "members": lambda _: ct.members(reconstruction(), count=1),
    "audit": lambda _: ct.audit(reconstruction("huber-tv"), roi=(16, 16, 3), iterations=20),
    "verify": verified,
    "simulate": lambda _: SIMULATED,
    "read_scan": lambda _: SIMULATED.scan,
    "operator": lambda _: ct.operator(SIMULATED.scan),
}
# Of a whole stack: a folder of files, tested where those are.
ELSEWHERE = {"reconstruct_stack"}


def test_every_function_of_the_front_door_is_among_them() -> None:
    functions = {name for name in dir(ct) if inspect.isfunction(getattr(ct, name))}
    assert functions == set(MADE) | ELSEWHERE


@pytest.mark.sampled(1)
@pytest.mark.parametrize("name", sorted(MADE))
def test_one_line(name: str, tmp_path: Path) -> None:
    said = repr(MADE[name](tmp_path))
    assert "\n" not in said
    assert len(said) < 320, said


@pytest.mark.parametrize("name", sorted({*MADE} - {"verify"}))
def test_it_is_found_in_a_list_and_can_be_a_key(name: str, tmp_path: Path) -> None:
    """What holds arrays is equal to itself alone: to compare these by value raises NumPy's own errors."""
    made = MADE[name](tmp_path)
    twin = copy.copy(made)
    assert [twin, made].index(made) == 1
    assert {made: 1, twin: 2}[made] == 1


@pytest.mark.parametrize("name", ["audit", "calibrate", "compare", "diagnose", "members", "reconstruct", "verify"])
def test_words_and_plain_values(name: str, tmp_path: Path) -> None:
    made = MADE[name](tmp_path)
    assert str(made) not in ("", repr(made))
    values = made.to_dict()
    assert values
    assert json.loads(json.dumps(values, allow_nan=False)) is not None
    assert typing.get_type_hints(type(made).to_dict)["return"] == dict[str, Any]
