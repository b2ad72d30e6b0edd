"""Where a reconstruction is written, all of it or nothing."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ctrecon.certificates.parts import operator_claim
from ctrecon.dicom.common.hounsfield import HounsfieldScale, hounsfield
from ctrecon.errors import OutputError
from ctrecon.io.volume_names import VOLUME_SUFFIXES, volume_suffix
from ctrecon.io.write import write_array
from ctrecon.outputs.history import SUFFIX, History, versions
from ctrecon.support.atomic import atomic_write

if TYPE_CHECKING:
    from ctrecon.reconstruction.conclude import Conclusion

CERTIFICATE_FILES = (".certificate.json", ".data.npy", ".weights.npy", ".matrix.npy", ".dual.npy")
_SIDE_FILES = (*CERTIFICATE_FILES, SUFFIX, ".png")


@dataclass(frozen=True)
class Target:
    """The image's path ``S.npy``; the other files share its stem. ``volume``: also in HU, where that was asked for.

    For the volume: ``water_mu``, the attenuation of water in 1/mm, None for what the scan says, else the usual one at
    70 keV; ``z_mm`` where the slice stands, ``slice_mm`` its thickness, None where not known.
    """

    path: Path
    volume: Path | None = None
    water_mu: float | None = None
    z_mm: float = 0.0
    slice_mm: float | None = None

    @staticmethod
    def at(
        path: Path, *, inputs: Iterable[Path] = (), water_mu: float | None = None, z_mm: float = 0.0,
        slice_mm: float | None = None,
    ) -> Target:
        """Check, before any work is done, that files can be written there and would replace none of the ``inputs``.

        Raises OutputError, SettingError for an impossible ``water_mu``.
        """
        if water_mu is not None:
            HounsfieldScale(water_mu=water_mu, slope=1, intercept=0)
        volume, suffix = None, volume_suffix(path)
        if suffix is not None:
            volume, path = path, path.with_name(path.name[: -len(suffix)] + ".npy")
        if path.suffix != ".npy":
            raise OutputError(f"the image is written as .npy or {', '.join(VOLUME_SUFFIXES)}; {path.name} is neither")
        folder = path.parent
        if not folder.is_dir():
            raise OutputError(f"the folder {folder} does not exist; create it or give another -o FILE")
        if path.is_dir() or not os.access(folder, os.W_OK) or (path.exists() and not os.access(path, os.W_OK)):
            raise OutputError(f"{path} cannot be written: no permission, or a folder; give another -o FILE")
        target = Target(path, volume, water_mu, z_mm, slice_mm)
        ours = [path, *(target.beside(suffix) for suffix in _SIDE_FILES), *([volume] if volume else [])]
        for given in inputs:
            if given.resolve() in {one.resolve() for one in ours}:
                raise OutputError(f"{path} or a file beside it would replace the input {given}; use another -o FILE")
        for one in ours:
            if one.is_dir():
                raise OutputError(f"{one} is a folder; give another -o FILE")
        return target

    def beside(self, suffix: str) -> Path:
        return self.path.with_name(self.path.name.removesuffix(".npy") + suffix)

    def write(self, result: Conclusion, *, preview: bool = True) -> dict[str, Path]:
        """Write image, certificate (where there is one), history and preview; gives the paths by what they are.

        A certificate that no image meets delta lies beside the image all the same, and does not speak of it.
        What an older certificate of the same name leaves goes last: it speaks of another image, and is refused anyway.
        """
        picture = None
        if preview:
            # Matplotlib takes a second to load: only for those who draw.
            from ctrecon.outputs.preview import draw_preview

            picture = draw_preview(result)
        written = {"image": self.path}
        certificate = result.certificate or (result.missed.certificate if result.missed else None)
        if result.certificate is None:
            write_array(self.path, result.image)
        if certificate is not None:
            # Replaces an older certificate last, after all that it speaks of.
            paths = certificate.write(self.path)
            written["certificate"] = paths[""]
            written |= {name: path for name, path in paths.items() if name not in ("", "image")}
        if self.volume is not None:
            self._write_volume(self.volume, result)
            written["volume"] = self.volume
        with atomic_write(self.beside(SUFFIX)) as partial:
            partial.write_bytes(_history(result, self.path).to_bytes())
        written["history"] = self.beside(SUFFIX)
        if picture is not None:
            with atomic_write(self.beside(".png")) as partial:
                partial.write_bytes(picture)
            written["preview"] = self.beside(".png")
        stale = {self.beside(suffix) for suffix in CERTIFICATE_FILES} - set(written.values())
        try:
            for path in sorted(stale):
                path.unlink(missing_ok=True)
        except OSError as why:
            raise OutputError(f"cannot remove {path}, which speaks of an older image: {why.strerror}") from None
        return written

    def _write_volume(self, path: Path, result: Conclusion) -> None:
        """The image as one slice in HU. Raises OutputError where a matrix leaves it without unit and pixel size."""
        # SimpleITK takes half a second to load: only for those who ask.
        from ctrecon.io.nifti import grid_affine, write_stored_volume

        grid = result.problem.grid
        if grid is None:
            raise OutputError(f"{path.name} needs pixels in mm, and the scan's matrix says none; give -o NAME.npy")
        hu = hounsfield(result.image, result.problem.scan.water(self.water_mu)[0]).astype(np.float32)
        affine = grid_affine(grid, z_mm=self.z_mm, slice_mm=self.slice_mm)
        write_stored_volume(path, hu[None], affine)


def _history(result: Conclusion, image: Path) -> History:
    problem, scan, missed = result.problem, result.problem.scan, result.missed
    operator = None
    if scan.matrix is None and scan.geometry is not None and scan.grid is not None:
        operator, _ = operator_claim(scan.geometry, scan.grid, None)
    return History(
        image_sha256=hashlib.sha256(image.read_bytes()).hexdigest(),
        certified=result.certified,
        method=result.method,
        reason=result.outcome.reason,
        delta=problem.delta.value,
        norm=problem.delta.norm,
        delta_from=problem.delta.how,
        residual=result.residual,
        progress=result.outcome.history,
        seconds=result.seconds,
        timings=result.timings,
        source=Path(scan.source).name,
        notes=scan.notes,
        operator=operator,
        projector=type(problem.operator).__name__,
        device=str(problem.device),
        made_with=versions(),
        lower_bound=None if missed is None else missed.lower_bound,
        best_residual=None if missed is None else missed.best_residual,
        most_attenuation=None if missed is None else missed.most_attenuation,
        settings=None if result.settings is None else result.settings.to_dict(),
    )
