"""Compare the learned method with oracle-tuned classical ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ctrecon.cli.help import Command
from ctrecon.cli.options import FilePath, FolderPath, percent
from ctrecon.cli.peers import named_peers
from ctrecon.cli.progress import shown
from ctrecon.cli.rows import check_rows, rows_option, write_rows

if TYPE_CHECKING:
    from ctrecon.simulation.scanners import Scanner
    from ctrecon.studies.benchmarks import BenchmarkRow, TestSet


@click.command("benchmark", cls=Command, examples=("ctrecon benchmark --phantoms 4 --noise 1% -o rows.json",))
@click.option("--prior", default="ct-default", show_default=True, metavar="NAME|FILE")
@click.option("--ct-slices", type=FolderPath, help="Folder with a folder of DICOM slices per patient; its test split.")
@click.option("--all-patients", is_flag=True, help="Every patient of --ct-slices, for folders never trained on.")
@click.option("--images", type=FolderPath, multiple=True, help="Folder of natural images never trained on.")
@click.option("--phantoms", type=click.IntRange(min=0), default=8, show_default=True, help="Phantoms of each family.")
@click.option("--at-most", type=click.IntRange(min=1), help="So many slices and natural images, evenly spaced.")
@click.option("--noise", type=percent, multiple=True, help="Relative Gaussian noise. Default: 0.5%, 1% and 3%.")
@click.option("--photons", type=click.FloatRange(1, 1e15), multiple=True, help="Poisson counts, in the whitened norm.")
@click.option("--beam", type=click.Choice(("fan", "parallel")), default="fan", show_default=True)
@click.option("--size", type=click.IntRange(16, 1024), default=164, show_default=True)
@click.option("--views", type=click.IntRange(min=3), default=120, show_default=True)
@click.option("--looks", type=click.IntRange(1, 30), default=4, show_default=True, help="As in reconstruct.")
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True)
@click.option("--peer", "peers", type=FilePath, multiple=True, help="Weights of train-peer: a method beside these.")
@rows_option
@click.option("--reuse", type=FilePath, help="Take classical scores on the same data from an earlier JSON.")
def command(
    prior: str, noise: tuple[float, ...], photons: tuple[float, ...], beam: str, size: int, views: int, looks: int,
    seed: int, output: Path | None, overwrite: bool, reuse: Path | None, peers: tuple[Path, ...], **options: Any,
) -> None:
    """Compare the learned method with FBP, CGLS and Huber-TV whose parameters an oracle chooses per image.

    The paper's fan beam, or parallel rays over half a turn; PSNR in dB, mean over the images, at the certified stop
    with the true delta. Of a --peer also how far its images are from explaining the data, ||Au - f|| / delta, and how
    many of them a certificate can be made for.
    """
    from ctrecon.networks.pretrained import load_ct_network
    from ctrecon.simulation.scanners import Scanner
    from ctrecon.simulation.simulate import standard_scanner
    from ctrecon.studies.benchmarks import Counts, Gaussian, NoiseModel, compare

    check_rows(output, overwrite=overwrite)
    problem = Scanner(*standard_scanner(beam, size, views))
    strengths = noise or (() if photons else (0.005, 0.01, 0.03))
    noises: list[NoiseModel] = [*map(Gaussian, strengths), *map(Counts, photons)]
    network, _ = load_ct_network(prior)
    chosen = ("ct_slices", "all_patients", "images", "at_most", "phantoms")
    sets = _sets(problem, seed, **{key: options[key] for key in chosen})
    known = None if reuse is None else _known(reuse)
    others = named_peers(peers)
    rows = []
    click.echo(_header(list(others)))
    how: dict[str, Any] = {"seed": seed, "looks": looks, "known": known}
    with shown(err=True) as progress:
        for row in compare(network, problem, sets, noises, **how, peers=others, progress=progress):
            rows.append(row)
            click.echo(_line(row))
            if output is not None:
                # After every row: the oracle takes its time, and what it found is not to be lost.
                write_rows(output, [one.to_dict() for one in rows])


HEADER = (
    "| set | images (patients or objects) | noise | learned (95% interval) | one shot | Huber-TV | CGLS | FBP | "
    "gain over Huber-TV (95% interval) | worst | iterations | certified |"
)


def _header(peers: list[str]) -> str:
    columns = HEADER + "".join(
        f" {name} (95% interval) | gain over {name} (95% interval) | its misfit / delta, least to most | certified |"
        for name in peers
    )
    return columns + "\n| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |" + (
        " ---: | ---: | ---: | --- |" * len(peers)
    )


def _line(row: BenchmarkRow) -> str:
    facts = row.to_dict()
    gain = row.estimate(row.gains("huber_tv"))
    learned = row.estimate(row.psnr["energy"]).said(".2f")
    scores = " | ".join([learned, *(f"{row.mean(m):.2f}" for m in ("one_shot", "huber_tv", "cgls", "fbp"))])
    return (
        f"| {row.name} | {facts['images']} ({facts['patients']}) | {row.noise} | {scores} | "
        f"{gain.said('+.2f', difference=True)} | {facts['gain_over_huber_tv_db']['worst']:+.2f} | "
        f"{facts['iterations']['mean']:.1f}, most {facts['iterations']['most']} | "
        f"{'all' if facts['all_certified'] else 'NOT ALL'} |" + "".join(_of_peer(row, name) for name in row.peers)
    )


def _of_peer(row: BenchmarkRow, name: str) -> str:
    own, gain, scores = row.estimate(row.psnr[name]), row.estimate(row.gains(name)), row.peers[name]
    return (
        f" {own.said('.2f')} | {gain.said('+.2f', difference=True)} | "
        f"{min(scores.misfit):.2f} to {max(scores.misfit):.2f} | {scores.verdict} |"
    )


def _sets(
    problem: Scanner, seed: int, ct_slices: Path | None, all_patients: bool, images: tuple[Path, ...],
    at_most: int | None, phantoms: int,
) -> list[TestSet]:
    import numpy as np
    import torch

    from ctrecon.phantoms import FAMILIES
    from ctrecon.studies.benchmarks import TestSet, images_as_set
    from ctrecon.training.data import PhantomSource
    from ctrecon.training.image_sets import read_natural_images, slices_of

    sets = []
    if ct_slices is not None:
        splits = ("train", "validation", "test") if all_patients else ("test",)
        found = [one for split in splits for one in slices_of(ct_slices, split, empty_ok=all_patients)]
        slices = evenly(found, at_most)
        images_of, patients = [image for _, image in slices], [patient for patient, _ in slices]
        sets.append(images_as_set("CT slices", images_of, problem, patients))
    if images:
        sets.append(images_as_set("natural images", evenly(read_natural_images(images), at_most), problem))
    for family in FAMILIES if phantoms else ():
        # Training draws from seeds of its own; these are far from them.
        rng = np.random.default_rng([seed, 424_242])
        drawn = [PhantomSource([family.sample]).draw(rng, problem) for _ in range(phantoms)]
        truth, clean = torch.cat([t for t, _ in drawn]), torch.cat([s for _, s in drawn])
        sets.append(TestSet(name=f"phantoms: {family.name}", truth=truth, clean=clean))
    return sets


def evenly(images: list[Any], at_most: int | None) -> list[Any]:
    """Evenly spaced, so that no patient stands for all."""
    if at_most is None or at_most >= len(images):
        return images
    return [images[i * len(images) // at_most] for i in range(at_most)]


def _known(path: Path) -> dict[tuple[str, str, str], dict[str, list[float]]]:
    from ctrecon.errors import InputError

    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        return {(row["set"], row["noise"], row["data_sha256"]): row["psnr_db"] for row in rows}
    except (OSError, ValueError, TypeError, KeyError):
        raise InputError(f"{path} is no table that ctrecon benchmark wrote") from None
