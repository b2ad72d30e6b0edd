"""What is done of a stack, kept on disk batch by batch: a crash or ``kill -9`` loses the batches in hand alone.

A batch is some slices, each with all its files (image, data, weights, certificate) and what is said of it. It is found
again by a hash of all that it follows from: the data and where the rays are, the settings, the network's weights, and
the versions of what computed it. So a batch of another scan, or of other settings, is never taken for it. A batch is
whole or not there, and one whose bytes have changed is computed again.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from ctrecon.certificates.parts import npy_bytes, plain, plain_weights
from ctrecon.certificates.verify import FILES
from ctrecon.io.write import npz_bytes
from ctrecon.measurement.scan import Scan
from ctrecon.reconstruction.conclude import Conclusion
from ctrecon.reconstruction.settings import Settings
from ctrecon.support.arrays import Array
from ctrecon.support.atomic import atomic_files, output_error
from ctrecon.support.versions import versions

FORMAT = 2
_PARTIAL = r"\.(slice|batch)-\d{4}[a-z.-]*\.[0-9a-f]{8}\.(part\.[a-z]+|old)"
_OURS = re.compile(rf"slice-\d{{4}}\.[a-z.-]+|batch-\d{{4}}\.json|{_PARTIAL}")
_MOST_BYTES = 64 << 20
SCAN = "scan"
_PARTS = {**FILES, SCAN: ".scan.npz"}


def beside(output: Path) -> Path:
    """Where the pieces of a job stand that will become ``output``: hidden, in the same folder."""
    return output.with_name(f".{output.name[:100]}.journal")


def slice_name(index: int) -> str:
    """The stem of the files of slice ``index``, from 1."""
    return f"slice-{index:04d}"


def batch_name(index: int) -> str:
    """The file that says what a batch holds, from 1."""
    return f"batch-{index:04d}.json"


def job_key(settings: Settings, network: nn.Module | None, *, device: str) -> str:
    """The hash of what all batches of a job follow from, beside their data: 64 hexadecimal digits."""
    found = hashlib.sha256()
    stated = {"format": FORMAT, "versions": versions(), "settings": settings.to_dict(), "device": device}
    found.update(json.dumps(stated, sort_keys=True).encode())
    if network is not None:
        for name, part in sorted(network.state_dict().items()):
            found.update(name.encode())
            _add(found, part.detach().cpu().numpy())
    return found.hexdigest()


def batch_key(job: str, scans: Iterable[Scan], *, more: Sequence[object] = ()) -> str:
    """The hash of all that the slices of a batch follow from.

    Args:
        job: What ``job_key`` gives.
        scans: As they are reconstructed.
        more: What else decides: which of them is looked at, the operator's norm.

    Returns:
        64 hexadecimal digits.
    """
    found = hashlib.sha256(json.dumps([job, *map(repr, more)]).encode())
    for scan in scans:
        stated = {
            "geometry": None if scan.geometry is None else scan.geometry.to_dict(),
            "grid": None if scan.grid is None else scan.grid.to_dict(),
            "z_mm": scan.z_mm, "whitened": [scan.whitened_mean, scan.whitened_spread], "notes": scan.notes,
            "unit": scan.length_unit, "water": scan.water_mu_per_mm, "position": scan.patient_position,
        }  # fmt: skip
        found.update(json.dumps(stated, sort_keys=True).encode())
        matrix = () if scan.matrix is None else (scan.matrix.data, scan.matrix.indices, scan.matrix.indptr)
        for array in (scan.sinogram, scan.variance, scan.mask, scan.counts, scan.white, *matrix):
            _add(found, array)
    return found.hexdigest()


def _add(found: Any, array: Array | None) -> None:
    found.update(b"-" if array is None else f"{array.dtype.str}{array.shape}".encode())
    found.update(b"" if array is None else np.ascontiguousarray(array).data)


@dataclass(frozen=True, kw_only=True)
class Piece:
    """One slice: its number from 0, its files by what they are (``""`` is the certificate), what is said of it."""

    index: int
    files: Mapping[str, bytes]
    record: Mapping[str, Any]


def files_of(result: Conclusion, *, scan: bool = False) -> dict[str, bytes]:
    """Image, data, weights and, where there is one, certificate; with ``scan`` all of it, to go on from."""
    data = plain(result.problem.scan.sinogram, "data")
    weights = plain_weights(result.problem.weights, data)
    files = {"image": npy_bytes(plain(result.image, "image")), "data": npy_bytes(data)}
    files |= {} if weights is None else {"weights": npy_bytes(weights)}
    files |= {SCAN: npz_bytes(result.problem.scan)} if scan else {}
    certificate = result.certificate or (None if result.missed is None else result.missed.certificate)
    return files if certificate is None else files | dict(certificate.files)


class Pieces:
    """The batches of one job, in a folder of their own that is made with the first of them.

    Args:
        folder: See ``beside``.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, index: int, part: str) -> Path:
        """Where a part of a slice is, or would be.

        Args:
            index: Of the slice, from 0.
            part: Such as ``image``.

        Returns:
            The file's path.
        """
        return self.folder / (slice_name(index + 1) + _PARTS[part])

    def keep(self, number: int, key: str, pieces: Sequence[Piece]) -> None:
        """Write a batch, whole and on disk when this returns.

        Args:
            number: Of the batch, from 1.
            key: What ``batch_key`` gives.
            pieces: Its slices.

        Raises:
            OutputError: The place cannot be written, or the disk is full.
        """
        stated: dict[str, Any] = {"format": FORMAT, "key": key, "slices": []}
        try:
            self.folder.mkdir(mode=0o700, exist_ok=True)
        except OSError as why:
            raise output_error(self.folder, why) from None
        with atomic_files() as place:
            for piece in pieces:
                for part, raw in piece.files.items():
                    place(self.path(piece.index, part)).write_bytes(raw)
                sums = {part: [len(raw), hashlib.sha256(raw).hexdigest()] for part, raw in piece.files.items()}
                stated["slices"].append({"index": piece.index, "files": sums, "record": dict(piece.record)})
            place(self.folder / batch_name(number)).write_text(json.dumps(stated))

    def recall(self, number: int, key: str | None = None, *, whole: bool = True) -> list[dict[str, Any]] | None:
        """What was said of the slices of a batch that an earlier run, or another process, has done.

        Args:
            number: Of the batch, from 1.
            key: What it must follow from; None where that is known.
            whole: Whether its files are read again, and compared.

        Returns:
            ``{"index", "files", "record"}`` of each slice; None where there is no such batch, or any byte of it is not
            as it was written.
        """
        path = self.folder / batch_name(number)
        try:
            if path.stat().st_size > _MOST_BYTES:
                return None
            stated = json.loads(path.read_bytes())
            if stated["format"] != FORMAT or key not in (None, stated["key"]):
                return None
            for one in stated["slices"]:
                for part, (size, sha256) in one["files"].items():
                    place = self.path(int(one["index"]), part)
                    if place.stat().st_size != size or (whole and _hash(place) != sha256):
                        return None
            return [{"index": int(one["index"]), "files": dict(one["files"]), "record": dict(one["record"])}
                    for one in stated["slices"]]  # fmt: skip
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def sweep(self) -> None:
        """What a write that was cut off has left goes."""
        with suppress(OSError):
            for path in self.folder.iterdir():
                if path.name.startswith(".") and _OURS.fullmatch(path.name):
                    path.unlink()

    def remove(self) -> None:
        """Once the job's output is written: the pieces go, and the folder where it holds nothing else."""
        with suppress(OSError):
            for path in self.folder.iterdir():
                if _OURS.fullmatch(path.name):
                    path.unlink()
            self.folder.rmdir()


def _hash(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
