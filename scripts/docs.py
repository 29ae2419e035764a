"""Keeps the documentation true, and makes the man page.

docs.py check         the help shown in README.md and docs/ is the real one (exit code 1: not)
docs.py write         put the real one there
docs.py man FILE      the man page, from the command line's own help; exit code 1: groff warns

Help stands in a fenced block behind the line `<!-- help: COMMAND -->` (`<!-- help: -->`: of
symprobe itself).
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
os.environ["COLUMNS"] = "100"  # what the help is wrapped to, whatever the terminal

import typer  # noqa: E402

from symprobe.cli.app import COMMANDS, app  # noqa: E402

_BLOCK = re.compile(
    r"(<!-- help: ?(?P<name>\w*) -->\n+```\w*\n)(?P<text>.*?)(?=^```$)", re.M | re.S
)


def pages() -> Iterator[Path]:
    """Every page that may show help."""
    yield ROOT / "README.md"
    yield from sorted((ROOT / "docs").glob("*.md"))


def contexts() -> Iterator[tuple[str, Any]]:
    """('', of symprobe) and (name, of each command): what the command line's library knows."""
    group = typer.main.get_command(app)
    with group.make_context("symprobe", [], resilient_parsing=True) as root:
        yield "", root
        for name in COMMANDS:
            command = group.get_command(root, name)  # type: ignore[attr-defined]
            with command.make_context(name, [], parent=root, resilient_parsing=True) as context:
                yield name, context


def helps() -> dict[str, str]:
    """The help of each command as a terminal of 100 columns shows it."""
    return {name: context.get_help().rstrip() + "\n" for name, context in contexts()}


def with_real_help(text: str, real: dict[str, str]) -> str:
    """A page with the help that is the real one. Errors: KeyError for an unknown command."""
    return _BLOCK.sub(lambda found: found[1] + real[found["name"]], text)


def check(*, write: bool) -> int:
    """Compare all pages, or put them right."""
    real = helps()
    wrong = 0
    for page in pages():
        text = page.read_text()
        right = with_real_help(text, real)
        if text != right and write:
            page.write_text(right)
        elif text != right:
            print(f"{page.relative_to(ROOT)}: the help shown is stale: scripts/docs.py write")
            wrong += 1
    return int(wrong > 0)


# -- the man page


def roff(text: str) -> str:
    """Text as groff takes it literally."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return "\n".join("\\&" + line if line[:1] in (".", "'") else line for line in text.split("\n"))


def man_lines(version: str) -> Iterator[str]:
    """The page symprobe(1)."""
    found = dict(contexts())
    root = found.pop("")
    summary = root.command.help.strip().splitlines()[0].rstrip(".")
    yield f'.TH SYMPROBE 1 "" "symprobe {version}" "User Commands"'
    yield ".SH NAME"
    yield f"symprobe \\- {roff(summary[0].lower() + summary[1:])}"
    yield ".SH SYNOPSIS"
    yield ".B symprobe"
    yield r".I COMMAND TARGET\fR ... [\fIoptions\fR]"
    yield ".SH DESCRIPTION"
    yield roff(root.command.help.strip())
    yield ".PP"
    yield roff(
        "A TARGET is a path; a name found in the current directory, on PATH, or as a library "
        "through the loader's cache; pid:N, the executable of process N; or pid:N:LIBRARY, a "
        "library that process N has mapped."
    )
    yield ".PP"
    yield roff(
        "A SYMBOL is a name; NAME@VERSION; a demangled name, with or without its parameters; a "
        "glob; /a regular expression/; for probes also NAME+0xOFFSET and 0xADDRESS."
    )
    yield ".SH COMMANDS"
    for name, context in found.items():
        yield from _command_lines(name, context)
    yield ".SH EXIT STATUS"
    for code, meaning in (
        ("0", "It holds, or was found."),
        ("1", "It ran, but what was asked does not hold."),
        ("2", "It could not be done: wrong usage, not an ELF file, no permission, no BPF."),
    ):
        yield from (".TP", f".B {code}", meaning)
    yield ".SH SEE ALSO"
    yield ", ".join(
        f".BR {name} ({section})" if not i else f"{name}({section})"
        for i, (name, section) in enumerate((("nm", 1), ("readelf", 1), ("ldd", 1), ("ld.so", 8)))
    )


def _command_lines(name: str, context: Any) -> Iterator[str]:
    command = context.command
    usage = " ".join(command.collect_usage_pieces(context))
    yield f'.SS "symprobe {name} {roff(usage)}"'
    for paragraph in (command.help or "").strip().split("\n\n"):
        yield roff(" ".join(paragraph.split()))
        yield ".PP"
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is None or not record[1]:
            record = (record[0] if record else parameter.human_readable_name, "")
        yield ".TP"
        yield f'.B "{roff(" ".join(record[0].split()))}"'
        yield roff(" ".join(record[1].split())) or "\\&"


def man(page: Path) -> int:
    """Write the page, and let groff read it."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        number = version("symprobe")
    except PackageNotFoundError:
        number = ""
    page.write_text("\n".join(man_lines(number)) + "\n")
    if shutil.which("groff") is None:
        print(f"{page}: not checked: groff is not installed", file=sys.stderr)
        return 0
    command = ["groff", "-man", "-Tutf8", "-ww", "-rLL=100n", page]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, check=False, stderr=subprocess.PIPE)
    sys.stderr.buffer.write(done.stderr)
    return int(done.returncode != 0 or done.stderr != b"")


def main(arguments: list[str]) -> int:
    if arguments[:1] == ["check"]:
        return check(write=False)
    if arguments[:1] == ["write"]:
        return check(write=True)
    if arguments[:1] == ["man"] and len(arguments) == 2:
        return man(Path(arguments[1]))
    print(__doc__)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
