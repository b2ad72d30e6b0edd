"""``ctrecon.Reconstruction``: an image with its evidence, and where one may take it."""

from __future__ import annotations

import base64
import html
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ctrecon.certificates.feasible import FeasibleCertificate
from ctrecon.diagnosis.structure import Structure
from ctrecon.errors import CtreconError
from ctrecon.measurement.delta import Delta
from ctrecon.measurement.scan import Scan
from ctrecon.outputs.files import Target
from ctrecon.reconstruction.conclude import Conclusion, Missed
from ctrecon.reconstruction.problem import IterationRecord
from ctrecon.reconstruction.settings import Settings
from ctrecon.support.arguments import checked
from ctrecon.support.arrays import Array
from ctrecon.workbench.verdict import facts, verdict

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ctrecon.outputs.stack.store import StackTarget


@dataclass(frozen=True, repr=False, eq=False)
class Reconstruction:
    """An image, what is proved of it, and how it came about; ``reconstruct`` makes one.

    It can be saved (``save``), looked at (``show``, or as the last line of a notebook's cell), reported (``report``)
    and made a DICOM series (``to_dicom``).
    """

    conclusion: Conclusion

    @property
    def image(self) -> Array:
        """``[rows, columns]``, float32, in 1/mm (per detector cell where lengths are in cells)."""
        return self.conclusion.image

    @property
    def residual(self) -> float:
        """``||W^(1/2) (A u - f)||`` of the image, by the checker's operator in float64."""
        return self.conclusion.residual

    @property
    def certified(self) -> bool:
        """Whether it is proved that the residual is at most delta."""
        return self.conclusion.certified

    @property
    def certificate(self) -> FeasibleCertificate | None:
        """The proof, where there is one."""
        return self.conclusion.certificate

    @property
    def missed(self) -> Missed | None:
        """Where delta is missed: what is known of all images, and where none meets delta the proof of it."""
        return self.conclusion.missed

    @property
    def structure(self) -> Structure | None:
        """What the residual shows beside noise, with its p-value; None where it is too small to be tested."""
        return self.conclusion.structure

    @property
    def delta(self) -> Delta:
        """The bound on the residual, its norm, and where it is from."""
        return self.conclusion.problem.delta

    @property
    def history(self) -> tuple[IterationRecord, ...]:
        """Iteration, energy and residual, as the method saw them in float32."""
        return self.conclusion.outcome.history

    @property
    def reason(self) -> str:
        """Why the method ended."""
        return self.conclusion.outcome.reason

    @property
    def seconds(self) -> float:
        """Wall-clock time from reading to the proof."""
        return self.conclusion.seconds

    @property
    def settings(self) -> Settings:
        """What was asked for."""
        return Settings() if self.conclusion.settings is None else self.conclusion.settings

    @property
    def scan(self) -> Scan:
        """What was reconstructed: centred, on its grid, the mean of repeats."""
        return self.conclusion.problem.scan

    @checked
    def save(
        self, path: str | os.PathLike[str], *, preview: bool = True, water_mu: float | None = None,
        z_mm: float | None = None, slice_mm: float | None = None, overwrite: bool = False,
    ) -> dict[str, Path]:
        """Write ``S.npy`` with certificate, data, history and picture beside it, all of it or nothing.

        Args:
            path: ``S.npy``, or ``S.nii.gz``, ``S.mha``, ``S.nrrd`` for a volume in HU as well. (``save_volume`` writes
                one to OME-Zarr, TIFF or HDF5.)
            preview: Whether to draw ``S.png``.
            water_mu: Of a volume: attenuation of water in 1/mm; None for what the scan says, else 0.02.
            z_mm: Of a volume: where the slice stands; None for what the scan says, else 0.
            slice_mm: Of a volume: its thickness, None where not known.
            overwrite: Whether to replace what is there. A certificate that this image does not have goes, too, and is
                ``removed`` among the paths.

        Returns:
            The paths by what they are: ``image``, ``certificate``, ``history``, ...

        Raises:
            OutputError: Where these cannot be written.

        """
        target = Target.at(Path(path), water_mu=water_mu, z_mm=z_mm, slice_mm=slice_mm, overwrite=overwrite)
        return target.write(self.conclusion, preview=preview)

    @checked
    def save_volume(self, target: StackTarget, *, preview: bool = True) -> dict[str, Path]:
        """Write a volume to a store or file of the formats of stacks, all of it or nothing.

        Args:
            target: ``StackTarget(path="volume.zarr")`` and the like; checked by its ``check``.
            preview: Whether to draw ``volume.png`` beside it.

        Returns:
            The paths by what they are; ``image`` is the certified volume in the evidence.

        Raises:
            OutputError: Where they cannot be written.
            InputError: For a scan of one slice, or HU of what has none.
        """
        # Here, because the formats of volumes are loaded for those who have one.
        from ctrecon.certificates.verify import FILES
        from ctrecon.outputs.stack.manifest import WHOLE
        from ctrecon.outputs.stack.whole import accept_whole, write_whole
        from ctrecon.support.atomic import atomic_write

        accept_whole(self.scan, target)
        written = write_whole(target, self.conclusion)
        written["image"] = target.evidence / (WHOLE + FILES["image"])
        if self.conclusion.certificate is not None:
            written["certificate"] = target.evidence / (WHOLE + FILES[""])
        if preview:
            from ctrecon.outputs.preview import draw_preview

            written["preview"] = target.path.with_name(target.path.name[: -len(target.suffix)] + ".png")
            with atomic_write(written["preview"]) as place:
                place.write_bytes(draw_preview(self.conclusion))
        return written

    @checked
    def report(
        self, path: str | os.PathLike[str], *, image: str | os.PathLike[str] | None = None,
        water_mu: float | None = None, overwrite: bool = False,
    ) -> Path:
        """Write one page about it for a browser: image, proof, how to check it. Whole or not at all.

        Args:
            path: ``S.html``.
            image: Where this image was saved: the page then speaks of that file, and of the audits beside it. None for
                ``S.npy`` beside the page, where that is this image.
            water_mu: Attenuation of water in 1/mm for HU; None for what the scan says.
            overwrite: Whether to replace the page that is there.

        Returns:
            Where it is.

        Raises:
            OutputError: Where it cannot be written, or is no ``.html``.

        """
        from ctrecon.outputs.report.content import gather
        from ctrecon.outputs.report.page import check_place, write_page

        page = Path(path)
        check_place(page, overwrite=overwrite)
        saved = page.with_suffix(".npy") if image is None else Path(image)
        scan = None if self.certified else self.scan
        water = water_mu or self.scan.water_mu_per_mm
        if image is not None or self._is_in(saved):
            write_page(page, gather(saved, scan=scan), water_mu_per_mm=water)
            return page
        with tempfile.TemporaryDirectory() as folder:
            copy = self.save(Path(folder) / saved.name, preview=False)["image"]
            write_page(page, gather(copy, scan=scan), water_mu_per_mm=water)
        return page

    def _is_in(self, path: Path) -> bool:
        from ctrecon.io.npy import read_npy

        try:
            return path.is_file() and np.array_equal(read_npy(path), self.image)
        except (CtreconError, OSError):
            return False

    @checked
    def to_dicom(
        self, folder: str | os.PathLike[str], *, template: str | os.PathLike[str] | None = None,
        patient_id: str | None = None, patient_name: str | None = None, study_description: str | None = None,
        study_date: str | None = None, accession_number: str | None = None, water_mu: float | None = None,
        z_mm: float | None = None, slice_mm: float | None = None, patient_position: str | None = None,
        pictures: bool = True, overwrite: bool = False,
    ) -> dict[str, Path]:
        """Write a DICOM series of the slice, or of all slices of the volume, in HU, with report and certificates.

        Certified as it is stored: of a volume all slices together.

        Args:
            folder: Where it goes: new, empty, or an earlier series with ``overwrite``.
            template: A DICOM file whose patient and study pass through; without one, the scan's own do.
            patient_id: Where no template gives it.
            patient_name: ``FAMILY^GIVEN``, where no template gives it.
            study_description: Where no template gives it.
            study_date: ``YYYYMMDD``, where no template gives it.
            accession_number: Where no template gives it.
            water_mu: Attenuation of water in 1/mm; None for what the scan says, else 0.02.
            z_mm: Where the slice stands; None for what the scan says, else 0, and of a volume, whose grid says it.
            slice_mm: Its thickness; None where not known, and of a volume.
            patient_position: How the patient lay, where the scan does not say it: a term of DICOM such as ``"HFS"``, or
                ``"none"`` for a phantom or a specimen.
            pictures: Whether the report shows the slice, of a volume the middle one.
            overwrite: Whether to replace the series that is there.

        Returns:
            The paths by what they are.

        Raises:
            OutputError: Where it cannot be written.
            InputError: Where a pixel has no size in mm, nobody says how the patient lay, or rounding to HU would take a
                volume beyond delta. A scan put together in a program, with nobody's name on it, is of no patient.

        """
        from ctrecon.dicom.series.study import study_of
        from ctrecon.outputs.series import SeriesTarget

        words = {
            "PatientID": patient_id, "PatientName": patient_name, "StudyDescription": study_description,
            "StudyDate": study_date, "AccessionNumber": accession_number,
        }  # fmt: skip
        study = study_of(
            None if template is None else Path(template), {k: v for k, v in words.items() if v is not None}
        )
        target = SeriesTarget(
            folder=Path(folder), study=study, water_mu=water_mu, overwrite=overwrite, pictures=pictures,
            patient_position=patient_position,
        )
        target.check()
        target.accept(self.scan)
        method = self.conclusion.method
        _, written = target.write(
            [self.conclusion], method=method, iterative=method != "fbp", z_mm=None if z_mm is None else (z_mm,),
            thickness_mm=slice_mm,
        )
        return written

    def show(self) -> Figure:
        """Image, residual and history as one figure, the verdict above.

        A notebook draws it as the last line of a cell; elsewhere in a cell write ``display(result.show())``.

        Returns:
            A figure of matplotlib, in a window where matplotlib has some; ``figure.savefig`` writes it.
        """
        # Matplotlib takes a second to load: only for those who draw.
        from ctrecon.workbench.figure import figure_of

        return figure_of(self.conclusion, str(self))

    def _repr_html_(self) -> str:
        """For notebooks: the picture and, as text that can be copied, the verdict."""
        from ctrecon.outputs.preview import draw_preview

        picture = base64.b64encode(draw_preview(self.conclusion)).decode("ascii")
        return (
            f"<figure><figcaption>{html.escape(str(self))}</figcaption>"
            f'<img alt="{html.escape(repr(self))}" style="max-width:100%" src="data:image/png;base64,{picture}">'
            "</figure>"
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for machines.

        Returns:
            What ``ctrecon reconstruct --json`` prints, with None for the files.
        """
        return facts(self.conclusion, {})

    def __str__(self) -> str:
        return verdict(self.conclusion)

    def __repr__(self) -> str:
        shape = " x ".join(map(str, self.image.shape))
        sign = "<=" if self.certified else "against"
        said = f"residual {self.residual:.6g} {sign} delta {self.delta.value:.6g}"
        if self.certified and self.conclusion.worth is not None and self.conclusion.worth.nothing:
            said += ", which says nothing"
        return f"<Reconstruction {shape}, {'certified' if self.certified else 'NOT certified'}, {said}>"
