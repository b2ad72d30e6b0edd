"""What every test gets: a fixed seed, one thread, and the data where they are."""

from __future__ import annotations

import compileall
import contextlib
import copy
import fcntl
import gc
import hashlib
import importlib
import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from cores import THREADS

from ctrecon.auditing.evidence import Evidence
from ctrecon.auditing.members.ground import Ground
from ctrecon.diagnosis.diagnose import diagnose
from ctrecon.diagnosis.doubts import doubts_about
from ctrecon.measurement.scan import Scan


@pytest.fixture(autouse=True)
def _seed_and_threads() -> Iterator[None]:
    """The same numbers whichever test ran before, and no fight over cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(THREADS)
    torch.default_generator.manual_seed(0)
    if torch.cuda.is_available():  # without one, each of these calls notes where it came from, at length
        torch.cuda.manual_seed_all(0)
    np.random.seed(0)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True, scope="session")
def _no_waiting_for_the_disk() -> Iterator[None]:
    """No test pulls the plug, so nothing need reach the disk at once; those of a failing ``fsync`` bring their own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield


# Where every reconstruction looks for what may be wrong with its scan, as it does for a user. That is an eighth of the
# time of all tests, and elsewhere nothing is said of it: there only tests with the mark `doubts` do, and long ones.
_DOUBTING = "tests/diagnosis"
_doubting = [True]


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    where = item.path.relative_to(item.config.rootpath).as_posix()
    _doubting[0] = where.startswith(_DOUBTING) or any(item.get_closest_marker(name) for name in ("doubts", "long"))


@pytest.fixture(autouse=True, scope="session")
def _each_scan_is_diagnosed_once() -> Iterator[None]:
    """Many tests reconstruct one scan again and again; what is doubtful of it is the same each time."""
    known: dict[tuple[object, ...], object] = {}

    def remembered(of: Callable[..., object], scan: Scan, **more: object) -> object:
        try:
            key = (of, more.get("met"), hashlib.sha256(pickle.dumps(scan)).digest())
        except (pickle.PicklingError, AttributeError, TypeError):  # a geometry written within a test
            return of(scan, **more)
        if key not in known:
            known[key] = of(scan, **more)
        return known[key]

    def doubts(scan: Scan, *, met: bool, sign: Callable[[], bool] | None = None) -> object:
        return remembered(doubts_about, scan, met=met) if _doubting[0] else None

    with pytest.MonkeyPatch.context() as patch:
        for module in ("reconstruction.run", "diagnosis.doubts"):  # where `info` looks for it
            patch.setattr(f"ctrecon.{module}.doubts_about", doubts)
        for name in ("diagnosis.doubts.diagnose", "workbench.diagnose.tried"):
            patch.setattr(f"ctrecon.{name}", partial(remembered, diagnose))
        yield


@pytest.fixture(autouse=True, scope="session")
def _each_scan_has_one_smoothest_image() -> Iterator[None]:
    """Audits, comparisons and members begin with it: the same for the same operator, data, weights and delta."""
    known: dict[bytes, object] = {}

    def remembered(owner: type[Evidence | Ground]) -> property:
        found = vars(owner)["smoothest"].func

        def smoothest(one: Evidence | Ground) -> object:
            of = one if isinstance(one, Evidence) else one.evidence
            if isinstance(one, Ground) and one.problem.device.type != "cpu":
                return found(one)  # a device that is played by the processor cannot be copied
            parts = (of.values["operator"], of.data, of.weights, of.entries, of.delta, of.image.shape)
            key = hashlib.sha256(pickle.dumps((owner, parts))).digest()
            if key not in known:
                known[key] = found(one)
            return copy.deepcopy(known[key])

        return property(smoothest)

    with pytest.MonkeyPatch.context() as patch:
        for owner in (Evidence, Ground):
            patch.setattr(owner, "smoothest", remembered(owner))
        yield


@pytest.fixture(autouse=True, scope="session")
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Tests neither fill nor trust the user's cache of matrices."""
    patch = pytest.MonkeyPatch()
    patch.setenv("CTRECON_CACHE", str(tmp_path_factory.mktemp("cache")))
    yield
    patch.undo()


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of the development data: ``CTRECON_DATA``, by default ``../shared/data`` beside the checkout."""
    folder = Path(os.environ.get("CTRECON_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"the development data are not here ({folder}); CTRECON_DATA names their folder")
    return folder.resolve()


def pytest_configure(config: pytest.Config) -> None:
    """Of several processes one more compiles for all, while they collect; what it prints is an error of its own."""
    if config.getoption("numprocesses", None) and not config.option.collectonly:
        # Some tests have a home of their own, where matplotlib would look through all fonts anew.
        os.environ.setdefault("MPLCONFIGDIR", str(Path.home() / ".cache" / "matplotlib"))
        compiling = subprocess.Popen([sys.executable, Path(__file__).with_name("compiled.py")])
        config.add_cleanup(lambda: (compiling.kill(), compiling.wait()))


@pytest.hookimpl(tryfirst=True)
def pytest_collection(session: pytest.Session) -> None:
    """Of several processes each first compiles its share of the package and of the tests, which the others then read:
    in a fresh clone every one would compile it all, and rewrite all assertions."""
    given = getattr(session.config, "workerinput", None)
    here = Path(__file__).parent
    if given is None or all(Path(name).resolve() != here for name in session.config.args):
        return
    number, count = int(given["workerid"].removeprefix("gw")), given["workercount"]
    if not sys.dont_write_bytecode:
        for path in sorted((here.parent / "ctrecon").rglob("*.py"))[number::count]:
            compileall.compile_file(path, quiet=2)
    for path in sorted(here.rglob("test_*.py"))[number::count]:
        if str(path.parent) not in sys.path:
            sys.path.insert(0, str(path.parent))
        with contextlib.suppress(Exception, pytest.skip.Exception):  # the collection finds it again, and says so
            importlib.import_module(path.stem)


def pytest_collection_finish() -> None:
    """What the imports and the list of tests hold stays; the collector need not go through it time and again."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(tryfirst=True)  # before `-m` chooses by marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks of several tests at once: the cases of a family that are not among its sample, and tests of a GPU."""
    families: dict[str, list[pytest.Item]] = {}
    for item in items:
        if item.get_closest_marker("sampled"):
            families.setdefault(item.nodeid.split("[")[0], []).append(item)
    for family in families.values():
        [count] = family[0].get_closest_marker("sampled").args
        kept = set(np.linspace(0, len(family) - 1, count).round().astype(int).tolist())
        for number, item in enumerate(family):
            if number not in kept:
                item.add_marker(pytest.mark.long)
    if torch.cuda.is_available():
        return
    skip = pytest.mark.skip(reason="no CUDA device on this machine")
    for item in items:
        if item.get_closest_marker("gpu"):
            item.add_marker(skip)


class AxesSeries(dict[str, Path]):
    """By patient position; each is made when it is asked for, by the first process of all that run tests."""

    def __init__(self, base: Path) -> None:
        self.base = base

    def __missing__(self, position: str) -> Path:
        from axes_scan import make_series

        folder = self.base / f"axes-{position}"
        with (self.base / f"axes-{position}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not folder.exists():
                making = folder.with_name(f"axes-{position}-in-the-making")
                shutil.rmtree(making, ignore_errors=True)
                making.mkdir()
                make_series(making, position)
                making.rename(folder)
        self[position] = folder / position
        return self[position]


@pytest.fixture(scope="session")
def axes_series(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The series of ``axes_scan`` for each patient position; the raw data stand beside them."""
    base = tmp_path_factory.getbasetemp()
    return AxesSeries(base.parent if "PYTEST_XDIST_WORKER" in os.environ else base)
