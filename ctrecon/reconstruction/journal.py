"""What is done of a long job, kept on disk piece by piece: a crash or ``kill -9`` loses the piece in hand alone.

A piece is what a method left of one slice: the image, why it ended, and how it went. It is found again by a hash of all
that it follows from: the data and where the rays are, delta, the settings, the network's weights, and the versions of
what computed it. So a piece of another scan, or of other settings, is never taken for it, and what follows from a piece
(the certificate, the files) comes out the same. A piece is whole or not there, and one whose bytes have changed is
computed again.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from ctrecon.reconstruction.problem import IterationRecord, Outcome, Problem
from ctrecon.reconstruction.settings import Settings
from ctrecon.support.arrays import Array
from ctrecon.support.atomic import atomic_files, output_error
from ctrecon.support.versions import versions

FORMAT = 1
_OURS = re.compile(r"[0-9a-f]{64}\.(npy|json)")
_MOST_BYTES = 64 << 20


def beside(output: Path) -> Path:
    """Where the journal of a job stands that will become ``output``: hidden, in the same folder."""
    return output.with_name(f".{output.name[:100]}.journal")


def key_of(problem: Problem, settings: Settings, network: nn.Module | None) -> str:
    """The hash of all that an outcome follows from.

    Args:
        problem: The scan made ready.
        settings: What was asked for.
        network: That proposes directions, where one does.

    Returns:
        64 hexadecimal digits.
    """
    found, scan = hashlib.sha256(), problem.scan
    stated: dict[str, Any] = {
        "format": FORMAT, "versions": versions(), "settings": settings.to_dict(),
        "delta": [problem.delta.value, problem.delta.norm], "device": problem.device.type,
        "operator": type(problem.operator).__name__, "shape": problem.shape, "most": problem.most_attenuation,
        "geometry": None if scan.geometry is None else scan.geometry.to_dict(),
        "grid": None if scan.grid is None else scan.grid.to_dict(),
    }  # fmt: skip
    found.update(json.dumps(stated, sort_keys=True).encode())
    arrays: list[Array | None] = [scan.sinogram, problem.weights]
    if scan.matrix is not None:
        arrays += [scan.matrix.data, scan.matrix.indices, scan.matrix.indptr]
    if network is not None:
        arrays += [part.detach().cpu().numpy() for _, part in sorted(network.state_dict().items())]
    for array in arrays:
        found.update(b"-" if array is None else f"{array.dtype.str}{array.shape}".encode())
        found.update(b"" if array is None else np.ascontiguousarray(array).data)
    return found.hexdigest()


class Journal:
    """The pieces of one job, in a folder of their own that is made with the first of them.

    Args:
        folder: See ``beside``.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.recalled = 0
        """How many pieces were taken over."""

    def keep(self, key: str, outcome: Outcome) -> None:
        """Write a piece, whole and on disk when this returns.

        Args:
            key: What ``key_of`` gives.
            outcome: What the method left.

        Raises:
            OutputError: The place cannot be written, or the disk is full.
        """
        stream = io.BytesIO()
        np.save(stream, outcome.image, allow_pickle=False)
        history = [[one.iteration, one.energy, one.residual] for one in outcome.history]
        stated = {
            "format": FORMAT, "sha256": hashlib.sha256(stream.getvalue()).hexdigest(), "reason": outcome.reason,
            "history": history,
        }  # fmt: skip
        try:
            self.folder.mkdir(mode=0o700, exist_ok=True)
        except OSError as why:
            raise output_error(self.folder, why) from None
        with atomic_files() as place:
            place(self.folder / f"{key}.npy").write_bytes(stream.getvalue())
            place(self.folder / f"{key}.json").write_text(json.dumps(stated))

    def recall(self, key: str, shape: tuple[int, ...]) -> Outcome | None:
        """The piece of an earlier run.

        Args:
            key: What ``key_of`` gives.
            shape: Of its image.

        Returns:
            None where there is none, or any byte of it is not as it was written.
        """
        image_path, stated_path = (self.folder / f"{key}.{suffix}" for suffix in ("npy", "json"))
        try:
            if max(path.stat().st_size for path in (image_path, stated_path)) > _MOST_BYTES + 8 * math.prod(shape):
                return None
            raw, stated = image_path.read_bytes(), json.loads(stated_path.read_bytes())
            if stated["format"] != FORMAT or stated["sha256"] != hashlib.sha256(raw).hexdigest():
                return None
            image = np.load(io.BytesIO(raw), allow_pickle=False)
            records = tuple(IterationRecord(int(k), float(e), float(r)) for k, e, r in stated["history"])
            outcome = Outcome(image=image, reason=str(stated["reason"]), history=records)
        except (OSError, ValueError, TypeError, KeyError):
            return None
        if image.shape != shape or image.dtype != np.float32:
            return None
        self.recalled += 1
        return outcome

    def remove(self) -> None:
        """Once the job's output is written: the pieces go, and the folder where it holds nothing else."""
        with suppress(OSError):
            for path in self.folder.iterdir():
                if _OURS.fullmatch(path.name):
                    path.unlink()
            self.folder.rmdir()
