"""Download one, checked, resumable."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ctrecon.cli.help import Command
from ctrecon.cli.main import printable
from ctrecon.cli.options import FilePath

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ctrecon.io.datasets.fetch import Fetched
    from ctrecon.io.datasets.sets import DataSet, RemoteFile


@click.command("fetch", cls=Command, examples=("ctrecon data fetch NAME --to data/ --accept-licence",))
@click.argument("name")
@click.option("--to", "folder", type=click.Path(path_type=Path, file_okay=False), help="Default: the user's cache.")
@click.option("--file", "patterns", multiple=True, metavar="PATTERN", help="Only files like *.csv; repeatable.")
@click.option("--accept-licence", "accepted", is_flag=True, help="Accept the licence without being asked.")
@click.option("--sets", "sets_file", type=FilePath, help="A list of your own instead of the shipped one.")
def command(name: str, folder: Path | None, patterns: tuple[str, ...], accepted: bool, sets_file: Path | None) -> None:
    """Download the data set NAME: checked against its record's hashes, and resumed where it broke off.

    Shows licence and sizes first. A lock file beside the data notes what came; docs/datasets.md explains it.
    """
    from ctrecon.io.datasets.fetch import check_space, chosen, missing_bytes
    from ctrecon.io.datasets.record import files_of
    from ctrecon.io.datasets.sets import data_directory, find_set, read_sets

    data_set = find_set(name, read_sets(sets_file))
    folder = folder or data_directory(name)
    record = files_of(data_set)
    files = chosen(record, patterns)
    click.echo(f"{data_set.title}\n{data_set.authors}")
    stated = "" if record.licence is None else f" (the record states: {printable(record.licence)})"
    click.echo(f"licence: {data_set.licence}{stated}" + (f"; doi:{data_set.doi}" if data_set.doi else ""))
    for file in files:
        size = "size unknown" if file.size is None else f"{file.size:,} bytes"
        click.echo(f"  {printable(file.name)}  {size}  {file.known_hash or 'no hash is published: taken on trust'}")
    check_space(files, folder)
    click.echo(f"to {printable(str(folder))}; {missing_bytes(files, folder):,} bytes to come")
    _ask(data_set, accepted)
    for one in _fetch(data_set, files, folder):
        how = "was here" if one.was_there else "fetched"
        trust = "the publisher's hash is right" if one.checked else "no published hash; held to its own from now on"
        click.echo(f"{how}: {printable(str(one.path))}  sha256 {one.sha256}  ({trust})")


def _ask(data_set: DataSet, accepted: bool) -> None:
    from ctrecon.errors import InputError

    if accepted:
        return
    if not sys.stdin.isatty() or not click.confirm(f"accept the licence {data_set.licence!r}?"):
        raise InputError(f"the licence {data_set.licence!r} was not accepted; give --accept-licence if you accept it")


def _fetch(data_set: DataSet, files: Sequence[RemoteFile], folder: Path) -> list[Fetched]:
    from ctrecon.cli.progress import shown
    from ctrecon.io.datasets.fetch import fetch

    with shown(err=True) as progress:
        return fetch(data_set, files, folder, progress=progress)
