"""Volumes: the network beside Huber-TV by an oracle."""

from __future__ import annotations

from pathlib import Path

import click

from ctrecon.cli.help import Command


@click.command("volumes", cls=Command, examples=("ctrecon reproduce volumes --count 1 -o volumes.jsonl",))
@click.option("--count", type=click.IntRange(min=1), default=2, show_default=True, help="Bodies of each family.")
@click.option("--size", type=click.IntRange(min=16), default=128, show_default=True, help="Voxels along a side.")
@click.option("--views", type=click.IntRange(min=8), default=120, show_default=True)
@click.option("--prior", multiple=True, default=("ct-volume",), show_default=True, help="Weights by name or file.")
@click.option(
    "--ct-objects", type=click.Path(exists=True, file_okay=False, path_type=Path), metavar="DIR",
    help="Stacked slices of the objects in DIR that training holds back (.npz), in the place of bodies.",
)  # fmt: skip
@click.option("--part", default="1/1", show_default=True, metavar="K/N", help="Every N-th case, from the K-th.")
@click.option("--most", type=click.IntRange(min=1), help="Stop after so many new cases.")
@click.option("-o", "--output", required=True, type=click.Path(dir_okay=False, path_type=Path), help="JSON lines.")
def command(
    count: int, size: int, views: int, prior: tuple[str, ...], ct_objects: Path | None, part: str, most: int | None,
    output: Path,
) -> None:
    """Volumes: the network at its certified stop beside Huber-TV in space by an oracle.

    One JSON line a case, then the table. What OUTPUT holds already is kept, and the study goes on from there.
    """
    from ctrecon.cli.resumed import part_of, resumed
    from ctrecon.studies.volumes import Found, cases, measure, table
    from ctrecon.training.objects import read_objects

    objects = [] if ct_objects is None else read_objects(ct_objects, "validation")
    named = {one.name: one for one in objects}
    chosen = part_of(cases(count, size, views, prior, objects), part)
    rows = resumed(output, {case.key: case for case in chosen}, lambda case: measure(case, named).to_dict(), most)
    for line in table([Found(**row) for row in rows]):
        click.echo(line)
