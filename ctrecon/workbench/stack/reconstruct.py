"""``ctrecon.reconstruct_stack``: all slices of a scan as one volume on disk, in memory that does not grow with them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ctrecon.errors import InputError
from ctrecon.geometry.as_json import grid_from_dict
from ctrecon.io.unoriented import unoriented_notes
from ctrecon.measurement.scan import WATER_MU_PER_MM
from ctrecon.outputs.stack.formats import load_format
from ctrecon.outputs.stack.manifest import Manifest
from ctrecon.outputs.stack.preview import draw_slice
from ctrecon.outputs.stack.store import StackTarget, places_of, water_of
from ctrecon.reconstruction.pieces import Pieces, beside
from ctrecon.reconstruction.settings import Settings
from ctrecon.support.arguments import checked
from ctrecon.support.atomic import atomic_write
from ctrecon.support.places import check_places
from ctrecon.support.pooled_notes import pooled_notes
from ctrecon.support.progress import Report
from ctrecon.support.versions import versions
from ctrecon.workbench.stack.job import plan
from ctrecon.workbench.stack.run import Executor, Here, Ran, run_job

if TYPE_CHECKING:
    from ctrecon.support.site_key import SiteKey


@dataclass(frozen=True, kw_only=True)
class Stack:
    """A stack that was reconstructed: ``manifest`` of what was written (None where an interrupt left it unfinished).

    ``written``: the paths by what they are; ``records``: what is said of each slice that is done; ``planned`` slices,
    of which ``taken_over`` from an earlier run that was cut off; ``interrupted``: run it again, and it goes on.
    """

    manifest: Manifest | None
    written: Mapping[str, Path] = field(default_factory=dict)
    records: tuple[Mapping[str, Any], ...]
    planned: int
    taken_over: int = 0
    interrupted: bool = False

    @property
    def certified(self) -> int:
        """How many slices are certified."""
        return sum(bool(one["certified"]) for one in self.records)

    def report(
        self, path: str | os.PathLike[str], *, water_mu: float | None = None, overwrite: bool = False
    ) -> Path:
        """Write one page about the volume for a browser: three planes, which slices are certified, how to check it.

        Every certificate is checked anew, from the files.

        Args:
            path: ``S.html``.
            water_mu: Attenuation of water in 1/mm, for HU; None for what the stack says.
            overwrite: Whether to replace the page that is there.

        Returns:
            Where it is.

        Raises:
            InputError: Where an interrupt left no volume.
            OutputError: Where it cannot be written, or is no ``.html``.
        """
        from ctrecon.outputs.report.page import check_place, write_stack_page
        from ctrecon.outputs.report.stack_content import gather_stack

        page = Path(path)
        check_place(page, overwrite=overwrite)
        if "volume" not in self.written:
            raise InputError("there is no volume to report on: the job was interrupted; run it again, and it goes on")
        write_stack_page(page, gather_stack(self.written["volume"]), water_mu_per_mm=water_mu)
        return page


@checked
def reconstruct_stack(
    scan: str | os.PathLike[str],
    output: str | os.PathLike[str],
    settings: Settings | None = None,
    *,
    spacing_mm: float | None = None,
    water_mu: float | None = None,
    preview: bool = True,
    overwrite: bool = False,
    key: SiteKey | None = None,
    executor: Executor | None = None,
    progress: Report | None = None,
    watch: Callable[[int, Mapping[str, Any]], None] | None = None,
) -> Stack:
    """Reconstruct every slice of a scan, batch by batch, each certified, into one volume on disk.

    What is done is kept on disk beside ``output`` as it is done: after a crash, ``kill -9`` or Ctrl-C, the same call
    goes on, does at most the batch again that was in hand, and writes the same bytes as if nothing had been.

    Args:
        scan: A file with several detector rows of parallel (or stacked fan) beams, or a folder of TIFF or of CT
            projections (``docs/units.md``). Rows are read when they are needed.
        output: ``NAME.zarr`` (OME-Zarr 0.4), ``NAME.tif``, ``NAME.h5`` (attenuation as certified), ``NAME.nii.gz`` or
            ``NAME.nii`` (HU). The evidence stands within the store, or in ``NAME.evidence/`` beside the file.
        settings: Of every slice; ``size`` and ``pixel_mm`` of the grid, which all share.
        spacing_mm: From slice to slice; None for a detector row, as seen at the axis.
        water_mu: Attenuation of water in 1/mm, for HU; None for what the scan says, else 0.02.
        preview: Whether to draw the middle slice to ``NAME.png``, as soon as it is done where no earlier stack stands.
        overwrite: Whether to replace what is there.
        key: Signs the manifest.
        executor: Who does the batches; None for this process.
        progress: Hears of iterations, and after each batch of the rate and the time that is left.
        watch: Hears of each slice that is done: its number from 0, and what is said of it.

    Returns:
        What was done, and where it is.

    Raises:
        InputError: What cannot be read, or is no stack.
        SettingError: Settings of a single slice.
        OutputError: Where it cannot be written.
    """
    target = StackTarget(path=Path(output), water_mu=water_mu, key=key, overwrite=overwrite)
    target.check([Path(scan)])
    settings = Settings() if settings is None else settings
    pieces = Pieces(beside(target.path.resolve()))
    job, source = plan(scan, settings, pieces.folder, spacing_mm=spacing_mm)
    _accept(source.read(job.middle), target)
    drawn: dict[str, Path] = {}
    waiting: dict[Path, bytes] = {}
    picture = target.path.with_name(target.path.name[: -len(target.suffix)] + ".png")
    if preview and not pieces.folder.exists():  # else it is of the run that this one goes on with
        check_places([picture], overwrite=overwrite)

    def done(k: int, record: Mapping[str, Any]) -> None:
        if k == job.middle and preview:
            drawn["preview"] = picture
            raw = draw_slice(pieces, k, record)
            if any(place.exists() for place in target.places):
                waiting[picture] = raw  # beside an earlier stack no picture of this one stands
            else:
                with atomic_write(picture) as place:
                    place.write_bytes(raw)
        if watch is not None:
            watch(k, record)

    ran = run_job(job, Here(source, progress) if executor is None else executor, progress=progress, watch=done)
    records = tuple(ran.records)
    if ran.interrupted:
        return Stack(
            manifest=None, written={} if waiting else drawn, records=records, planned=job.count,
            taken_over=ran.taken_over, interrupted=True,
        )  # fmt: skip
    manifest = manifest_of(ran, target, Path(scan).resolve().name)
    files = {k: one["files"] for k, one in ran.slices.items()}
    written = {**target.write(pieces, manifest, files, waiting), **drawn}
    pieces.remove()
    return Stack(
        manifest=manifest, written=written, records=records, planned=job.count, taken_over=ran.taken_over
    )


def _accept(scan: Any, target: StackTarget) -> None:
    """Before any work: raises InputError where HU are asked of a scan whose lengths are not in mm."""
    from ctrecon.outputs.millimetres import check_tissue, need_pixels
    from ctrecon.outputs.stack.volume_file import HU

    if load_format(target.suffix).values == HU:
        need_pixels(scan, target.path.name)
        check_tissue(scan, target.path.name, target.water_mu)


def manifest_of(ran: Ran, target: StackTarget, source: str) -> Manifest:
    """What the whole says of itself; nothing in it depends on when or how fast it was done."""
    records, first = ran.records, ran.records[0]
    grid = None if first["grid"] is None else grid_from_dict(first["grid"])
    if any(one["grid"] != first["grid"] for one in records):
        raise InputError("the slices do not stand on one grid, so they make no volume")
    form = load_format(target.suffix)
    said = (first["water"], "from the scan") if first["water"] is not None else (WATER_MU_PER_MM, "assumed")
    origin, step = places_of(tuple(one["z_mm"] for one in records), grid)
    rows, columns = first["shape"]
    slices = []
    for k in sorted(ran.slices):
        one, files = ran.slices[k]["record"], ran.slices[k]["files"]
        told = one["facts"]
        slices.append({
            "z_mm": one["z_mm"], "status": told["status"], "image_sha256": files["image"][1],
            "certificate_sha256": files[""][1] if "" in files else None, "delta": told["delta"], "norm": told["norm"],
            "residual": told["residual"], "reason": told["reason"], "says_nothing": told["says_nothing"],
            "says_little": told["says_little"], "files": sorted(files),
        })  # fmt: skip
    return Manifest(
        shape=(len(records), rows, columns), first_mm=origin, step_mm=step, length_unit=first["length_unit"],
        values="HU" if form.values == "HU" else f"attenuation in {first['unit'] or 'units of the matrix'}",
        volume=target.path.name, slices=tuple(slices), settings=ran.job.settings.to_dict(), source=source,
        notes=(
            *pooled_notes([one["facts"]["notes"] for one in records]),
            *unoriented_notes(target.path.name, first["position"]),
        ),
        water_mu_per_mm=water_of(form.values, target.water_mu, said), patient_position=first["position"],
        range=(min(one["range"][0] for one in records), max(one["range"][1] for one in records)),
        made_with=versions(),
    )  # fmt: skip
