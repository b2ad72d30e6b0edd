"""Ask a node whether it is there (C-ECHO)."""

from __future__ import annotations

from typing import Any

import click

from ctrecon.cli.dicom_options import connection_of, connection_options
from ctrecon.cli.help import Command


@click.command("echo", cls=Command, examples=("ctrecon dicom echo --to PACS@archive.example:11112",))
@click.option("--to", "node", required=True, metavar="TITLE@HOST:PORT", help="The node.")
@connection_options
def command(node: str, **options: Any) -> None:
    """Ask a node whether it is there (C-ECHO). Exit code 0: it answered. 2: it did not, or refused."""
    from ctrecon.dicom.network.associate import echo
    from ctrecon.dicom.network.node import Node

    other = Node.parse(node)
    echo(other, connection_of(**options))
    click.echo(f"{other} answers")
