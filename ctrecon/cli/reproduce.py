"""``ctrecon reproduce``: the figures and tables of the paper, one command per file."""

from __future__ import annotations

from typing import ClassVar

import click

from ctrecon.cli.lazy import LazyGroup


class FiguresAndTables(LazyGroup):
    """One figure or table per file."""

    modules: ClassVar[dict[str, tuple[str, str]]] = {
        "fig1": ("reproduce_fig1", "What an overfitted network erases, and energy dissipation keeps."),
        "fig2": ("reproduce_fig2", "The 2-D toy: paths that dissipate energy."),
        "fig3": ("reproduce_fig3", "The 2-D toy: why a network is trained on its own paths."),
        "fig4": ("reproduce_fig4", "PSNR and data term over the iterations."),
        "table1": ("reproduce_table1", "Super-resolution: PSNR, SSIM, and what is left of the residual."),
        "table2": ("reproduce_table2", "Sudoku: cell accuracy and solved puzzles."),
        "roughness": ("reproduce_roughness", "Audits: how rough the truth is beside the smoothest image."),
        "lesions": ("reproduce_lesions", "Audits: planted lesions of known truth."),
        "volumes": ("reproduce_volumes", "Volumes: the network beside Huber-TV by an oracle."),
        "lodopab": ("reproduce_lodopab", "The LoDoPaB-CT protocol: its measures, on the set or on other slices."),
        "helsinki": ("reproduce_helsinki", "The Helsinki challenge of 2022: discs with holes, limited angle."),
        "coverage": ("reproduce_coverage", "Delta: how often the true image lies within it."),
    }


@click.group("reproduce", cls=FiguresAndTables)
def command() -> None:
    """Compute the tables of "Controlling Neural Networks via Energy Dissipation" and of the documentation anew."""
