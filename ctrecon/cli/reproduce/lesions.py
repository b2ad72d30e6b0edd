"""Audits: planted lesions of known truth."""

from __future__ import annotations

from pathlib import Path

import click

from ctrecon.cli.help import Command


@click.command("lesions", cls=Command, examples=("ctrecon reproduce lesions --count 20 -o lesions.jsonl",))
@click.option("--count", type=click.IntRange(min=1), default=100, show_default=True, help="Lesions in all.")
@click.option(
    "--first-seed", type=click.IntRange(min=0), default=7000, show_default=True, help="Of the objects and their noise."
)
@click.option("--part", default="1/1", show_default=True, metavar="K/N", help="Every N-th lesion, from the K-th.")
@click.option("--most", type=click.IntRange(min=1), help="Stop after so many new lesions.")
@click.option("-o", "--output", required=True, type=click.Path(dir_okay=False, path_type=Path), help="JSON lines.")
def command(count: int, first_seed: int, part: str, most: int | None, output: Path) -> None:
    """Audits: planted lesions of known truth; how many are decided, and whether all ranges hold the truth.

    One JSON line a lesion, then the table. What OUTPUT holds already is kept, and the study goes on from there.
    """
    from ctrecon.cli.resumed import part_of, resumed
    from ctrecon.studies.planted import Planted, cases, measure, table

    chosen = part_of(cases(count, first_seed), part)
    rows = resumed(output, {case.key: case for case in chosen}, lambda case: measure(case).to_dict(), most)
    for line in table([Planted(**row) for row in rows]):
        click.echo(line)
