"""What the tests of all tools share."""

from __future__ import annotations

import shutil

from symprobe.resolve.emit import Emission, Tool, emit_all
from symprobe.trace import privileges
from tests.conftest import unavailable
from tests.support.counting import FUNCTIONS, Case

EVERYWHERE = (
    *(("pie", place) for place in (*FUNCTIONS, "work+1")),
    *(("nopie", place) for place in ("work", "twin", "other-twin", "work+1")),
    *(("static", place) for place in ("work", "other-twin", "fast")),
    *(("static-pie", place) for place in ("work", "fast")),
    *(("moved", place) for place in ("work", "twin", "other-twin", "work+1")),
    *(("library", place) for place in ("work", "fast", "api_old", "api_new")),
    *(("library-stripped", place) for place in ("api_old", "api_new")),
    *(("covered", place) for place in ("work", "other-twin")),
    *(("pie-stripped", place) for place in ("work", "other-twin", "work+1")),
    *(("nopie-stripped", place) for place in ("work", "other-twin")),
    *((program, "work") for program in ("odd", "fair", "contained", "deleted")),
)


def needs(*tools: str) -> None:
    for tool in ("unshare", "gcc", "nm", "readelf", *tools):
        if shutil.which(tool) is None:
            unavailable(f"{tool} is missing")
    if lacking := privileges.missing(privileges.effective()):
        unavailable(f"tracing needs {lacking}")


def emitted(cases: list[Case], tool: Tool) -> list[tuple[Case, Emission]]:
    return list(zip(cases, emit_all([case.target for case in cases], tool), strict=True))


def before(emissions: list[tuple[Case, Emission]]) -> str:
    return "\n".join(dict.fromkeys(c for _, emission in emissions for c in emission.before))


def expected(emissions: list[tuple[Case, Emission]]) -> dict[str, int]:
    return {case.name: case.calls for case, _ in emissions}
