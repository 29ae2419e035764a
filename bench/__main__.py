"""`make bench`: every comparison, printed as it comes and written to bench/RESULTS.md.

python -m bench [--quick] [GROUP...]: all groups, or some, and the others keep their sections.
--quick: everything once only, to see that it runs; nothing is written.
"""

from __future__ import annotations

import argparse
import compileall
import os
import platform
import re
import signal
import sys
import time
import traceback
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import symprobe
from bench import measure

GROUPS = {
    "ls": "`ls` beside nm, objdump, eu-nm, bpftrace -l",
    "deps": "`deps` beside ldd, libtree, lddtree",
    "resolve": "`resolve` beside Python's own start, and objdump",
    "contract": "`find` and `check` beside shell loops",
    "trace_hit": "`trace`: what a counted call costs",
    "trace_attach": "`trace`: until all is attached, until all is over",
    "scaling": "Scaling: the curves of docs/performance.md",
}
RESULTS = Path(__file__).with_name("RESULTS.md")
_HEAD = """\
# Results of `make bench`

symprobe beside its peers, all installed by `make bench` from Debian and PyPI, on the same files.
Medians of interleaved runs with warm caches; each section names its machine and day. What counts
are the ratios. `python -m bench GROUP` renews one section.
"""
_SECTION = re.compile(r"^<!-- group: (\w+) -->\n(.*?)(?=^<!-- group: |\Z)", re.M | re.S)


def machine() -> str:
    """This machine in one line: processor, cores, memory, kernel, Python."""
    model = "unknown processor"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 30
    system = platform.freedesktop_os_release().get("PRETTY_NAME", "Linux")
    return (
        f"{model}, {os.cpu_count()} cores, {memory} GiB, {system}, "
        f"kernel {platform.release().split('-')[0]}, {platform.machine()}, "
        f"Python {platform.python_version()}"
    )


def section(group: str) -> Iterator[str]:
    """The lines of a group as they come. What goes wrong in it is a line, too."""
    yield f"## {GROUPS[group]}"
    yield ""
    yield f"{machine()}; {time.strftime('%Y-%m-%d', time.gmtime())}."
    yield ""
    try:
        for block in import_module(f"bench.{group}").comparisons():
            yield from block.markdown()
    except Exception as error:  # the other groups go on
        traceback.print_exc()
        what = " ".join(str(error).split()).replace("|", "\\|") or type(error).__name__
        yield f"The rest of this group could not be run: {type(error).__name__}: {what[:200]}"
        yield ""


def main(arguments: list[str]) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # under nohup what we start ignores it
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=", ".join(GROUPS))
    given = parser.parse_args(arguments)
    for name in given.groups:
        if name not in GROUPS:
            parser.error(f"no group {name}; there are {', '.join(GROUPS)}")
    measure.QUICK = given.quick
    # As for an installed package, even where PYTHONDONTWRITEBYTECODE is set.
    compileall.compile_dir(Path(symprobe.__file__).parent, quiet=1)
    sections = dict(_SECTION.findall(RESULTS.read_text())) if RESULTS.exists() else {}
    for name in given.groups or GROUPS:
        lines = []
        for line in section(name):
            print(line, flush=True)
            lines.append(line)
        sections[name] = "\n".join(lines)
        if not given.quick:
            write(sections)


def write(sections: dict[str, str]) -> None:
    """All sections there are, in the order of the groups."""
    found = (
        f"<!-- group: {name} -->\n{sections[name].strip()}\n" for name in GROUPS if name in sections
    )
    RESULTS.write_text("\n".join([_HEAD, *found]))


if __name__ == "__main__":
    main(sys.argv[1:])
