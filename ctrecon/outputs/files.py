"""Where a reconstruction is written, all of it or nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ctrecon.dicom.common.hounsfield import HounsfieldScale, hounsfield
from ctrecon.errors import OutputError
from ctrecon.io.unoriented import is_oriented
from ctrecon.io.volume_names import VOLUME_SUFFIXES, volume_suffix
from ctrecon.io.write import put_array
from ctrecon.measurement.scan import Scan
from ctrecon.outputs.history import SUFFIX, history_of
from ctrecon.outputs.millimetres import check_tissue, grid_places, need_pixels, need_tissue, place_mm
from ctrecon.support.atomic import Files, atomic_files
from ctrecon.support.places import check_places
from ctrecon.support.signatures import SIGNATURE

if TYPE_CHECKING:
    from ctrecon.reconstruction.conclude import Conclusion
    from ctrecon.support.site_key import SiteKey

CERTIFICATE_FILES = (".certificate.json", ".data.npy", ".weights.npy", ".matrix.npy", ".dual.npy")
_SIDE_FILES = (*CERTIFICATE_FILES, SIGNATURE, SUFFIX, ".png")


@dataclass(frozen=True)
class Target:
    """The image's path ``S.npy``; the other files share its stem. ``volume``: also in HU, where that was asked for.

    For the volume: ``water_mu``, the attenuation of water in 1/mm, None for what the scan says, else the usual one at
    70 keV; ``z_mm`` where the slice stands, None for what the scan says, else 0; ``slice_mm`` its thickness,
    None for what the scan says, else a pixel's. ``key``: signs the certificate, in ``S.certificate.sig``. ``page``: a
    report that will be written once the image is there; one of an earlier image goes with it.
    """

    path: Path
    volume: Path | None = None
    water_mu: float | None = None
    z_mm: float | None = None
    slice_mm: float | None = None
    key: SiteKey | None = None
    page: Path | None = None

    @staticmethod
    def at(
        path: Path, *, inputs: Iterable[Path] = (), water_mu: float | None = None,
        z_mm: float | None = None, slice_mm: float | None = None, key: SiteKey | None = None, page: Path | None = None,
        overwrite: bool = False,
    ) -> Target:
        """A place for a result, checked before any work is done: it can be written and replaces no input.

        Args:
            path: ``S.npy``, or a volume (NIfTI, MetaImage, NRRD) for which ``S.npy`` is written, too.
            inputs: Files that must not be replaced.
            water_mu: Attenuation of water, 1/mm, for the volume; None for what the scan says, else the usual one at 70
                keV.
            z_mm: Where the slice stands; None for what the scan says, else 0.
            slice_mm: Its thickness; None where not known.
            key: Signs the certificate.
            page: A report that the caller writes afterwards, where it may stand.
            overwrite: Whether files of an earlier result may be replaced.

        Returns:
            The place.

        Raises:
            OutputError: For another suffix, a place that cannot be written, and where a file of the result is there
                already, but for ``overwrite``.
            SettingError: For an impossible ``water_mu``.
        """
        if water_mu is not None:
            HounsfieldScale(water_mu=water_mu, slope=1, intercept=0)
        volume, suffix = None, volume_suffix(path)
        if suffix is not None:
            volume, path = path, path.with_name(path.name[: -len(suffix)] + ".npy")
        if path.suffix != ".npy":
            raise OutputError(f"the image is written as .npy or {', '.join(VOLUME_SUFFIXES)}; {path.name} is neither")
        target = Target(path, volume, water_mu, z_mm, slice_mm, key, page)
        ours = [path, *(target.beside(suffix) for suffix in _SIDE_FILES), *([volume] if volume else [])]
        check_places(ours, overwrite=overwrite, inputs=inputs)
        return target

    def accept(self, scan: Scan) -> None:
        """Before any work is done: whether a scan's result can be written here.

        Args:
            scan: What will be reconstructed.

        Raises:
            InputError: Where a volume is asked of a scan whose pixels have no mm or whose values can be no tissue, or a
                height or thickness of a scan whose own grid states them.
        """
        if self.volume is not None:
            need_pixels(scan, self.volume.name)
            check_tissue(scan, self.volume.name, self.water_mu)
        grid_places(scan, self.z_mm, self.slice_mm)

    def beside(self, suffix: str) -> Path:
        """Where a file of the same stem is.

        Args:
            suffix: Such as ``.certificate.json``.

        Returns:
            ``S`` with that suffix.
        """
        return self.path.with_name(self.path.name.removesuffix(".npy") + suffix)

    def write(self, result: Conclusion, *, preview: bool = True) -> dict[str, Path]:
        """Write image, certificate (where there is one), history and preview; all or none.

        A certificate that no image meets delta lies beside the image all the same, and does not speak of it. What an
        older certificate of the same name leaves goes in the same step.

        Args:
            result: What was reconstructed and proved.
            preview: Whether to draw ``S.png``.

        Returns:
            The paths by what they are; what went is ``removed`` among them.

        Raises:
            OutputError: Where they cannot be written.
            InputError: Where a volume was asked for and the image has no pixel size or no sensible Hounsfield units.
        """
        picture = None
        if preview:
            # Matplotlib takes a second to load: only for those who draw.
            from ctrecon.outputs.preview import draw_preview

            picture = draw_preview(result)
        written = {"image": self.path}
        certificate = result.certificate or (result.missed.certificate if result.missed else None)
        with atomic_files() as place:
            if result.certificate is None:
                put_array(place(self.path), result.image, self.path)
            if certificate is not None:
                paths = certificate.put(place, self.path)
                written["certificate"] = paths[""]
                written |= {name: path for name, path in paths.items() if name not in ("", "image")}
                if self.key is not None:
                    written["signature"] = self.beside(SIGNATURE)
                    signed = place(written["certificate"]).read_bytes()
                    place(written["signature"]).write_bytes(self.key.signed(signed))
            if self.volume is not None:
                self._put_volume(place(self.volume), self.volume, result)
                written["volume"] = self.volume
            written["history"] = self.beside(SUFFIX)
            image = hashlib.sha256(place(self.path).read_bytes()).hexdigest()
            place(written["history"]).write_bytes(history_of(result, image).to_bytes())
            if picture is not None:
                written["preview"] = self.beside(".png")
                place(written["preview"]).write_bytes(picture)
            written |= self.remove_stale(place, written)
        return written

    def remove_stale(self, place: Files, written: Mapping[str, Path]) -> dict[str, Path]:
        """What an older result leaves and this one does not write goes with the swap.

        Args:
            place: The files that are written together.
            written: What this result writes, by what it is.

        Returns:
            The older certificate as ``"removed"``, where one goes.

        Raises:
            OutputError: Where one of them is no regular file.
        """
        stale = [self.beside(suffix) for suffix in _SIDE_FILES] + ([self.page] if self.page else [])
        stale = [path for path in stale if path.exists() and path not in written.values()]
        for path in stale:
            place.remove(path)
        certificate = self.beside(CERTIFICATE_FILES[0])
        return {"removed": certificate} if certificate in stale else {}

    def _put_volume(self, place: Path, path: Path, result: Conclusion) -> None:
        """The image as one slice in HU, or the volume. Raises InputError where a matrix leaves it without units."""
        # SimpleITK takes half a second to load: only for those who ask.
        from ctrecon.io.nifti import grid_affine, put_volume

        grid, oriented = result.problem.grid, is_oriented(result.problem.scan.patient_position)
        need_pixels(result.problem.scan, path.name)
        need_tissue(result.problem.scan, [result.image], path.name, self.water_mu)
        assert grid is not None
        hu = hounsfield(result.image, result.problem.scan.water(self.water_mu)[0]).astype(np.float32)
        if grid.slices is not None:
            affine = grid_affine(grid, z_mm=float(grid.z_mm[0]), slice_mm=grid.slice_mm)
            put_volume(place, path, hu, affine, oriented=oriented)
            return
        scan = result.problem.scan
        thickness = scan.slice_mm if self.slice_mm is None else self.slice_mm
        affine = grid_affine(grid, z_mm=place_mm(scan, self.z_mm), slice_mm=thickness)
        put_volume(place, path, hu[None], affine, oriented=oriented)
