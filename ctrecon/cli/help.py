"""The help of a command: an example or two that can be copied, and many options in groups by what they are about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

from ctrecon.cli.pipes import refuse_pipes

MANY = 14
"""A command with fewer options lists them as they come."""

SHARED: Mapping[str, tuple[str, ...]] = {
    "How the scan is read": (
        "geometry", "center", "row", "image", "all_rows", "bin", "detectors_first", "every", "size", "pixel_mm", "z_mm",
        "patient_position",
    ),
    "What a DICOM series says": (
        "template", "patient_id", "patient_name", "study_description", "study_date", "accession_number", "water_mu",
        "slice_mm",
    ),
    "The network connection": (
        "ae_title", "credentials", "tls_ca", "tls_certificate", "tls_key", "tls_name", "timeout", "retries",
    ),
}  # fmt: skip
"""Groups of options that several commands share, by the names of their parameters."""
OTHER = "Other options"


_LARGEST = 1e9


def _refuse_endless(ctx: click.Context) -> None:
    """Raises click.BadParameter for "nan", "inf" and what no clock counts, which a range without an end lets pass."""
    for option in ctx.command.params:
        kind, value = option.type, ctx.params.get(option.name or "")
        if not isinstance(kind, click.FloatRange) or kind.max is not None or value is None:
            continue
        for one in value if isinstance(value, tuple) else (value,):
            if not abs(one) <= _LARGEST:
                raise click.BadParameter(f"{one} is no number up to {_LARGEST:g}.", ctx, option)


class Command(click.Command):
    """A command with ``examples``, lines for a terminal, and ``groups`` of its own that go before the shared ones."""

    def __init__(
        self, *args: Any, examples: Sequence[str] = (), groups: Mapping[str, Sequence[str]] | None = None, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.examples = tuple(examples)
        self.groups: dict[str, Sequence[str]] = {**(groups or {}), **SHARED}

    def grouped(self, ctx: click.Context) -> dict[str, list[click.Option]]:
        """The options by the title of their group, in the order of the groups; what is in none comes last."""
        shown = [one for one in self.get_params(ctx) if isinstance(one, click.Option) and not one.hidden]
        if len(shown) < MANY:
            return {"Options": shown}
        title_of = {name: title for title, names in reversed(self.groups.items()) for name in names}
        found: dict[str, list[click.Option]] = {title: [] for title in (*self.groups, OTHER)}
        for one in shown:
            found[title_of.get(one.name or "", OTHER)].append(one)
        return {title: options for title, options in found.items() if options}

    def invoke(self, ctx: click.Context) -> Any:
        refuse_pipes(ctx)
        _refuse_endless(ctx)
        return super().invoke(ctx)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for title, options in self.grouped(ctx).items():
            records = [record for one in options if (record := one.get_help_record(ctx)) is not None]
            with formatter.section(title):
                formatter.write_dl(records)

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_help_text(ctx, formatter)
        if self.examples:
            # Not wrapped: what is copied has to be one line.
            with formatter.section("Example" if len(self.examples) == 1 else "Examples"):
                for line in self.examples:
                    formatter.write(f"{' ' * formatter.current_indent}{line}\n")
