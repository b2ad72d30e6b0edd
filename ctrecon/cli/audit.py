"""``ctrecon audit``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ctrecon.cli.main import printable
from ctrecon.cli.options import FilePath, overwrite_option

if TYPE_CHECKING:
    from ctrecon.auditing.audit import Answer, Audit
    from ctrecon.auditing.evidence import Evidence
    from ctrecon.auditing.regions import Region, Ring
    from ctrecon.auditing.tiles import Map
    from ctrecon.certificates.interval import Empty

EXIT_EMPTY = 3


@click.command("audit")
@click.argument("recon", metavar="RECON", type=FilePath)
@click.option(
    "--roi", multiple=True, metavar="X,Y,R|MASK",
    help="A disc: column, row, radius in pixels (0-based, row 0 at the top); or a mask, .npy or NIfTI. Repeatable.",
)  # fmt: skip
@click.option("--roi-mm", multiple=True, metavar="X,Y,R", help="A disc in mm from the middle, x right, y up.")
@click.option(
    "--kappa", metavar="VALUE|PERCENT|IMAGE",
    help="How rough the object may be: a bound on TV in the image's unit, a percentage of the reconstruction's TV, or "
    "the TV of an image .npy. Default: the reconstruction's own TV.",
)  # fmt: skip
@click.option("--lo", type=float, default=0.0, show_default=True, help="Smallest value an object can have, in 1/mm.")
@click.option("--hi", type=float, help="Largest one. Default: 0.1/mm, or twice the reconstruction's largest if above.")
@click.option("--gap", type=float, default=2.0, show_default=True, help="Pixels between region and surroundings.")
@click.option("--ring", type=float, help="Width of the surroundings in pixels. Default: 0.6 R, at least 4.")
@click.option("--scan", "whole", is_flag=True, help="Ask of discs all over the image, and draw what is decided.")
@click.option("--radius", type=float, help="Of the discs of --scan, in pixels. Default: a sixteenth of the image.")
@click.option("--iterations", type=click.IntRange(min=1), help="Most iterations. Default: 6000; 1500 for --scan.")
@overwrite_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object for machines, and nothing else.")
@click.pass_context
def command(
    ctx: click.Context, /, recon: Path, roi: tuple[str, ...], roi_mm: tuple[str, ...], kappa: str | None, lo: float,
    hi: float | None, gap: float, ring: float | None, whole: bool, radius: float | None, iterations: int | None,
    overwrite: bool, as_json: bool,
) -> None:
    """Tell whether a structure of a certified image is in the data, or only in the picture.

    RECON is S.npy or S.certificate.json. For each region: the certified range of its mean less the mean of its
    surroundings, over ALL images that explain the scan within delta, are no rougher than kappa and lie within --lo and
    --hi. "In the data": the range excludes 0. Each range is written as a certificate beside RECON,
    S.LABEL.certificate.json, which `ctrecon verify` checks. With --scan: S.audit.png, S.audit.npy, S.audit.json.
    Exit code 0: answered. 2: bad input. 3: no image meets all this, so there is nothing to ask.
    """
    from ctrecon.auditing.audit import Audit, assume, write_answers
    from ctrecon.auditing.evidence import read_evidence
    from ctrecon.auditing.regions import Ring
    from ctrecon.auditing.tiles import default_radius, scan, tile_up
    from ctrecon.certificates.interval import Empty, certificate_path
    from ctrecon.errors import SettingError
    from ctrecon.support.places import check_places

    if not (roi or roi_mm or whole):
        raise click.UsageError("say what to audit: --roi, --roi-mm or --scan")
    if radius is not None and not whole:
        raise SettingError("--radius is of the discs of --scan; a region's own radius belongs into --roi X,Y,R")
    surroundings = Ring(gap=gap, width=ring)
    evidence = read_evidence(recon)
    assumptions = assume(evidence, **_kappa(kappa, evidence), lo=lo, hi=hi)
    regions = _regions(roi, roi_mm, evidence, surroundings)
    if whole:  # what cannot be is refused before the work begins
        shape = (evidence.image.shape[0], evidence.image.shape[1])
        radius = default_radius(shape) if radius is None else radius
        tile_up(shape, radius, surroundings)
    places = [certificate_path(evidence.image_path, region.label) for region in regions]
    places += _map_paths(evidence.image_path).values() if whole else ()
    check_places(places, overwrite=overwrite)
    audit = Audit(evidence=evidence, assumptions=assumptions)
    most: dict[str, Any] = {} if iterations is None else {"most_iterations": iterations}
    facts: dict[str, Any] = {"status": "answered", **_assumed(audit), "regions": []}
    if not as_json:
        _tell_assumed(audit)
    for region in regions:
        answer = audit.ask(region, **most)
        if isinstance(answer, Empty):
            _refuse(audit, answer, facts, as_json)
            ctx.exit(EXIT_EMPTY)
        path = write_answers(audit, [answer])[0]
        facts["regions"].append(_answer_facts(answer, path))
        if not as_json:
            _tell(answer, path, evidence.unit)
    if whole:
        found = scan(audit, radius=radius, ring=surroundings, **most)
        facts["scan"] = _write_map(audit, found)
        if not as_json:
            click.echo(
                f"{sum(tile.decided for tile in found.tiles)} of {len(found.tiles)} discs of radius {found.radius:g} "
                f"pixels differ from their surroundings in every such image ({found.seconds:.0f} s)"
            )
            for what in ("map", "values", "tiles"):
                click.echo(f"{what:>12}: {printable(facts['scan'][what])}")
    if as_json:
        click.echo(json.dumps(facts, allow_nan=False))


def _kappa(text: str | None, evidence: Evidence) -> dict[str, Any]:
    from ctrecon.auditing.evidence import single
    from ctrecon.auditing.image_set import variation
    from ctrecon.errors import SettingError
    from ctrecon.io.images import read_image_array

    if text is None:
        return {}
    if text.endswith(".npy"):
        other = read_image_array(Path(text))
        if other.shape != evidence.image.shape:
            raise SettingError(
                f"--kappa {text}: has shape {other.shape}, the reconstruction {evidence.image.shape}; TV depends on "
                "the pixels, so give an image of the same"
            )
        return {"kappa": variation(single(other)), "kappa_from": f"the TV of {Path(text).name}"}
    try:
        number = float(text.strip().removesuffix("%"))
    except ValueError:
        raise SettingError(f"--kappa is a number, a percentage like 120%, or an image .npy, got {text!r}") from None
    if not text.strip().endswith("%"):
        return {"kappa": number, "kappa_from": "given"}
    own = variation(single(evidence.image))
    return {"kappa": own * number / 100, "kappa_from": f"{number:g}% of the TV of the reconstruction"}


def _regions(roi: tuple[str, ...], roi_mm: tuple[str, ...], evidence: Evidence, ring: Ring) -> list[Region]:
    from dataclasses import replace

    from ctrecon.auditing.regions import disc, disc_mm, masked, read_mask
    from ctrecon.errors import SettingError

    shape, grid = (evidence.image.shape[0], evidence.image.shape[1]), evidence.grid
    found: list[Region] = []
    for text in roi:
        numbers = _three(text)
        if numbers is None:
            mask = read_mask(Path(text), shape, None if grid is None else grid.spacing_mm)
            found.append(masked(mask, Path(text).name, ring))
        else:
            found.append(disc(*numbers, shape, ring))
    for text in roi_mm:
        numbers = _three(text)
        if numbers is None:
            raise SettingError(f"--roi-mm is X,Y,RADIUS in mm, got {text!r}")
        if grid is None:
            raise SettingError(f"{evidence.path.name} has a matrix and no geometry, so mm mean nothing; use --roi")
        found.append(disc_mm(*numbers, grid, ring))
    labels: dict[str, int] = {}
    for k, region in enumerate(found):
        labels[region.label] = labels.get(region.label, 0) + 1
        if labels[region.label] > 1:  # masks of one name from two folders
            found[k] = replace(region, label=f"{region.label}-again{labels[region.label]}")
    return found


def _three(text: str) -> tuple[float, float, float] | None:
    parts = text.split(",")
    try:
        x, y, r = (float(part) for part in parts)
    except ValueError:
        return None
    return x, y, r


def _assumed(audit: Audit) -> dict[str, Any]:
    a, evidence = audit.assumptions, audit.evidence
    return {
        "reconstruction": str(evidence.image_path), "delta": evidence.delta, "norm": evidence.values["norm"],
        "kappa": a.kappa, "kappa_from": a.kappa_from, "lo": a.lo, "hi": a.hi, "hi_from": a.hi_from,
        "unit": evidence.unit.strip() or None,
    }  # fmt: skip


def _tell_assumed(audit: Audit) -> None:
    a, evidence = audit.assumptions, audit.evidence
    claim = evidence.values["statement"].split(" for ")[0]
    click.echo(f"{printable(evidence.image_path.name)} explains its scan: {claim}")
    click.echo("asked of all images that also explain it within delta, with")
    click.echo(f"  TV(u) <= kappa = {a.kappa:.6g}{evidence.unit} ({printable(a.kappa_from)})")
    click.echo(f"  {a.lo:g} <= u <= {a.hi:g}{evidence.unit} ({a.hi_from})")


def _tell(answer: Answer, path: Path, unit: str) -> None:
    made = answer.certificate
    click.echo(f"{printable(answer.region.name)}:")
    click.echo(f"  contrast in the reconstruction {answer.contrast:.6g}{unit}")
    click.echo(f"  certified for every such image: {made.lower:.6g} to {made.upper:.6g}{unit}")
    if answer.found is not None:
        reached = f"  images found that show {answer.found[0]:.6g} and {answer.found[1]:.6g}"
        click.echo(reached + ("" if answer.converged else "; more --iterations may narrow the certified range"))
    else:
        click.echo("  no image well inside of all bounds was found, so the range may be wider than need be")
    click.echo(f"  verdict: {answer.verdict.upper() if answer.decided else answer.verdict}")
    click.echo(f"  {answer.iterations} iterations, {answer.seconds:.1f} s; certificate: {printable(str(path))}")


def _answer_facts(answer: Answer, path: Path) -> dict[str, Any]:
    return {
        "region": answer.region.name, "label": answer.region.label, "contrast": answer.contrast,
        "lower": answer.certificate.lower, "upper": answer.certificate.upper,
        "found": None if answer.found is None else list(answer.found), "verdict": answer.verdict,
        "converged": answer.converged, "iterations": answer.iterations, "seconds": round(answer.seconds, 3),
        "certificate": str(path),
    }  # fmt: skip


def _refuse(audit: Audit, empty: Empty, facts: dict[str, Any], as_json: bool) -> None:
    a = audit.assumptions
    line = (
        f"no image explains the scan within delta = {audit.evidence.delta:.6g} with TV <= {a.kappa:.6g} and values "
        f"from {a.lo:g} to {a.hi:g} (proved: its contrast would be above {empty.lower:.6g} and below "
        f"{empty.upper:.6g}); raise --kappa, --hi or lower --lo"
    )
    click.echo(f"ctrecon: {line}", err=True)
    if as_json:
        click.echo(json.dumps({**facts, "status": "no such image", "error": line}, allow_nan=False))


def _write_map(audit: Audit, found: Map) -> dict[str, Any]:
    from ctrecon.auditing.picture import draw_map
    from ctrecon.io.write import put_array
    from ctrecon.support.atomic import atomic_files

    paths = _map_paths(audit.evidence.image_path)
    facts: dict[str, Any] = {
        **{what: str(path) for what, path in paths.items()},
        "radius": found.radius,
        "discs": len(found.tiles),
        "decided": sum(tile.decided for tile in found.tiles),
        "seconds": round(found.seconds, 3),
    }
    listed = [
        {"column": t.column, "row": t.row, "contrast": t.contrast, "sign": t.sign, "bound": t.bound,
         "verdict": "in the data" if t.decided else "the data do not decide"}
        for t in found.tiles
    ]  # fmt: skip
    meaning = "every such image has sign x contrast >= bound; for a certificate ask with --roi COLUMN,ROW,RADIUS"
    picture = draw_map(audit, found)
    text = json.dumps({**_assumed(audit), **facts, "meaning": meaning, "tiles": listed}, indent=1, allow_nan=False)
    with atomic_files() as place:
        place(paths["map"]).write_bytes(picture)
        put_array(place(paths["values"]), found.values, paths["values"])
        place(paths["tiles"]).write_text(text + "\n", encoding="utf-8")
    return facts


def _map_paths(image: Path) -> dict[str, Path]:
    stem = image.name.removesuffix(".npy")
    return {what: image.with_name(f"{stem}.audit{end}") for what, end in _MAP.items()}


_MAP = {"map": ".png", "values": ".npy", "tiles": ".json"}
