"""What several commands have in common: arguments and options, and how their usage reads."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperCommand


class Command(TyperCommand):
    """Shows `TARGET...` in its usage where typer writes `{TARGET...}` for what is required."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        return [piece.strip("{}") for piece in super().collect_usage_pieces(ctx)]


_TARGET_HELP = "Path, name, pid:N or pid:N:LIBRARY."
Target = Annotated[str, typer.Argument(metavar="TARGET", help=_TARGET_HELP)]
Targets = Annotated[list[str], typer.Argument(metavar="TARGET...", help=_TARGET_HELP)]
DebugRoots = Annotated[
    list[str] | None,
    typer.Option(
        "--debug-root", metavar="DIR", help="Also look for separate debug files below DIR."
    ),
]
ExactEntry = Annotated[
    bool, typer.Option("--exact-entry", help="Probe the first byte, whatever it costs.")
]
Jobs = Annotated[
    int | None, typer.Option(min=1, max=256, help="Processes; one a processor without it.")
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document.")]
