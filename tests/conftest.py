"""What every test gets: a fixed seed, two threads, and the data where they are."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

THREADS = min(2, os.cpu_count() or 1)


@pytest.fixture(autouse=True)
def _seed_and_threads() -> Iterator[None]:
    """The same numbers whichever test ran before, and no fight over cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(THREADS)
    torch.manual_seed(0)
    np.random.seed(0)
    yield
    torch.set_num_threads(before)


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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if torch.cuda.is_available():
        return
    skip = pytest.mark.skip(reason="no CUDA device on this machine")
    for item in items:
        if item.get_closest_marker("gpu"):
            item.add_marker(skip)


@pytest.fixture(scope="session")
def axes_series(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The series of ``axes_scan`` for each patient position; the raw data stand beside them."""
    from axes_scan import POSITIONS, make_series

    folder = tmp_path_factory.mktemp("axes")
    return {position: make_series(folder, position) for position in POSITIONS}
