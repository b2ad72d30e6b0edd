"""HDF5 files that are whole and say something else: by the library itself, so that no checksum stands in the way."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import h5py
import numpy as np


def _names(file: h5py.File) -> list[str]:
    found: list[str] = []
    file.visititems(lambda name, one: found.append(name) if isinstance(one, h5py.Dataset) else None)
    return found


def rebuild(rng: random.Random, path: Path, outside: Path) -> None:
    """One dataset of the file at ``path`` becomes another, or one attribute. ``outside`` is a file to lead to."""
    with h5py.File(path, "r+") as file:
        name = rng.choice(_names(file))
        values, attributes = file[name][()], dict(file[name].attrs)
        if rng.random() < 0.15:
            where = rng.choice([file, file[name], file[name].parent])
            for key in [*where.attrs, "units", "dim0"][:6]:
                where.attrs[key] = rng.choice((0, -1, np.nan, "x" * 60_000, b"\xff", [1.0, 2.0], np.zeros((3, 3)), ""))
            return
        del file[name]
        made = _another(rng, file, name, np.asarray(values), outside)
        if made is not None and rng.random() < 0.8:
            for key, value in attributes.items():
                made.attrs[key] = value


def _another(rng: random.Random, file: h5py.File, name: str, values: np.ndarray, outside: Path) -> Any:
    number = values if values.dtype.kind in "iuf" and values.ndim else np.ones((3, 4))
    shape = number.shape
    far = tuple(rng.choice((1, 10**4, 10**6, 2**40)) for _ in shape)
    chunks = tuple(rng.choice((1, 3, 20_000)) for _ in shape)
    other = rng.choice((np.nan, np.inf, -1e300, 0.0, 1e308))
    odd: Any = [
        number.astype(complex), number > 0, number.astype("S4"), number.astype("f2"), number.astype(">f8"),
        np.array(3.0), np.zeros((0, 4)), np.zeros((2,) * 12), number[..., :1], number[:1], number.T, number[None],
        np.zeros(shape, dtype=[("x", "f8")]), h5py.Empty("f8"), "text", [b"a", b"b"], number * np.nan,
        np.where(np.arange(number.size).reshape(shape) % 7 == 3, other, number.astype(float)), number.astype("g"),
        -number.astype(float), np.repeat(number, 3, axis=0), number.astype("i1"),
    ]  # fmt: skip
    way = rng.randrange(12)
    if way < 6:
        return file.create_dataset(name, data=rng.choice(odd))
    if way == 6:
        file[name] = h5py.ExternalLink(str(outside), "/sinogram")
    elif way == 7:
        file[name] = h5py.SoftLink(rng.choice((f"/{name}", "/", "/nowhere", "../..")))
    elif way == 8:
        return file.create_dataset(name, shape, number.dtype, external=[(str(outside), 0, h5py.h5f.UNLIMITED)])
    elif way == 9:
        layout = h5py.VirtualLayout(shape, number.dtype)
        layout[...] = h5py.VirtualSource(str(outside), "sinogram", shape)
        return file.create_virtual_dataset(name, layout)
    elif way == 10:
        packed = rng.choice((None, "gzip", "lzf"))
        parts = tuple(map(min, chunks, far))
        return file.create_dataset(name, far, rng.choice("bfd"), chunks=parts, compression=packed)
    else:
        made = file.create_dataset(
            name, shape, number.dtype, chunks=tuple(map(min, (2 * np.array(shape)).tolist(), (20_000,) * number.ndim)),
            maxshape=(None,) * number.ndim, compression="gzip",
        )
        made.id.write_direct_chunk((0,) * number.ndim, bytes(rng.randrange(1, 3000)))
        return made
    return None
