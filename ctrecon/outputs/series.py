"""Where a reconstruction is written as a DICOM series with its evidence, all of it or nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch

from ctrecon.certificates.parts import data_hash
from ctrecon.certificates.verify import FILES
from ctrecon.dicom.common.hounsfield import HounsfieldScale, finest_scale
from ctrecon.dicom.series.ct_image import SeriesPart
from ctrecon.dicom.series.said import study_said
from ctrecon.dicom.series.series import CERTIFICATES, MOST_SLICES, certificate_name, image_name, is_ours, write_series
from ctrecon.dicom.series.series_files import MOST_BYTES
from ctrecon.dicom.series.study import Study
from ctrecon.errors import InputError, OutputError
from ctrecon.measurement.patient_position import position_of
from ctrecon.measurement.scan import Scan
from ctrecon.measurement.terms import NOBODY
from ctrecon.outputs.history import history_of
from ctrecon.outputs.millimetres import check_tissue, need_pixels
from ctrecon.outputs.nameless import nameless, nameless_notes
from ctrecon.outputs.seen_slices import look_at
from ctrecon.outputs.spilled import Spill
from ctrecon.outputs.stored_pixels import StoredReconstruction, stored_part
from ctrecon.reconstruction.conclude import Conclusion
from ctrecon.reconstruction.problem import Problem
from ctrecon.support.places import check_new_folder
from ctrecon.support.pooled_notes import pooled_notes

if TYPE_CHECKING:
    from ctrecon.support.site_key import SiteKey

_WHAT = "a DICOM series"
# Of the object with the data: certificate and header.
_BESIDE_BYTES = 16 << 20


@dataclass(frozen=True, kw_only=True)
class SeriesTarget:
    """A folder for one series, and what DICOM wants to know beyond the image.

    ``study``: from a template and options; what these leave open the scan says. ``water_mu``: the attenuation
    of water in 1/mm, None for what the scan says, else the usual one at 70 keV.
    ``pictures``: whether the report for people shows some slices. ``key``: signs the manifest, and
    by it all that it lists. ``patient_position``: how the patient lay, where the scan does not say it.
    """

    folder: Path
    study: Study
    water_mu: float | None = None
    overwrite: bool = False
    pictures: bool = True
    key: SiteKey | None = None
    patient_position: str | None = None

    def check(self, inputs: Iterable[Path] = ()) -> None:
        """Before any work is done: whether the series can be written.

        Args:
            inputs: Files and folders that are read, and must not be lost.

        Raises:
            OutputError: Where nothing can be written, or the folder holds other things or an input.
        """
        check_new_folder(self.folder, ours=is_ours, overwrite=self.overwrite)
        for given in inputs:
            if self.folder.resolve() in given.resolve().parents:
                raise OutputError(f"{self.folder} holds the input {given}; give another -o FOLDER")

    def accept(self, scan: Scan) -> None:
        """Before any work is done: whether a scan can become a series.

        Args:
            scan: What will be reconstructed.

        Raises:
            InputError: Where it has no pixel size, too many slices or data, does not say how the patient lay, or its
                values can be no tissue.
            SettingError: Where what was given contradicts what the scan says of patient, study or position.
        """
        need_pixels(scan, _WHAT)
        grid = scan.with_grid().grid
        assert grid is not None
        if len(grid.z_mm) > MOST_SLICES:
            raise InputError(
                f"{scan.source}: has {len(grid.z_mm)} slices, and {_WHAT} at most {MOST_SLICES}; write -o NAME.zarr"
            )
        # The data, and what each ray counts, in float32, in one object.
        evidence = 4 * scan.sinogram.size * (1 if scan.mask is None and scan.variance is None else 2)
        if evidence > MOST_BYTES - _BESIDE_BYTES:
            raise InputError(
                f"{scan.source}: the data of the certificate are {evidence / 2**30:.3g} GiB, and an object of {_WHAT} "
                f"is at most {MOST_BYTES >> 30} GiB here; write -o NAME.zarr, or use fewer views (--every)"
            )
        check_tissue(scan, _WHAT, self.water_mu)
        self._position({scan.patient_position}, scan.source, self.of(scan).study, of_program=scan.of_program)

    def of(self, scan: Scan) -> SeriesTarget:
        """The target with patient and study as the scan says them, where no template did.

        Args:
            scan: What will be reconstructed.

        Returns:
            A copy that differs in ``study``.

        Raises:
            InputError: For what the scan says that is no attribute of patient or study, or not valid.
            SettingError: Where the target's own study contradicts it.
        """
        return replace(self, study=study_said(scan.source, scan.study, self.study))

    def write(
        self,
        results: Sequence[Conclusion],
        *,
        method: str,
        iterative: bool = True,
        z_mm: Sequence[float] | None = None,
        thickness_mm: float | None = None,
        frame_of_reference: str | None = None,
        said: Callable[[str], object] = lambda note: None,
    ) -> tuple[tuple[Conclusion, ...], dict[str, Path]]:
        """Write results as one DICOM series, a slice or a volume each; all of it or nothing.

        Patient position, and without a template patient and study, are those of the scans.

        Args:
            results: What was reconstructed and proved.
            method: Names how the images were made.
            iterative: False for filtered back projection.
            z_mm: Where each slice stands; None for where the scans say, else 0. The grid of a volume says it.
            thickness_mm: Of the slices; None for what the scans say, of a volume its grid.
            frame_of_reference: UID of a frame that the slices are known to stand in; None for a new one.
            said: Hears what the series says of itself beyond the notes of the scans: axes, patient, water.

        Returns:
            The results as they are stored, rounded to Hounsfield units and certified anew, and the paths by what they
            are.

        Raises:
            InputError: Where a scan has no pixel size or its values can be no tissue, there are not as many
                positions as slices, or a volume misses delta once it is rounded.
            OutputError: Where the folder cannot be written or holds other things.
        """
        stored: list[Conclusion] = []
        written = self.write_each(
            results, method=method, iterative=iterative, z_mm=z_mm, thickness_mm=thickness_mm,
            frame_of_reference=frame_of_reference, watch=lambda k, result: stored.append(result), said=said,
        )  # fmt: skip
        return tuple(stored), written

    def write_each(
        self,
        results: Sequence[Conclusion],
        *,
        method: str,
        iterative: bool = True,
        z_mm: Sequence[float] | None = None,
        thickness_mm: float | None = None,
        frame_of_reference: str | None = None,
        spill: Spill | None = None,
        watch: Callable[[int, Conclusion], None],
        said: Callable[[str], object] = lambda note: None,
    ) -> dict[str, Path]:
        """The same for many: results are asked for one by one, twice, and none is kept.

        Args:
            results: What was reconstructed and proved.
            method: Names how the images were made.
            iterative: False for filtered back projection.
            z_mm: Where each slice stands; None for where the scans say, else 0. The grid of a volume says it.
            thickness_mm: Of the slices; None for what the scans say, of a volume its grid.
            frame_of_reference: UID of a frame that the slices are known to stand in; None for a new one.
            spill: Where slices wait; None for in memory.
            watch: Hears of each result, by its number from 0, as it is stored.
            said: Hears what the series says of itself beyond the notes of the scans: axes, patient, water.

        Returns:
            The paths by what they are: the first slice's image and certificate, report, pages, residual.

        Raises:
            InputError: Where a scan has no pixel size or its values can be no tissue, there are not as many positions
                as slices, the slices were calibrated to different waters, or a volume misses delta once it is rounded.
            OutputError: Where the folder cannot be written or holds other things.
        """
        seen = look_at(results, _WHAT, self.water_mu, given=(thickness_mm, *(z_mm or ())))
        unplaced = [] if z_mm is not None or all(seen.placed) else [_UNPLACED]
        places = seen.z_mm if z_mm is None else [(z,) for z in z_mm]
        if len(places) != len(results):
            raise InputError(f"there are {len(results)} slices and {len(places)} positions; give one for each")
        if len(seen.waters) > 1:
            raise InputError("the slices were calibrated to different waters; give one with --water-mu")
        water, known = seen.waters[0]
        scale = finest_scale(seen.ranges, water)
        slices = []
        for k, (result, z) in enumerate(zip(results, places, strict=True)):
            stored = stored_part(result, scale, z)
            again = partial(_drawn, results, k, scale, z) if len(results) > 1 else partial(_draw, stored.result)
            one = _part(stored, z, thickness_mm, again if self.pictures else None)
            slices.append(one if spill is None else spill.keep(k, one))
            watch(k, stored.result)
        study = self._study(seen.studies, seen.source)
        position, how_it_lies = self._position(seen.positions, seen.source, study, of_program=seen.of_program)
        own = [how_it_lies, *study.note_of_nobody, *unplaced, describe(scale, how=known)]
        written = write_series(
            self.folder,
            slices,
            scale=scale,
            study=study,
            method=method,
            iterative=iterative,
            notes=[*own, *pooled_notes(seen.notes)],
            frame_of_reference=frame_of_reference,
            patient_position=position,
            overwrite=self.overwrite,
            key=self.key,
        )
        for note in own:
            said(note)
        paths = {"image": written.images[0]}
        if written.certificates is not None and slices[0].certificate is not None:
            paths["certificate"] = written.certificates / certificate_name(1).replace(FILES["image"], FILES[""])
        paths |= {"report": written.report, "pages": written.pdf, "residual": written.misfit}
        return paths

    def _study(self, studies: Sequence[Mapping[str, str]], source: str) -> Study:
        """Whose images these are, one study for all slices."""
        if any(study != studies[0] for study in studies):
            raise InputError("the slices are of several studies or patients; write a series of each")
        return study_said(source, studies[0], self.study)

    def _position(self, stated: set[str], source: str, study: Study, *, of_program: bool) -> tuple[str, str]:
        """How the patient lay, as DICOM says it, and a sentence on where this is from.

        Left, front and head of a file's scan, or of somebody's, are not guessed; what a program put together and
        nobody's name is on is of no patient.
        """
        if len(stated) > 1:
            raise InputError(f"the slices were scanned in several patient positions: {', '.join(sorted(stated))}")
        (said,) = stated
        if not said and self.patient_position is None and of_program and not study.is_somebodys:
            said = NOBODY
        found = position_of(source, said, self.patient_position)
        if found == NOBODY:
            return "", _OF_NO_PATIENT
        # What was never compared with other programs is noted where the scan was read.
        how = "as the scan says" if self.patient_position is None else "as was said when this was written"
        return found, f"The patient position is {found}, {how}. {_AXES}."


def _drawn(results: Sequence[Conclusion], k: int, scale: HounsfieldScale, z_mm: tuple[float, ...]) -> bytes:
    """A picture of one of many, made again since none is kept."""
    return _draw(stored_part(results[k], scale, z_mm).result)


def _draw(result: Conclusion) -> bytes:
    from ctrecon.outputs.preview import draw_preview

    return draw_preview(result)


def paths_of_slice(folder: Path, index: int, *, certified: bool) -> dict[str, Path]:
    """Where ``SeriesTarget.write`` puts slice ``index``, from 1: its image and, where it has one, its certificate."""
    paths = {"image": folder / image_name(index)}
    if certified:
        certificate = certificate_name(index).replace(FILES["image"], FILES[""])
        paths["certificate"] = folder / CERTIFICATES / certificate
    return paths


_OF_NO_PATIENT = (
    "This is of no patient, but of a phantom, a specimen or a simulation, and PatientPosition is empty: columns run "
    "along the scanner's x, rows against its y, slices along its axis, and the letters L, R, A, P, H and F that a "
    "viewer shows mean nothing"
)
_AXES = (
    "Columns are taken to run to the patient's left, rows to the back, z to the head, with the rotation axis at "
    "x = y = 0"
)


_UNPLACED = "The scan does not say where the slice stands along the axis: z = 0 means nothing."


def describe(scale: HounsfieldScale, *, how: str) -> str:
    """The calibration in words."""
    return (
        f"Water attenuates {scale.water_mu!r} per mm ({how}); HU = stored * {scale.slope!r} + {scale.intercept!r}, "
        "mu = water * (1 + HU / 1000)."
    )


def _part(
    one: StoredReconstruction, z_mm: tuple[float, ...], thickness_mm: float | None, picture: Callable[[], bytes] | None
) -> SeriesPart:
    problem, grid = one.result.problem, one.result.problem.grid
    assert grid is not None
    shape = (len(z_mm), *grid.plane)
    certificate = one.result.certificate
    notes = nameless_notes(problem.scan, one.result.settings)
    image = data_hash(one.result.image) if certificate is None else certificate.values["image"]["sha256"]
    history = nameless(replace(history_of(one.result, image), notes=notes)).to_bytes()
    return SeriesPart(
        history=lambda: history,
        stored=one.stored.reshape(shape),
        grid=grid,
        z_mm=z_mm,
        thickness_mm=next((mm for mm in (thickness_mm, grid.slice_mm) if mm is not None), problem.scan.slice_mm),
        kvp=problem.scan.kvp,
        certificate=certificate,
        residual=one.result.residual,
        delta=problem.delta.value,
        norm=problem.delta.norm,
        data_sha256=data_hash(problem.scan.sinogram),
        misfit=mean_misfit(problem, one.result.image).reshape(shape),
        picture=picture,
    )


def mean_misfit(problem: Problem, image: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The mean of ``Au - f`` over the rays through each pixel, weighted by their length, of the shape of the image.

    Zero where no ray passes.
    """
    operator = problem.operator
    u = torch.from_numpy(image)[None, None].to(problem.device)
    residual = operator(u) - problem.energy.data
    total, length = operator.adjoint(residual), operator.adjoint(torch.ones_like(residual))
    mean = torch.where(length > 1e-6 * length.max(), total / length.clamp_min(1e-30), torch.zeros_like(total))
    found: npt.NDArray[np.float32] = mean[0, 0].cpu().numpy()
    return found
