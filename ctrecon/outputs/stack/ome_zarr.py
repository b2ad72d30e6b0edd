"""OME-Zarr 0.4: the volume as certified, in chunks of a slice, and the same coarser by halves for viewers.

J. Moore et al., OME-Zarr: a cloud-optimized bioimaging file format with international community support, Histochem.
Cell Biol. 160, 2023. Zarr format 2, axes z, y, x in mm, "/" between the numbers of a chunk. A coarser voxel is the
mean of the (up to) 2 x 2 x 2 voxels that it stands for.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numcodecs import Blosc

from ctrecon.errors import InputError
from ctrecon.outputs.stack.manifest import Manifest
from ctrecon.outputs.stack.names import EVIDENCE
from ctrecon.outputs.stack.volume_file import ATTENUATION
from ctrecon.support.arrays import Array
from ctrecon.support.json_text import parse_json
from ctrecon.support.limits import reason

_FINE_ENOUGH = 256
_MOST_JSON = 1 << 20
_UNITS = {"mm": "millimeter"}


class OmeZarr:
    """``NAME.zarr``: a folder that any viewer of the field opens."""

    suffix, values, folder = ".zarr", ATTENUATION, True

    def write(self, path: Path, manifest: Manifest, slices: Iterator[Array]) -> None:
        """See ``VolumeFile``."""
        group = zarr.open_group(store=path, mode="a", zarr_format=2)
        with zarr.config.set({"array.write_empty_chunks": True}):
            arrays = [_array(group, str(level), shape) for level, shape in enumerate(level_shapes(manifest.shape))]
            for level, k, values in _all_levels(slices, len(arrays)):
                arrays[level][k] = values
        group.attrs.update(attributes(manifest))

    def read(self, path: Path, manifest: Manifest) -> Iterator[Array]:
        """See ``VolumeFile``; the coarser levels are compared on the way."""
        shapes = level_shapes(manifest.shape)
        known = {".zgroup", ".zattrs", EVIDENCE, *(str(level) for level in range(len(shapes)))}
        others = sorted(one.name for one in path.iterdir() if one.name not in known)
        if others:
            raise InputError(f"{path}: holds {others[0]!r}, which is no part of such a store")
        if _json(path / ".zattrs") != json.loads(json.dumps(attributes(manifest))):
            raise InputError(f"{path}: its attributes (.zattrs) do not say what the manifest says")
        arrays = []
        for level, shape in enumerate(shapes):
            _check_array(path / str(level) / ".zarray", shape)
            arrays.append(zarr.open_array(store=path / str(level), mode="r", zarr_format=2))

        def stored() -> Iterator[Array]:
            for k in range(shapes[0][0]):
                yield _chunk(path, arrays[0], 0, k)

        for level, k, values in _all_levels(stored(), len(shapes)):
            if level == 0:
                yield values
            elif not np.array_equal(_chunk(path, arrays[level], level, k), values, equal_nan=True):
                raise InputError(f"{path}: slice {k} of level {level} is not the mean of what is below it")

    @contextmanager
    def opened(self, path: Path, manifest: Manifest) -> Iterator[Callable[[int], Array]]:
        """See ``VolumeFile``; of the finest level."""
        _check_array(path / "0" / ".zarray", manifest.shape)
        array = zarr.open_array(store=path / "0", mode="r", zarr_format=2)
        yield lambda k: _chunk(path, array, 0, k)


def level_shapes(shape: tuple[int, int, int]) -> list[tuple[int, int, int]]:
    """The shapes of the levels, from the finest until no side is above 256."""
    found = [shape]
    while max(found[-1]) > _FINE_ENOUGH:
        z, y, x = ((side + 1) // 2 for side in found[-1])
        found.append((z, y, x))
    return found


def attributes(manifest: Manifest) -> dict[str, Any]:
    """What ``.zattrs`` says: OME's multiscales, and a window for the grey values."""
    unit = {"unit": _UNITS[manifest.length_unit]} if manifest.length_unit in _UNITS else {}
    datasets = []
    for level in range(len(level_shapes(manifest.shape))):
        times = 2**level
        first = [at + (times - 1) / 2 * step for at, step in zip(manifest.first_mm, manifest.step_mm, strict=True)]
        scale = {"type": "scale", "scale": [times * step for step in manifest.step_mm]}
        moved = {"type": "translation", "translation": first}
        datasets.append({"path": str(level), "coordinateTransformations": [scale, moved]})
    low, high = manifest.range
    window = {"min": low, "max": high, "start": min(0.0, low), "end": high}
    channel = {"label": manifest.values, "color": "FFFFFF", "active": True, "window": window}
    return {
        "multiscales": [{
            "version": "0.4", "name": Path(manifest.volume).stem, "type": "mean",
            "axes": [{"name": name, "type": "space", **unit} for name in "zyx"], "datasets": datasets,
        }],
        "omero": {"channels": [channel], "rdefs": {"model": "greyscale", "defaultZ": manifest.shape[0] // 2}},
        "ctrecon": {"evidence": EVIDENCE, "certified_slices": manifest.certified},
    }  # fmt: skip


def _array(group: Any, name: str, shape: tuple[int, ...]) -> Any:
    return group.create_array(
        name, shape=shape, chunks=(1, *shape[1:]), dtype="<f4", fill_value=0.0,
        compressors=Blosc(cname="zstd", clevel=3, shuffle=Blosc.SHUFFLE),
        chunk_key_encoding={"name": "v2", "separator": "/"},
    )


def _all_levels(slices: Iterator[Array], levels: int) -> Iterator[tuple[int, int, Array]]:
    """Level, number and values of every slice of every level, each as soon as it can be made."""
    waiting: list[list[Array]] = [[] for _ in range(levels)]
    done = [0] * levels

    def add(level: int, values: Array) -> Iterator[tuple[int, int, Array]]:
        yield level, done[level], values
        done[level] += 1
        if level + 1 < levels:
            waiting[level].append(values)
            if len(waiting[level]) == 2:
                yield from flush(level)

    def flush(level: int) -> Iterator[tuple[int, int, Array]]:
        if waiting[level]:
            halved = _halved(np.asarray(np.mean(waiting[level], axis=0, dtype=np.float64)))
            waiting[level].clear()
            yield from add(level + 1, halved)

    for values in slices:
        yield from add(0, np.asarray(values, dtype="<f4"))
    for level in range(levels - 1):
        yield from flush(level)


def _halved(values: Array) -> Array:
    rows, columns = values.shape
    even = np.pad(values, ((0, rows % 2), (0, columns % 2)), mode="edge")
    squares = even.reshape(even.shape[0] // 2, 2, even.shape[1] // 2, 2)
    return np.asarray(squares.mean(axis=(1, 3)), dtype="<f4")


def _json(path: Path) -> Any:
    try:
        if path.stat().st_size > _MOST_JSON:
            raise ValueError("too long")
        return parse_json(path.read_bytes())
    except (OSError, ValueError) as why:
        raise InputError(f"{path}: cannot be read ({reason(why)})") from None


def _check_array(path: Path, shape: tuple[int, ...]) -> None:
    """Before the library reads it: no codec but ours (one unpickles), no other size than the manifest's."""
    said = _json(path)
    want = {"shape": list(shape), "chunks": [1, *shape[1:]], "dtype": "<f4", "filters": None, "order": "C",
            "dimension_separator": "/", "zarr_format": 2}  # fmt: skip
    for name, value in want.items():
        if not isinstance(said, dict) or said.get(name) != value:
            raise InputError(f"{path}: its {name} is not {value}, as the manifest says")
    if not isinstance(said["compressor"], dict) or said["compressor"].get("id") != "blosc":
        raise InputError(f"{path}: its chunks are not compressed by blosc, as we write them")


def _chunk(path: Path, array: Any, level: int, k: int) -> Array:
    place = path / str(level) / str(k) / "0" / "0"
    size = 4 * int(np.prod(array.shape[1:]))
    try:
        with place.open("rb") as stream:
            head = stream.read(16)
        # Blosc's header says how much it unpacks to (bytes 4 to 7).
        if place.is_symlink() or place.stat().st_size > 2 * size + 4096 or int.from_bytes(head[4:8], "little") != size:
            raise ValueError("it has another size")
        return np.asarray(array[k], dtype="<f4")
    except (OSError, ValueError, RuntimeError, TypeError) as why:
        raise InputError(f"{path}: slice {k} of level {level} is missing or damaged ({reason(why)})") from None
