"""Matrix pairs kept on disk, so that the next run need not build them again.

An entry is a folder named after a hash of all that the matrix depends on; it holds six ``.npy`` files and
``entry.json`` with their hashes. It is written aside and renamed, so that a half-written one is never seen; one that
does not check is built anew.

Reading and checking an entry takes about half as long as building it (two cores: 2.3 s against 4.8 s for the
2.6 GB of 512 x 512 pixels and 360 views, 0.07 s against 0.17 s for the 87 MB of 164 x 164 and 120). So pairs below
``LEAST_BYTES`` are not kept: what they would save, nobody waits for.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs
import scipy.sparse
import torch

from ctrecon.geometry.base import Geometry
from ctrecon.geometry.grid import Grid
from ctrecon.operators.sparse import SparseOperator, joseph_matrix, matrix_fits, sparse_operator
from ctrecon.support.arrays import Array
from ctrecon.support.threads import split

# Raise it whenever footprint.py or sparse.py give other entries than before.
FORMAT = 1
LIMIT_BYTES = 8 << 30
LEAST_BYTES = 256 << 20
_ENTRY = "entry.json"
_ASIDE = "new-"
_PARTS = ("indptr", "indices", "data")
_MATRICES = ("matrix", "transpose")


def cache_directory() -> Path:
    """``CTRECON_CACHE``, or the place this system keeps for such files."""
    own = os.environ.get("CTRECON_CACHE")
    return Path(own) if own else platformdirs.user_cache_path("ctrecon") / "operators"


def cached_sparse_operator(
    geometry: Geometry,
    grid: Grid,
    *,
    dtype: torch.dtype = torch.float32,
    directory: Path | None = None,
    least_bytes: int = LEAST_BYTES,
    limit_bytes: int = LIMIT_BYTES,
) -> SparseOperator:
    """``sparse_operator``, from ``directory`` (default ``cache_directory()``) where it is there, else kept there.

    Pairs below ``least_bytes`` are built each time. The entries longest unused go when all of them together exceed
    ``limit_bytes``. A directory that cannot be written is no error: the operator is then built each time.
    """
    if matrix_fits(geometry, grid, least_bytes - 1):
        return sparse_operator(geometry, grid, dtype=dtype)
    directory = cache_directory() if directory is None else directory
    kind = np.dtype(np.float64 if dtype == torch.float64 else np.float32)
    rays, pixels = math.prod(geometry.shape), math.prod(grid.shape)
    folder = directory / _key(geometry, grid, kind)
    pair = _load(folder, rays, pixels, kind)
    if pair is None:
        shutil.rmtree(folder, ignore_errors=True)
        matrix = joseph_matrix(geometry, grid, kind)
        pair = matrix, matrix.T.tocsr()
        _store(folder, pair, limit_bytes)
    return SparseOperator(pair[0], (1, *grid.shape), (1, *geometry.shape), dtype=dtype, transpose=pair[1])


def _key(geometry: Geometry, grid: Grid, kind: np.dtype[Any]) -> str:
    vectors = geometry.to_vectors()
    # The class says in other words where the rays are; where its code has changed since, the words are still the same.
    stand = hashlib.sha256(b"".join(part.tobytes() for part in (vectors.source, vectors.detector, vectors.u)))
    content = {
        "format": FORMAT, "geometry": geometry.to_dict(), "vectors": stand.hexdigest(), "image": grid.to_dict(),
        "dtype": kind.name,
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _load(
    folder: Path, rays: int, pixels: int, kind: np.dtype[Any]
) -> tuple[scipy.sparse.csr_matrix, scipy.sparse.csr_matrix] | None:
    """The pair, mapped from disk, or None where there is none or any byte of it is not as it was written."""
    try:
        hashes = json.loads((folder / _ENTRY).read_text())
        arrays = {
            name: np.load(folder / f"{name}.npy", mmap_mode="c", allow_pickle=False)
            for name in (f"{matrix}_{part}" for matrix in _MATRICES for part in _PARTS)
        }
        for matrix, rows in zip(_MATRICES, (rays, pixels), strict=True):
            indptr, indices, data = (arrays[f"{matrix}_{part}"] for part in _PARTS)
            fits = indptr.shape == (rows + 1,) and indices.shape == data.shape == (int(indptr[-1]),)
            if not fits or (indptr.dtype, indices.dtype, data.dtype) != (np.int32, np.int32, kind):
                return None
        if _hashes(arrays) != hashes:
            return None
    except (OSError, EOFError, ValueError, IndexError):
        return None
    with contextlib.suppress(OSError):
        os.utime(folder)
    pair = []
    for matrix, shape in zip(_MATRICES, ((rays, pixels), (pixels, rays)), strict=True):
        indptr, indices, data = (np.asarray(arrays[f"{matrix}_{part}"]) for part in _PARTS)
        pair.append(scipy.sparse.csr_matrix((data, indices, indptr), shape=shape, copy=False))
    return pair[0], pair[1]


def _hashes(arrays: dict[str, Array]) -> dict[str, str]:
    found: dict[str, str] = {}
    names = sorted(arrays)

    def work(a: int, b: int) -> None:
        for name in names[a:b]:
            found[name] = hashlib.sha256(np.ascontiguousarray(arrays[name]).data).hexdigest()

    split(len(names), work, pieces=len(names))
    return found


def _store(
    folder: Path, pair: tuple[scipy.sparse.csr_matrix, scipy.sparse.csr_matrix], limit_bytes: int
) -> None:
    arrays = {
        f"{name}_{part}": getattr(matrix, part)
        for name, matrix in zip(_MATRICES, pair, strict=True)
        for part in _PARTS
    }
    size = sum(array.nbytes for array in arrays.values())
    if size > limit_bytes:
        return
    aside: Path | None = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        _make_room(folder.parent, limit_bytes - size)
        aside = Path(tempfile.mkdtemp(prefix=_ASIDE, dir=folder.parent))
        for name, array in arrays.items():
            np.save(aside / f"{name}.npy", array, allow_pickle=False)
        (aside / _ENTRY).write_text(json.dumps(_hashes(arrays), sort_keys=True))
        aside.rename(folder)
    except OSError:
        # Another process was faster, or the disk is full or not ours.
        if aside is not None:
            shutil.rmtree(aside, ignore_errors=True)


def _make_room(directory: Path, limit_bytes: int) -> None:
    """Delete the entries longest unused until the rest takes at most ``limit_bytes``, and what a crash left."""
    for path in directory.glob(f"{_ASIDE}*"):
        if time.time() - path.stat().st_mtime > 86400:
            shutil.rmtree(path, ignore_errors=True)
    entries = [(path.stat().st_mtime, path) for path in directory.iterdir() if (path / _ENTRY).is_file()]
    sizes = {path: sum(file.stat().st_size for file in path.iterdir()) for _, path in entries}
    total = sum(sizes.values())
    for _, path in sorted(entries):
        if total <= limit_bytes:
            return
        shutil.rmtree(path, ignore_errors=True)
        total -= sizes[path]
