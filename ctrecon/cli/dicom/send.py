"""Send objects to a node or a DICOMweb service (C-STORE, STOW-RS)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from ctrecon.cli.dicom_options import EXIT_PARTLY, connection_options, other_side, web_options
from ctrecon.cli.help import Command
from ctrecon.cli.options import ScanPath


@click.command("send", cls=Command, examples=("ctrecon dicom send series/ --to PACS@archive.example:11112",))
@click.argument("files", metavar="FILE|FOLDER...", nargs=-1, required=True, type=ScanPath)
@click.option("--to", "node", metavar="TITLE@HOST:PORT", help="The node.")
@web_options
@connection_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object, with each object's status.")
@click.pass_context
def command(
    ctx: click.Context, /, files: tuple[Path, ...], node: str | None, url: str | None, as_json: bool, **options: Any
) -> None:
    """Send DICOM files as they are, each in its own transfer syntax (C-STORE, or STOW-RS with --url).

    Exit code 0: all are stored there. 2: bad input, not reached, refused. 3: some are not stored, counted by status.
    """
    connection, there, web = other_side(node, url, "--to", options)
    from ctrecon.dicom.network.objects import headers_of
    from ctrecon.dicom.network.store import send, stored, summary

    headers = headers_of(files)
    if web is not None:
        sent = web.send(headers)
    else:
        assert there is not None
        sent = send(there, connection, headers)
    if as_json:
        facts = {
            "status": "stored" if sent.complete else "partly stored",
            "stored": sum(map(stored, sent.statuses.values())),
            "objects": [
                {"sop_instance": h.sop_instance, "transfer_syntax": h.transfer_syntax, "status": f"0x{s:04X}"}
                for h, s in ((headers[k], sent.statuses[k]) for k in sorted(sent.statuses))
            ],
        }
        click.echo(json.dumps(facts))
    else:
        click.echo(summary(sent))
    if not sent.complete:
        click.echo(f"ctrecon: not all of the {len(headers)} objects are stored: {summary(sent)}", err=True)
        ctx.exit(EXIT_PARTLY)
