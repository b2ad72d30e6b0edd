"""The cache of matrices gives back what was built, notices damage and forgets the oldest."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch
from beams import GRID, fan, parallel
from torch import Tensor

from ctrecon.geometry.base import Geometry
from ctrecon.operators.cache import cached_sparse_operator
from ctrecon.operators.choose import choose_operator
from ctrecon.operators.sparse import SparseOperator, matrix_bytes, sparse_operator


def cached(folder: Path, geometry: Geometry | None = None, dtype: torch.dtype = torch.float32, **limits: int) -> Tensor:
    operator = cached_sparse_operator(
        geometry or parallel(), GRID, dtype=dtype, directory=folder, **{"least_bytes": 0, **limits}
    )
    return operator(torch.ones(1, 1, *GRID.shape, dtype=dtype))


def test_the_cache_gives_back_what_was_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = sparse_operator(parallel(), GRID)(torch.ones(1, 1, *GRID.shape))
    assert torch.equal(cached(tmp_path), expected)
    assert len(list(tmp_path.iterdir())) == 1

    def refuse(*_: object) -> None:
        raise AssertionError("built again")

    with monkeypatch.context() as patch:
        patch.setattr("ctrecon.operators.cache.joseph_matrix", refuse)
        assert torch.equal(cached(tmp_path), expected)
        for other in (parallel(offset=0.31), fan()):
            with pytest.raises(AssertionError, match="built again"):
                cached(tmp_path, other)
        with pytest.raises(AssertionError, match="built again"):
            cached(tmp_path, dtype=torch.float64)
    assert cached(tmp_path, dtype=torch.float64).dtype == torch.float64
    assert len(list(tmp_path.iterdir())) == 2


def test_any_changed_byte_is_noticed(tmp_path: Path) -> None:
    expected = cached(tmp_path)
    (folder,) = tmp_path.iterdir()
    for file in sorted(folder.iterdir()):
        whole = file.read_bytes()
        for damaged in (whole[:-3], b"", whole[:-1] + bytes([whole[-1] ^ 1]), whole[:100] + b"\xff" + whole[101:]):
            file.write_bytes(damaged)
            assert torch.equal(cached(tmp_path), expected)
            assert (tmp_path / folder.name / file.name).read_bytes() == whole
        file.unlink()
        assert torch.equal(cached(tmp_path), expected)
    (folder / "entry.json").write_text(json.dumps([]))
    assert torch.equal(cached(tmp_path), expected)


def test_the_cache_forgets_the_oldest(tmp_path: Path) -> None:
    size = matrix_bytes(parallel(), GRID)
    geometries = [parallel(offset=offset) for offset in (0.1, 0.2, 0.3)]
    names: list[str] = []
    for age, geometry in zip((300, 200, 100), geometries, strict=True):
        cached(tmp_path, geometry, limit_bytes=int(2.5 * size))
        (new,) = {path.name for path in tmp_path.iterdir()} - set(names)
        names.append(new)
        os.utime(tmp_path / new, (1e9 - age, 1e9 - age))
    assert {path.name for path in tmp_path.iterdir()} == set(names[1:])
    (tmp_path / "new-left-by-a-crash").mkdir()
    os.utime(tmp_path / "new-left-by-a-crash", (1e9, 1e9))
    cached(tmp_path, geometries[0], limit_bytes=int(1.5 * size))
    assert {path.name for path in tmp_path.iterdir()} == {names[0]}
    cached(tmp_path, geometries[1], limit_bytes=10)
    assert {path.name for path in tmp_path.iterdir()} == {names[0]}


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    expected = cached(tmp_path / "good")
    assert torch.equal(cached(tmp_path / "file" / "below"), expected)


def test_small_matrices_are_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CTRECON_CACHE", str(tmp_path))
    assert isinstance(choose_operator(parallel(), GRID, name="sparse"), SparseOperator)
    assert list(tmp_path.iterdir()) == []
