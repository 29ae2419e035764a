"""The command line as a user runs it: a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema

SCHEMAS = Path(__file__).parents[2] / "docs" / "schema"


@dataclass(frozen=True)
class Ran:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


def as_nobody(*capabilities: str) -> list[str]:
    """What to put before a command to run it as an ordinary user with these capabilities.

    This project may lie where only root looks (in /root): the one more lets its code be read.
    """
    held = ",".join(f"+{name}" for name in ("dac_read_search", *capabilities))
    user = ["setpriv", "--reuid=65534", "--clear-groups"]
    return [*user, f"--inh-caps={held}", f"--ambient-caps={held}"]


def symprobe(
    *arguments: str | Path, cwd: Path | None = None, env: dict[str, str] | None = None
) -> Ran:
    """Run symprobe; whatever it does, it shows no traceback and ends with 0, 1 or 2."""
    done = subprocess.run(
        [sys.executable, "-m", "symprobe", *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(SCHEMAS.parents[1]), **(env or {})},
        check=False,
    )
    ran = Ran(done.returncode, done.stdout.decode(), done.stderr.decode())
    assert "Traceback" not in ran.err
    assert ran.code in (0, 1, 2), ran
    return ran


def symprobe_json(*arguments: str | Path, **options: Any) -> dict[str, Any]:
    """The JSON document of a command, which holds to its schema in docs/schema/."""
    document = json.loads(symprobe(*arguments, "--json", **options).out)
    validate(document)
    return dict(document)


def validate(document: dict[str, Any]) -> None:
    """Whether a document is what docs/schema/ promises."""
    name = document["schema"].split("/")[1]
    schema = json.loads((SCHEMAS / f"{name}.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(document, schema)
