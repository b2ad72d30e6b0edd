"""Say which data sets there are, how large, and under which licence."""

from __future__ import annotations

import json
from pathlib import Path

import click

from ctrecon.cli.help import Command
from ctrecon.cli.options import FilePath


@click.command("list", cls=Command, examples=("ctrecon data list",))
@click.option("--sets", "sets_file", type=FilePath, help="A list of your own instead of the shipped one.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for machines, and nothing else.")
def command(sets_file: Path | None, as_json: bool) -> None:
    """Say which data sets there are. Nothing is downloaded; exact sizes are shown by fetch, from the record itself."""
    from ctrecon.io.datasets.sets import data_directory, read_sets

    sets = read_sets(sets_file)
    if as_json:
        facts = {
            s.name: {"title": s.title, "authors": s.authors, "licence": s.licence, "doi": s.doi,
                     "about_bytes": s.about_bytes, "folder": str(data_directory(s.name))}
            for s in sets.values()
        }
        click.echo(json.dumps(facts))
        return
    for s in sets.values():
        size = "size: see fetch" if s.about_bytes is None else f"about {s.about_bytes / 1e9:.2g} GB"
        here = ", some of it is here" if data_directory(s.name).is_dir() else ""
        click.echo(f"{s.name:10} {s.title}")
        click.echo(f"{'':10} {s.authors}")
        click.echo(f"{'':10} {s.licence}; {'no DOI' if s.doi is None else f'doi:{s.doi}'}; {size}{here}")
