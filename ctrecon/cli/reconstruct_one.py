"""``ctrecon reconstruct`` of one image, or one volume, into files or a DICOM series."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ctrecon.cli.main import EXIT_DELTA_NOT_MET
from ctrecon.cli.progress import shown
from ctrecon.support.text import printable

if TYPE_CHECKING:
    from ctrecon.measurement.scan import Scan
    from ctrecon.outputs.series import SeriesTarget
    from ctrecon.reconstruction.conclude import Conclusion
    from ctrecon.reconstruction.settings import Settings
    from ctrecon.support.elsewhere import Spreads
    from ctrecon.support.site_key import SiteKey


def to_files(
    scan_file: Path, settings: Settings, inputs: list[Path], output: str | None, *, preview: bool, page: Path | None,
    overwrite: bool, as_json: bool, slice_mm: float | None, water_mu: float | None,
    key: SiteKey | None, executor: Spreads | None,
) -> int:
    """Write ``S.npy`` and what belongs to it; the exit code."""
    from ctrecon.outputs.files import Target
    from ctrecon.reconstruction.checkpoint_file import checkpoint_of, remove_checkpoint
    from ctrecon.workbench.reconstruct import reconstruct_checked

    name = scan_file.resolve().name if scan_file.is_dir() else scan_file.name.removesuffix(scan_file.suffix)
    there = [path for path in inputs if path.exists()]
    target = Target.at(
        Path(output or f"{name}.recon.npy"), inputs=there, water_mu=water_mu, slice_mm=slice_mm, key=key,
        page=page, overwrite=overwrite,
    )
    if page is not None:
        from ctrecon.outputs.report.page import check_place

        check_place(page, *there, overwrite=overwrite)

    def accept(scan: Scan) -> None:
        target.accept(scan)

    checkpoint = checkpoint_of(target.path)
    with shown(quiet=as_json) as progress:
        result = reconstruct_checked(
            scan_file, settings, accept, progress=progress, checkpoint=checkpoint, executor=executor
        )
    written = target.write(result.conclusion, preview=preview)
    remove_checkpoint(checkpoint)
    said = volume_notes(written.get("volume"), result.scan, water_mu)
    if not as_json:
        for note in said:
            click.echo(f"note: {printable(note)}")
    if page is not None:
        written["report"] = result.report(page, image=written["image"], water_mu=water_mu, overwrite=overwrite)
    return tell(result.conclusion, written, as_json=as_json, notes=said)


def volume_notes(volume: Path | None, scan: Scan, water_mu: float | None) -> list[str]:
    """What a volume in HU takes for granted, one sentence each; nothing where there is none."""
    from ctrecon.io.unoriented import unoriented_notes

    if volume is None:
        return []
    water, how = scan.water(water_mu)
    said = f"{volume.name} is in HU with water at {water:g} per mm ({how})"
    return [said, *unoriented_notes(volume.name, scan.patient_position)]


def to_one_series(
    scan_file: Path, settings: Settings, series: SeriesTarget, *, page: Path | None, as_json: bool,
    slice_mm: float | None, water_mu: float | None, executor: Spreads | None,
) -> int:
    """Write a DICOM series of one slice, or of one volume; the exit code."""
    from ctrecon.errors import SettingError
    from ctrecon.outputs.millimetres import grid_places
    from ctrecon.reconstruction.checkpoint_file import checkpoint_of, remove_checkpoint
    from ctrecon.workbench.reconstruct import reconstruct_checked

    if page is not None:
        raise SettingError(
            f"a series brings its own reports, so drop --report {page}; `ctrecon report` makes the page of a slice "
            "from its certificate"
        )

    def accept(scan: Scan) -> None:
        series.accept(scan)
        grid_places(scan, slice_mm)
        tell_memory(scan, settings, as_json=as_json)

    checkpoint = checkpoint_of(series.folder)
    with shown(quiet=as_json) as progress:
        result = reconstruct_checked(
            scan_file, settings, accept, progress=progress, checkpoint=checkpoint, executor=executor
        )
    noted, series = series.study.notes, series.of(result.scan)
    said = list[str]()
    stored, written = series.write(
        [result.conclusion], method=settings.method, iterative=settings.method != "fbp", thickness_mm=slice_mm,
        said=said.append,
    )  # fmt: skip
    remove_checkpoint(checkpoint)
    if not as_json:
        for note in (*series.study.notes[len(noted) :], *said):
            click.echo(f"note: {printable(note)}")
    return tell(stored[0], written, as_json=as_json, notes=(*series.study.notes, *said))


def tell_memory(scan: Scan, settings: Settings, *, as_json: bool) -> None:
    """Say what memory a volume will take, before the work."""
    from ctrecon.reconstruction.memory import memory_said

    if scan.in_space and not as_json:
        click.echo(f"note: {printable(memory_said(scan.with_grid(), settings.method))}", err=True)


def tell(
    result: Conclusion, written: Mapping[str, Path], *, as_json: bool, notes: tuple[str, ...] | list[str] = ()
) -> int:
    """Say what is proved and what was written; the exit code. ``notes``: beyond those of the scan, for machines."""
    from ctrecon.workbench.verdict import facts, verdict

    if as_json:
        told: dict[str, Any] = facts(result, written)
        told["notes"] += notes
        click.echo(json.dumps(told, allow_nan=False))
    else:
        click.echo(verdict(result))
        tell_paths(written)
    return 0 if result.certified else EXIT_DELTA_NOT_MET


def tell_paths(written: Mapping[str, Path]) -> None:
    for what, path in written.items():
        click.echo(f"{what:>12}: {printable(str(path))}")
