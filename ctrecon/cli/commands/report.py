"""Write one page about a reconstruction: image, proof, how to check it."""

from __future__ import annotations

from pathlib import Path

import click

from ctrecon.cli.help import Command
from ctrecon.cli.main import EXIT_DELTA_NOT_MET, printable
from ctrecon.cli.options import FilePath, ScanPath, overwrite_option

EXIT_REFUSED = 1


@click.command("report", cls=Command, examples=("ctrecon report head.certificate.json -o head.html",))
@click.argument("file", metavar="CERTIFICATE|IMAGE|VOLUME", type=ScanPath)
@click.option("-o", "--output", type=FilePath, help="The page. Default: S.report.html beside the files.")
@click.option(
    "--water-mu", type=click.FloatRange(min=0, min_open=True, max=1e3), metavar="PER_MM",
    help="Attenuation of water in 1/mm, for HU. Default: 0.02 where that can be.",
)  # fmt: skip
@overwrite_option
@click.pass_context
def command(ctx: click.Context, /, file: Path, output: Path | None, water_mu: float | None, overwrite: bool) -> None:
    """Write one page about a reconstruction: S.certificate.json, its image S.npy, or a volume of certified slices.

    Every certificate is checked anew, also those of audited regions beside it. Exit code 0: the page shows a certified
    image, and all its certificates hold. 1: one is refused, and the page says so. 2: bad input. 3: not certified.
    """
    from ctrecon.outputs.report.content import gather, stem_of
    from ctrecon.outputs.report.page import check_place, write_page
    from ctrecon.outputs.report.stack_content import gather_whole
    from ctrecon.outputs.stack.lookup import stack_of

    stack = stack_of(file)
    if stack is not None:
        page = output or _beside(stack[0])
        check_place(page, stack[0], overwrite=overwrite)
        whole = gather_whole(stack[0])
        if whole is None:
            ctx.exit(_of_stack(stack[0], page, water_mu))
        content = whole
    else:
        page = output or file.with_name(stem_of(file) + ".report.html")
        check_place(page, file, overwrite=overwrite)
        content = gather(file)
    write_page(page, content, water_mu_per_mm=water_mu)
    worth = content.worth.said if content.worth is not None and content.worth.said else ""
    click.echo(f"report: {printable(str(page))}  ({content.status}{'; ' if worth else ''}{worth})")
    for audit in content.audits:
        if audit.refused:
            click.echo(f"REFUSED  {printable(audit.name)}: {printable(audit.refused)}", err=True)
    if content.status == "refused" and content.verdict is not None:
        click.echo(f"REFUSED  {printable(file.name)}: {printable(content.verdict.reason)}", err=True)
    if content.status == "refused" or any(audit.refused for audit in content.audits):
        ctx.exit(EXIT_REFUSED)
    if content.status != "certified":
        ctx.exit(EXIT_DELTA_NOT_MET)


def _beside(volume: Path) -> Path:
    from ctrecon.outputs.stack.formats import stack_suffix

    return volume.with_name(volume.name[: -len(stack_suffix(volume) or "")] + ".report.html")


def _of_stack(volume: Path, page: Path, water_mu: float | None) -> int:
    """The page of a stack; the exit code."""
    from ctrecon.outputs.report.page import write_stack_page
    from ctrecon.outputs.report.stack_content import gather_stack

    found = gather_stack(volume)
    write_stack_page(page, found, water_mu_per_mm=water_mu)
    said = f"{found.certified} of {len(found.slices)} slices are certified"
    click.echo(f"report: {printable(str(page))}  ({found.content.status}; {said})")
    if found.content.status == "refused":
        click.echo(f"REFUSED  {printable(volume.name)}: {printable(found.verdict.said)}", err=True)
        return EXIT_REFUSED
    return 0 if found.content.status == "certified" else EXIT_DELTA_NOT_MET
