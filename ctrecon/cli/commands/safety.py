"""Plant lesions and see which survive which method."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ctrecon.cli.figures import check_out, out_option
from ctrecon.cli.help import Command
from ctrecon.cli.options import FolderPath, percent
from ctrecon.cli.progress import shown

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Picture
    from torch import Tensor

    from ctrecon.simulation.scanners import Scanner
    from ctrecon.studies.safety.bench import Example, Plan
    from ctrecon.studies.safety.readings import ReadingRow


@click.command("safety", cls=Command, examples=("ctrecon safety --ct-slices patients/ --quick --out safety/",))
@click.option("--prior", default="ct-default", show_default=True, metavar="NAME|FILE")
@click.option("--ct-slices", type=FolderPath, help="Folder with a folder of DICOM slices per patient; its test split.")
@click.option("--all-patients", is_flag=True, help="Every patient of --ct-slices, for folders never trained on.")
@click.option("--slices", type=click.IntRange(min=1), default=3, show_default=True, help="Slices, or chest phantoms.")
@click.option("--contrast", type=float, multiple=True, default=(25.0, 50.0, 100.0), show_default=True, help="In HU.")
@click.option("--radius", type=float, multiple=True, default=(2.0, 4.0), show_default=True, help="In pixels.")
@click.option("--noise", type=percent, multiple=True, default=("1%", "3%"), show_default=True)
@click.option("--places", type=click.IntRange(min=1), default=4, show_default=True, help="Lesions in a slice.")
@click.option("--repeats", type=click.IntRange(min=2), default=5, show_default=True, help="Noises per lesion.")
@click.option("--size", type=click.IntRange(32, 1024), default=128, show_default=True)
@click.option("--views", type=click.IntRange(min=3), default=120, show_default=True)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option("--quick", is_flag=True, help="One slice, one radius, one noise level, three repeats: half a minute.")
@out_option
def command(
    prior: str, slices: int, size: int, views: int, seed: int, quick: bool, out: Path, overwrite: bool, **options: Any,
) -> None:
    """Plant lesions in held-out slices and see which survive which method.

    Prints a table and writes safety.json, safety.md and safety.png to --out: contrast recovered and detectability
    (docs/trust.md defines them) of energy dissipation, its network in one shot, Huber-TV and FBP.
    """
    from ctrecon.networks.pretrained import load_ct_network
    from ctrecon.simulation.scanners import walnut_scanner
    from ctrecon.studies.safety.bench import Plan, roomiest, run
    from ctrecon.studies.safety.methods import Bench
    from ctrecon.studies.safety.readings import rows_of

    plan = Plan(
        contrasts_hu=options["contrast"], radii=options["radius"], noise=options["noise"], places=options["places"],
        repeats=options["repeats"], seed=seed,
    )
    if quick:
        slices, plan = 1, Plan(contrasts_hu=(50.0, 100.0), radii=(3.0,), noise=(0.03,), places=3, repeats=3, seed=seed)
    _check(plan)
    check_out(out, "safety", overwrite=overwrite, kinds=("json", "md", "png"))
    problem = walnut_scanner(size, views)
    found, source, patients = _truths(problem, slices, seed, options["ct_slices"], options["all_patients"])
    chosen = roomiest(found, slices, plan)
    truths = found[chosen]
    network, _ = load_ct_network(prior)
    examples: list[Example] = []
    with shown(err=True) as progress:
        readings = list(run(Bench(network, problem), truths, plan, keep=examples.append, progress=progress))
    rows = rows_of(readings, [patients[number] for number in chosen])
    settings = {"prior": prior, "images": source, "count": len(truths), "size": size, "views": views, **plan.to_dict()}
    table = _table(rows)
    _write(out, {"settings": settings, "rows": [row.to_dict() for row in rows]}, table, _picture(rows, examples[-1]))
    click.echo(table)


def _check(plan: Plan) -> None:
    from ctrecon.errors import SettingError

    for name, values, most in (("--contrast", plan.contrasts_hu, 3000), ("--radius", plan.radii, 100)):
        for value in values:
            if not 0 < value <= most:
                raise SettingError(f"{name} must lie above 0 and be at most {most}, got {value:g}")
    for value in plan.noise:
        if value <= 0:
            raise SettingError(f"--noise must be > 0, got {value:g}: without noise every method is right")


def _truths(
    problem: Scanner, count: int, seed: int, ct_slices: Path | None, all_patients: bool
) -> tuple[Tensor, str, list[str]]:
    """All slices of the split; or twice ``count`` chest phantoms, with seeds far from those of training; and whose."""
    import numpy as np
    import torch

    from ctrecon.phantoms.families.chest import Chest
    from ctrecon.studies.benchmarks import images_as_set
    from ctrecon.training.data import PhantomSource
    from ctrecon.training.image_sets import slices_of

    if ct_slices is None:
        rng = np.random.default_rng([seed, 424_242])
        source = PhantomSource([Chest().sample])
        drawn = torch.cat([source.draw(rng, problem)[0] for _ in range(2 * count)])
        return drawn, "chest phantoms", [str(k) for k in range(len(drawn))]
    splits = ("train", "validation", "test") if all_patients else ("test",)
    slices = [one for split in splits for one in slices_of(ct_slices, split, empty_ok=all_patients)]
    truths = images_as_set("CT slices", [image for _, image in slices], problem).truth
    return truths, "CT slices of patients not trained on", [patient for patient, _ in slices]


def _table(rows: list[ReadingRow]) -> str:
    lines = [
        "| noise | radius | contrast | method | lesions (patients) | recovered (95% interval) | over Huber-TV | "
        "worst | erased | AUC | spurious |",
        "| ---: | ---: | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in rows:
        if row.places == "all":
            lines.append(
                f"| {row.noise:.1%} | {row.radius:g} px | {row.contrast_hu:g} HU | {row.method} | "
                f"{row.lesions} ({row.interval.groups}) | {row.interval.said('.0%')} | "
                f"{'' if row.over_huber_tv is None else row.over_huber_tv.said('+.0%', difference=True)} | "
                f"{row.recovered_worst:.0%} | {row.erased:.0%} | {row.auc:.2f} | "
                f"{row.spurious_hu:.0f} HU |"
            )
    return "\n".join(lines)


def _write(out: Path, facts: dict[str, Any], table: str, picture: Picture) -> None:
    from ctrecon.support.atomic import atomic_files

    with atomic_files() as place:
        place(out / "safety.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
        place(out / "safety.md").write_text(table + "\n", encoding="utf-8")
        picture.savefig(place(out / "safety.png"), dpi=100)


def _picture(rows: list[ReadingRow], example: Example) -> Picture:
    """On top one slice and its images; below, contrast recovered and AUC over the contrast planted."""
    from matplotlib.figure import Figure as Picture
    from matplotlib.patches import Circle

    from ctrecon.measurement.scan import WATER_MU_PER_MM
    from ctrecon.studies.safety.methods import METHODS

    radii = list(dict.fromkeys(row.radius for row in rows))
    levels = list(dict.fromkeys(row.noise for row in rows))
    picture = Picture(figsize=(14, 7.5), layout="constrained")
    top, bottom = picture.subfigures(2, 1, squeeze=False)[:, 0]
    top.suptitle(
        f"lesions of {example.lesion.contrast_hu:g} HU and radius {example.lesion.radius:g} px, "
        f"{example.noise:.1%} noise (window -200 to 250 HU)"
    )
    panels = top.subplots(1, 1 + len(METHODS))
    for axes, (name, image) in zip(panels, {"truth": example.truth, **example.images}.items(), strict=True):
        hounsfield = (image.numpy() / WATER_MU_PER_MM - 1) * 1000
        axes.imshow(hounsfield, cmap="gray", vmin=-200, vmax=250)
        axes.set_title(name, fontsize=10)
        axes.set_axis_off()
    for place in example.places:
        panels[0].add_patch(Circle((place.column, place.row), 2.2 * example.lesion.radius, fill=False, color="lime"))
    charts = bottom.subplots(1, 2 * len(radii), squeeze=False)[0]
    for k, (radius, (what, bounds)) in enumerate(
        (radius, panel) for panel in (("recovered", (-0.1, 1.3)), ("auc", (0.4, 1.02))) for radius in radii
    ):
        for color, method in enumerate(METHODS):
            for style, level in zip(("-", "--", ":", "-."), levels, strict=False):
                chosen = sorted(
                    (row.contrast_hu, getattr(row, what)) for row in rows
                    if (row.method, row.noise, row.radius, row.places) == (method, level, radius, "all")
                )
                label = f"{method}, {level:.0%}"
                charts[k].plot(*zip(*chosen, strict=True), f"o{style}", color=f"C{color}", label=label, markersize=3)
        title = "contrast recovered" if what == "recovered" else "AUC of a reader who knows the place"
        charts[k].set(title=f"{title}\nradius {radius:g} px", xlabel="contrast in HU", ylim=bounds)
        charts[k].title.set_fontsize(9)
    charts[-1].legend(fontsize=7, loc="lower right", handlelength=3)
    return picture
