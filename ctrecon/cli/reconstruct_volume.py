"""``ctrecon reconstruct`` of a cone beam, or anything else measured in space, into one volume with one certificate."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ctrecon.cli.progress import shown
from ctrecon.cli.reconstruct_one import tell, tell_memory
from ctrecon.support.text import printable

if TYPE_CHECKING:
    from ctrecon.measurement.scan import Scan
    from ctrecon.outputs.stack.store import StackTarget
    from ctrecon.reconstruction.settings import Settings
    from ctrecon.support.elsewhere import Spreads


def to_volume(
    scan_file: Path, settings: Settings, target: StackTarget, *, executor: Spreads | None, preview: bool,
    page: Path | None, as_json: bool,
) -> int:
    """Write the volume with its evidence; the exit code."""
    from ctrecon.io.unoriented import unoriented_notes
    from ctrecon.outputs.stack.whole import accept_whole
    from ctrecon.reconstruction.checkpoint_file import checkpoint_of, remove_checkpoint
    from ctrecon.workbench.reconstruct import reconstruct_checked

    target.check([scan_file])
    checkpoint = checkpoint_of(target.path)
    if page is not None:
        from ctrecon.outputs.report.page import check_place

        check_place(page, scan_file, overwrite=target.overwrite)

    def accept(scan: Scan) -> None:
        accept_whole(scan, target)
        tell_memory(scan, settings, as_json=as_json)

    with shown(quiet=as_json) as progress:
        result = reconstruct_checked(
            scan_file, settings, accept, progress=progress, checkpoint=checkpoint, executor=executor
        )
    written = result.save_volume(target, preview=preview)
    remove_checkpoint(checkpoint)
    if page is not None:
        written["report"] = result.report(
            page, image=written["image"], water_mu=target.water_mu, overwrite=target.overwrite
        )
    said = unoriented_notes(target.path.name, result.scan.patient_position)
    if not as_json:
        for note in said:
            click.echo(f"note: {printable(note)}")
    return tell(result.conclusion, written, as_json=as_json, notes=said)
