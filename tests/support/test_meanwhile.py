"""A call beside the caller's work: once, with its result or its error, and not waited for in vain."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch

import ctrecon as ct
from ctrecon.diagnosis.doubts import a_sign, doubts_about
from ctrecon.support.meanwhile import Meanwhile


@pytest.fixture(params=[1, 2])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(1)


def test_it_is_called_once_and_beside_where_there_are_threads(threads: int) -> None:
    who: list[str] = []

    def work(wanted: Callable[[], bool]) -> int:
        who.append(threading.current_thread().name)
        assert wanted()
        return 7

    with Meanwhile(work) as call:
        assert call.result() == 7
    [one] = who
    assert (one != threading.current_thread().name) == (threads > 1)


def test_its_error_is_that_of_the_result(threads: int) -> None:
    def work(wanted: Callable[[], bool]) -> int:
        raise KeyError("a cause")

    with Meanwhile(work) as call, pytest.raises(KeyError, match="a cause"):
        call.result()


def test_nobody_waits_for_what_is_not_wanted_any_more(threads: int) -> None:
    began = threading.Event()

    def work(wanted: Callable[[], bool]) -> None:
        began.set()
        while wanted():
            pass

    def leave() -> None:
        with Meanwhile(work):
            assert threads == 1 or began.wait(10)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        leave()
    assert began.is_set() == (threads > 1)
    assert not any(thread.name.startswith("ctrecon-meanwhile") for thread in threading.enumerate())


@pytest.mark.parametrize("moved", [0, pytest.param(3, marks=pytest.mark.long)])
def test_what_is_in_doubt_and_the_image_are_the_same_however_many_threads(
    moved: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ctrecon.reconstruction.run.doubts_about", doubts_about)
    scan = ct.simulate("head", beam="parallel", size=24, views=30, noise=0.005).scan
    scan = replace(scan, sinogram=np.roll(scan.sinogram, moved, axis=1), white=None, counts=None)
    found = []
    for count in (1, 2):
        torch.set_num_threads(count)
        found.append(ct.reconstruct(scan, method="cgls", delta="auto"))
    torch.set_num_threads(1)
    one, two = found
    assert one.scan.notes == two.scan.notes
    assert any(note.startswith("doubt: ") for note in one.scan.notes) == (moved > 0)
    assert np.array_equal(one.image, two.image)


def test_a_sign_is_not_looked_for_when_nobody_wants_it() -> None:
    scan = ct.simulate("head", beam="parallel", size=24, views=30, noise=0.005).scan
    asked = iter([True, False])
    assert not a_sign(scan, lambda: next(asked, False))
    assert next(asked, None) is None
