"""The LoDoPaB-CT protocol: its measures, on the set or on other slices."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ctrecon.cli.help import Command
from ctrecon.cli.options import FilePath, FolderPath
from ctrecon.cli.rows import check_rows, rows_option, write_rows

if TYPE_CHECKING:
    from ctrecon.studies.lodopab.protocol import Case, Protocol
    from ctrecon.studies.lodopab.study import Method, Scored

METHODS = ("fbp", "huber-tv", "learned")


@click.command(
    "lodopab", cls=Command,
    examples=(
        "ctrecon reproduce lodopab --set lodopab/ --at-most 8 -o rows.json",
        "ctrecon reproduce lodopab --ct-slices patients/ --at-most 8 -o rows.json",
    ),
)  # fmt: skip
@click.option("--set", "folder", type=FolderPath, help="LoDoPaB-CT itself: its test files, unpacked.")
@click.option("--ct-slices", type=FolderPath, help="Instead: a folder of DICOM slices per patient; its test split.")
@click.option("--method", "names", type=click.Choice(METHODS), multiple=True, help="Repeatable. Default: all.")
@click.option("--prior", default="ct-default", show_default=True, metavar="NAME|FILE", help="Of the method learned.")
@click.option("--peer", "peers", type=FilePath, multiple=True, help="Weights of train-peer, beside these.")
@click.option("--at-most", type=click.IntRange(min=1), help="So many images, evenly spaced.")
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True, help="Of the noise for --ct-slices.")
@rows_option
def command(
    folder: Path | None, ct_slices: Path | None, names: tuple[str, ...], prior: str, peers: tuple[Path, ...],
    at_most: int | None, seed: int, output: Path | None, overwrite: bool,
) -> None:
    """The LoDoPaB-CT protocol: 362 x 362 pixels, 1,000 parallel views, 513 cells, 4,096 photons.

    On the set itself (--set), or on CT slices brought to the protocol: other images, whose numbers do not compare with
    published ones. PSNR and SSIM as its challenge defines them; FR: with the full range. The oracle and the descent
    take minutes an image.
    """
    from ctrecon.errors import SettingError
    from ctrecon.studies.lodopab.protocol import Protocol
    from ctrecon.studies.lodopab.study import PUBLISHED_PSNR_DB, scored

    check_rows(output, overwrite=overwrite)
    if (folder is None) == (ct_slices is None):
        raise SettingError("give either --set FOLDER (LoDoPaB-CT itself) or --ct-slices FOLDER")
    protocol = Protocol()
    methods = _methods(names or METHODS, prior, peers)
    cases = protocol.of_set(folder, at_most) if folder is not None else _brought(protocol, ct_slices, at_most, seed)
    rows: list[Scored] = []
    for row in scored(protocol.scanner, cases, methods):
        rows.append(row)
        click.echo(f"{row.patient}, {row.method}: {row.measures.psnr:.2f} dB, SSIM {row.measures.ssim:.3f}", err=True)
        if output is not None:
            # After every one: they take their time, and what is done is not to be lost.
            write_rows(output, [one.to_dict() for one in rows])
    for line in table(rows, list(methods)):
        click.echo(line)
    if folder is None:
        click.echo("These are other images than those of LoDoPaB-CT: published numbers do not compare with them.")
    else:
        said = ", ".join(f"{name} {value:.2f}" for name, value in PUBLISHED_PSNR_DB.items())
        click.echo(f"Published PSNR in dB, mean over all test images of the set: {said} (Leuschner et al. 2021).")


def table(rows: list[Scored], methods: list[str]) -> list[str]:
    """A line per method, with 95% intervals by patients."""
    from ctrecon.studies.lodopab.study import means

    lines = [
        "| method | images (patients) | PSNR (95% interval) | SSIM | PSNR-FR | SSIM-FR | misfit / delta | certified |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |",
    ]
    for method in methods:
        own, mean = [row for row in rows if row.method == method], means(rows, method)
        misfits, hits = [row.misfit for row in own], sum(row.certified for row in own)
        lines.append(
            f"| {method} | {mean['psnr'].images} ({mean['psnr'].groups}) | {mean['psnr'].said('.2f')} "
            f"| {mean['ssim'].said('.3f')} | {mean['psnr_fr'].said('.2f')} | {mean['ssim_fr'].said('.3f')} "
            f"| {min(misfits):.2f} to {max(misfits):.2f} | {hits} of {len(own)} |"
        )
    return lines


def _methods(names: tuple[str, ...], prior: str, peers: tuple[Path, ...]) -> dict[str, Method]:
    from ctrecon.cli.peers import named_peers
    from ctrecon.networks.pretrained import load_ct_network
    from ctrecon.studies.lodopab import study

    known: dict[str, Any] = {
        "fbp": lambda: study.filtered_back_projection,
        "huber-tv": lambda: study.huber_tv,
        "learned": lambda: study.energy_dissipation(load_ct_network(prior)[0]),
    }
    chosen = {name: known[name]() for name in METHODS if name in names}
    return {**chosen, **{name: study.of_peer(peer) for name, peer in named_peers(peers).items()}}


def _brought(protocol: Protocol, folder: Path | None, at_most: int | None, seed: int) -> Iterable[Case]:
    from ctrecon.cli.commands.benchmark import evenly
    from ctrecon.training.image_sets import slices_of

    assert folder is not None
    for number, (patient, image) in enumerate(evenly(slices_of(folder, "test"), at_most)):
        yield protocol.brought(image, patient, seed + number)
