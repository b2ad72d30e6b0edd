from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from chromium import started
from desk_cases import make_folder
from desk_client import Client, serving


@pytest.fixture(scope="session")
def desk_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made once; a test that changes something copies it."""
    folder = tmp_path_factory.mktemp("desk") / "results"
    make_folder(folder)
    return folder


@pytest.fixture(scope="session")
def desk(desk_folder: Path) -> Iterator[Client]:
    with serving(desk_folder) as server:
        yield Client(server)


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    yield from started(tmp_path_factory.mktemp("profile"))
