"""Retrieve a study or a series (C-GET, C-MOVE, WADO-RS)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from ctrecon.cli.dicom_options import EXIT_PARTLY, connection_options, other_side, web_options
from ctrecon.cli.help import Command


@click.command(
    "get", cls=Command,
    examples=(
        "ctrecon dicom get 1.2.840.1 --from PACS@archive.example:11112 -o study/",
    ),
)  # fmt: skip
@click.argument("study", metavar="STUDY_UID")
@click.option("--series", metavar="UID", help="Only this series.")
@click.option("--from", "node", metavar="TITLE@HOST:PORT", help="The node.")
@web_options
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path, file_okay=False), help="The folder.")
@click.option("--move", is_flag=True, help="Use C-MOVE: the node, which must know us, sends to --port.")
@click.option("--port", type=click.IntRange(1, 65535), default=11112, show_default=True, help="With --move.")
@click.option("--bind", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="With --move: listen there.")
@click.option("--max-gb", type=click.FloatRange(min=0.001), default=64.0, show_default=True, help="Take no more.")
@connection_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def command(
    ctx: click.Context, /, study: str, series: str | None, node: str | None, url: str | None, output: Path, move: bool,
    port: int, bind: str, max_gb: float, as_json: bool, **options: Any,
) -> None:
    """Retrieve a study or series (C-GET; C-MOVE with --move; WADO-RS with --url), in its own transfer syntax.

    Files are FOLDER/STUDY/SERIES/OBJECT.dcm, each name a hash of the UID.
    Exit code 0: all arrived. 2: bad input, not reached, refused, nothing found. 3: some did not arrive.
    """
    import re

    for uid in (study, series):
        if uid is not None and not (len(uid) <= 64 and re.fullmatch(r"[0-9]+(\.[0-9]+)*", uid)):
            raise click.UsageError(f"a UID has at most 64 digits and dots, got {uid!r}")
    if move and url is not None:
        raise click.UsageError("--move belongs to --from, not to --url")
    connection, there, web = other_side(node, url, "--from", options)
    from ctrecon.dicom.network import retrieve
    from ctrecon.errors import InputError

    most = int(max_gb * 1e9)
    if web is not None:
        result = web.get(output, study, series, most_bytes=most)
    elif move:
        assert there is not None
        result = retrieve.move(there, connection, output, study, series, address=bind, port=port, most_bytes=most)
    else:
        assert there is not None
        result = retrieve.get(there, connection, output, study, series, most_bytes=most)
    if not result.files and result.complete:
        raise InputError(f"{url or node} has no such study or series; search with ctrecon dicom find")
    refused = "".join(f", {n} refused here (0x{status:04X})" for status, n in sorted(result.refused.items()))
    said = f"{len(result.files)} objects arrived, {result.failed} failed, {result.warned} with warnings{refused}"
    if as_json:
        facts = {
            "status": "complete" if result.complete else "partly",
            "files": [str(path) for path in result.files],
            "failed": result.failed,
            "warned": result.warned,
            "refused": {f"0x{status:04X}": n for status, n in result.refused.items()},
        }
        click.echo(json.dumps(facts))
    else:
        click.echo(f"{said}; they are in {output}")
    if not result.complete:
        click.echo(f"ctrecon: not all of the study arrived: {said} (final status 0x{result.status:04X})", err=True)
        ctx.exit(EXIT_PARTLY)
