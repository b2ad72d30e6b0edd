"""The Helsinki challenge of 2022: discs with holes, limited angle."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ctrecon.cli.help import Command
from ctrecon.cli.options import FilePath, FolderPath, percent
from ctrecon.cli.rows import check_rows, rows_option, write_rows

if TYPE_CHECKING:
    from ctrecon.studies.helsinki import Case, Scored


@click.command(
    "helsinki", cls=Command,
    examples=(
        "ctrecon reproduce helsinki --set htc2022/ --prior discs.safetensors --correct bimodal:hard=0.35 -o rows.json",
        "ctrecon reproduce helsinki --phantoms discs.py --prior discs.safetensors -o rows.json",
    ),
)  # fmt: skip
@click.option("--set", "folders", type=FolderPath, multiple=True, help="Scans of the challenge. Repeatable.")
@click.option("--phantoms", type=FilePath, metavar="FILE.py", help="Instead: discs of a Python file, simulated.")
@click.option("--prior", "priors", multiple=True, default=("ct-default",), show_default=True, metavar="NAME|FILE",
              help="Weights of a direction. Repeatable.")
@click.option("--opening", "openings", type=click.IntRange(1, 359), multiple=True, metavar="DEGREES",
              help="Repeatable.  [default: 90, 80, ... 30]")
@click.option("--count", type=click.IntRange(min=1), default=10, show_default=True, help="Discs of --phantoms.")
@click.option("--size", type=click.IntRange(16, 512), default=128, show_default=True, help="Pixels to reconstruct on.")
@click.option("--noise", type=percent, default="1%", show_default=True, help="Of --phantoms, relative to ||f||.")
@click.option("--delta", default="1.5%", show_default=True, help="As of reconstruct.")
@click.option("--correct", metavar="NAMES", help="Of --set, as of reconstruct.")
@click.option("--huber-tv", is_flag=True, help="Also by Huber-TV at Morozov's weight, many minutes an image.")
@click.option("--seed", type=click.IntRange(min=0), default=1000, show_default=True, help="Of discs and first views.")
@rows_option
def command(
    folders: tuple[Path, ...], phantoms: Path | None, priors: tuple[str, ...], openings: tuple[int, ...], count: int,
    size: int, noise: float, delta: str, correct: str | None, huber_tv: bool,
    seed: int, output: Path | None, overwrite: bool,
) -> None:
    """The Helsinki Tomography Challenge 2022: discs with holes, limited angle, scored as the challenge scores them.

    Matthews' coefficient of the image on 512 x 512 pixels, cut by Otsu, against the challenge's segmentation; whether
    it is certified. Parts of whole turns begin at angles drawn at random.
    """
    from ctrecon.errors import SettingError
    from ctrecon.studies.helsinki import OPENINGS_DEG, PUBLISHED, score

    check_rows(output, overwrite=overwrite)
    if bool(folders) == (phantoms is not None):
        raise SettingError("give either --set FOLDER (the challenge's scans) or --phantoms FILE.py (discs to simulate)")
    if correct is not None and not folders:
        raise SettingError(f"--correct {correct} is of scans that were measured; drop it, or give --set")
    methods: dict[str, dict[str, Any]] = {Path(name).stem: {"prior": name} for name in priors}
    if huber_tv:
        methods["huber-tv"] = {"method": "huber-tv"}
    rows: list[Scored] = []
    for case in _cases(folders, phantoms, openings or OPENINGS_DEG, count, size, noise, seed):
        for name, settings in methods.items():
            rows.append(score(case, name, delta=delta, correct=correct, **settings))
            one = rows[-1]
            click.echo(f"{one.disc}, {one.opening_deg} degrees, {one.method}: {one.matthews:.4f}", err=True)
            if output is not None:
                # After every one: they take their time, and what is done is not to be lost.
                write_rows(output, [row.to_dict() for row in rows])
    for line in table(rows, list(methods), PUBLISHED):
        click.echo(line)


def table(rows: list[Scored], methods: list[str], published: dict[int, float]) -> list[str]:
    """A line per opening and method, with 95% intervals by discs."""
    from ctrecon.support.statistics import estimate

    lines = [
        "| degrees | method | discs | Matthews coefficient (95% interval) | worst | misfit / delta | certified |",
        "| ---: | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for opening in sorted({row.opening_deg for row in rows}, reverse=True):
        for method in methods:
            own = [row for row in rows if (row.opening_deg, row.method) == (opening, method)]
            scores, misfits = [row.matthews for row in own], [row.misfit for row in own]
            mean = estimate(scores, [row.disc for row in own])
            lines.append(
                f"| {opening} | {method} | {mean.groups} | {mean.said('.4f')} | {min(scores):.4f} "
                f"| {min(misfits):.2f} to {max(misfits):.2f} | {sum(row.certified for row in own)} of {len(own)} |"
            )
    said = ", ".join(f"{value:.4f} at {opening}" for opening, value in published.items())
    lines.append(f"The challenge's second place on other, simulated discs, by its authors: {said} degrees.")
    return lines


def _cases(
    folders: tuple[Path, ...], phantoms: Path | None, openings: tuple[int, ...], count: int, size: int, noise: float,
    seed: int,
) -> Iterator[Case]:
    from ctrecon.simulation.own_family import read_family
    from ctrecon.studies.helsinki import measured_cases, simulated_cases

    if phantoms is None:
        return measured_cases(folders, openings, size=size, seed=seed)
    return simulated_cases(read_family(phantoms), count, openings, size=size, noise=noise, seed=seed)
