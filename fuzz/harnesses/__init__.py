"""One module a reader or parser: `LONGEST` (bytes of an input), `seeds()` and `check(data)`."""

from __future__ import annotations

from pathlib import Path

NAMES = tuple(sorted(p.stem for p in Path(__file__).parent.glob("*.py") if p.stem != "__init__"))
