"""``ctrecon verify``."""

from __future__ import annotations

import json
from pathlib import Path

import click

from ctrecon.cli.main import EXIT_BAD_INPUT, printable

EXIT_REFUSED = 1


@click.command("verify")
@click.argument("files", metavar="CERTIFICATE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--image", type=click.Path(path_type=Path), help="The image, where it is not beside its certificate.")
@click.option("--data", type=click.Path(path_type=Path), help="The data, where they are not beside the certificate.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per certificate.")
@click.pass_context
def command(
    ctx: click.Context, files: tuple[Path, ...], image: Path | None, data: Path | None, as_json: bool
) -> None:
    """Check certificates with numpy and scipy alone, from image and data as they are on disk.

    Give S.certificate.json, or the image S.npy beside it. Exit code 0: all valid. 1: one is refused. 2: unreadable.
    """
    from ctrecon.certificates.verify import check

    if (image or data) and len(files) > 1:
        raise click.UsageError("--image and --data go with one certificate")
    worst = 0
    for file in files:
        path = file
        if file.suffix == ".npy":
            path = file.with_name(file.name.removesuffix(".npy") + ".certificate.json")
        if not path.is_file():
            click.echo(f"ctrecon: there is no certificate {printable(str(path))}", err=True)
            worst = EXIT_BAD_INPUT
            continue
        verdict = check(path, image=image, data=data)
        if as_json:
            facts = {
                "file": str(path),
                "valid": verdict.valid,
                "kind": verdict.kind,
                "statement": verdict.statement,
                "reason": verdict.reason,
                "residual_upper_bound": verdict.residual_upper_bound,
                "delta": verdict.delta,
            }
            click.echo(json.dumps(facts))
        else:
            said = verdict.statement if verdict.valid else verdict.reason
            click.echo(f"{'valid' if verdict.valid else 'REFUSED'}  {printable(str(path))}: {printable(str(said))}")
        if not verdict.valid:
            worst = max(worst, EXIT_REFUSED if verdict.readable else EXIT_BAD_INPUT)
    ctx.exit(worst)
