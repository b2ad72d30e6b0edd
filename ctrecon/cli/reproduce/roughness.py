"""Audits: how rough the truth is beside the smoothest image."""

from __future__ import annotations

from pathlib import Path

import click

from ctrecon.cli.help import Command


@click.command("roughness", cls=Command, examples=("ctrecon reproduce roughness --seeds 1 -o roughness.jsonl",))
@click.option("--seeds", type=click.IntRange(min=1), default=1, show_default=True, help="Scans of each kind.")
@click.option("--first-seed", type=click.IntRange(min=0), default=0, show_default=True, help="0 to 2: as designed on.")
@click.option("--families", type=click.Choice(("known", "new", "all")), default="known", show_default=True)
@click.option("--part", default="1/1", show_default=True, metavar="K/N", help="Every N-th scan, from the K-th.")
@click.option("--most", type=click.IntRange(min=1), help="Stop after so many new scans.")
@click.option("-o", "--output", required=True, type=click.Path(dir_okay=False, path_type=Path), help="JSON lines.")
def command(seeds: int, first_seed: int, families: str, part: str, most: int | None, output: Path) -> None:
    """Audits: how rough the truth is beside the smoothest image that explains its scan.

    One JSON line a scan. What OUTPUT holds already is kept, and the study goes on from there.
    """
    from ctrecon.cli.resumed import part_of, resumed
    from ctrecon.networks.pretrained import load_ct_network
    from ctrecon.studies.roughness import Rough, cases, measure, table

    network = load_ct_network("ct-default")[0]
    chosen = part_of(list(cases(seeds, first_seed=first_seed, families=families)), part)
    rows = resumed(output, {case.key: case for case in chosen}, lambda case: measure(case, network).to_dict(), most)
    click.echo(f"{len(rows)} of {len(chosen)} scans in {output}")
    for line in table([Rough(**row) for row in rows]):
        click.echo(line)
