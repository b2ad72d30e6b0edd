"""Delta: what its estimate costs an image."""

from __future__ import annotations

from pathlib import Path

import click

from ctrecon.cli.help import Command


@click.command("losses", cls=Command, examples=("ctrecon reproduce losses --scans 11 -o losses.jsonl",))
@click.option("--scans", type=click.IntRange(min=1), default=66, show_default=True, help="Each of its own object.")
@click.option("--part", default="1/1", show_default=True, metavar="K/N", help="Every N-th scan, from the K-th.")
@click.option("--most", type=click.IntRange(min=1), help="Stop after so many new scans.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option("-o", "--output", required=True, type=click.Path(dir_okay=False, path_type=Path), help="JSON lines.")
def command(scans: int, part: str, most: int | None, seed: int, output: Path) -> None:
    """Delta: the PSNR that --delta auto costs beside the true residual, by Huber-TV and by the learned method.

    One JSON line a scan. What OUTPUT holds already is kept, and the study goes on from there. Families, sizes, beams,
    views and noises change from scan to scan; 66 scans are every family in every noise. Intervals are of 95%.
    """
    from ctrecon.cli.resumed import part_of, resumed
    from ctrecon.networks.pretrained import load_ct_network
    from ctrecon.studies.paper.losses import Loss, keys, losses, measure

    network = load_ct_network("ct-default")[0]
    chosen = dict(part_of(list(keys(scans, seed=seed).items()), part))
    rows = resumed(output, chosen, lambda k: measure(k, network, seed=seed).to_dict(), most)
    click.echo(f"{len(rows)} of {len(chosen)} scans in {output}")
    click.echo("| scans of | n | delta / true residual, median | Huber-TV loses, dB | at most | learned | at most |")
    click.echo("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for row in losses([Loss(**row) for row in rows]):
        click.echo(
            f"| {row.of} | {row.scans} | {row.median_over:.3f} | {row.huber_tv} | {row.largest_huber_tv:.2f} "
            f"| {row.learned} | {row.largest_learned:.2f} |"
        )
