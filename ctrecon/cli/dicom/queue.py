"""Show the queue of `listen`, and try failed studies again."""

from __future__ import annotations

import json
from pathlib import Path

import click

from ctrecon.cli.help import Command
from ctrecon.cli.main import printable
from ctrecon.cli.options import FolderPath


@click.command("queue", cls=Command, examples=("ctrecon dicom queue inbox/",))
@click.argument("folder", type=FolderPath)
@click.option("--retry", multiple=True, metavar="STUDY|all", help="Try this failed study again; may be repeated.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(folder: Path, retry: tuple[str, ...], as_json: bool) -> None:
    """Show the studies in the queue of `ctrecon dicom listen`, and try failed ones again.

    Studies are called by a hash. The reason of a failure may quote what the processing printed.
    """
    from ctrecon.dicom.network.study_folder import reason_of
    from ctrecon.dicom.network.study_folder import retry as try_again
    from ctrecon.dicom.network.study_folders import STATES
    from ctrecon.errors import InputError

    if not (folder / "failed").is_dir():
        raise InputError(f"{folder}: no queue of ctrecon dicom listen is there; give its --folder")
    failed = sorted(path.name for path in (folder / "failed").iterdir())
    moved = [(key, try_again(folder, key)) for key in (failed if "all" in retry else retry)]
    counts = {state: sorted(path.name for path in (folder / state).iterdir()) for state in STATES}
    reasons = {key: reason_of(folder, key) for key in counts["failed"]}
    if as_json:
        click.echo(json.dumps({"studies": counts, "reasons": reasons, "retried": dict(moved)}))
        return
    for key, state in moved:
        click.echo(f"{key}: {state}")
    for state, keys in counts.items():
        click.echo(f"{state:>9}: {len(keys)}")
    for key, reason in reasons.items():
        click.echo(f"failed {key}: {printable(reason)}")
