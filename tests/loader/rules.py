"""The rules of the loaders as fixtures: one directory a rule, built by gcc, judged by the loader.

fixtures/loader/RULE/build.sh makes the files; `expect` beside it says what must come out:

    truth: trace       LD_TRACE_LOADED_OBJECTS=1 (the default); exec: the program runs and prints
                       what it has loaded; user: the same by an ordinary user; chroot: the loader
                       is asked inside ./root; musl: musl's --list; enoent: exec must fail so;
                       none: nobody can say (the loader would crash)
    run, library_path, preload, tools, needs_level      how, and what it takes
    error, warning, version                             words that the loader and symprobe say
    expect: the loader                                  no listing here: it depends on its version
    NAME => PATH       `./` is the directory of the files; libraries from elsewhere are left out
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

RULES = Path(__file__).parents[2] / "fixtures" / "loader"
_KEYS = (
    "truth", "run", "library_path", "preload", "tools", "needs_level", "error", "warning",
    "version", "expect",
)  # fmt: skip

Listing = list[tuple[str, str | None]]


@dataclass
class Rule:
    """One rule. listing: None when the loader alone decides."""

    name: str
    out: Path
    listing: Listing | None = None
    keys: dict[str, list[str]] = field(default_factory=dict)

    def one(self, key: str, default: str = "") -> str:
        return self.keys.get(key, [default])[0]

    @property
    def truth(self) -> str:
        return self.one("truth", "trace")

    @property
    def root(self) -> str:
        return str(self.out / "root") if self.truth == "chroot" else ""

    @property
    def environment(self) -> dict[str, str]:
        """What the loader is started with."""
        found = {"PATH": os.environ["PATH"], "LC_ALL": "C"}
        for key, name in (("library_path", "LD_LIBRARY_PATH"), ("preload", "LD_PRELOAD")):
            if key in self.keys:
                found[name] = self.one(key)
        return found

    def shown(self, path: str | None) -> str | None:
        """A path with the directory of the files as `./`."""
        if path is None or self.root:
            return path
        return path.replace(f"{self.out}/", "./")


def names() -> list[str]:
    return sorted(path.parent.name for path in RULES.glob("*/build.sh"))


def missing_tools(name: str) -> list[str]:
    """Tools that the rule takes and this machine has not."""
    text = (RULES / name / "expect").read_text()
    wanted = re.search(r"^tools: (.*)$", text, re.MULTILINE)
    return [tool for tool in wanted[1].split() if not shutil.which(tool)] if wanted else []


def build(name: str, out: Path, compiler: str = "gcc") -> Rule:
    """Make the files of a rule in an empty directory."""
    compilers = {"CC": compiler, "LOADER_CC": compiler} if compiler != "gcc" else {}
    script = f'. "$FIXTURES/common.sh"\n. "$FIXTURES/{name}/build.sh"\n'
    result = subprocess.run(
        ["sh", "-c", script],
        cwd=out,
        env={"PATH": os.environ["PATH"], "LC_ALL": "C", "FIXTURES": str(RULES), **compilers},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return _read(name, out)


def _read(name: str, out: Path) -> Rule:
    rule = Rule(name, out, [])
    assert rule.listing is not None
    for line in (RULES / name / "expect").read_text().splitlines():
        key, found, value = line.partition(": ")
        if found and key in _KEYS:
            rule.keys.setdefault(key, []).append(_filled(value, out).replace("\\n", "\n"))
            continue
        left, _, right = line.partition(" => ")
        path = None if right == "not found" else _filled(right, out)
        rule.listing.append((_filled(left, out), path))
    if "expect" in rule.keys:
        rule.listing = None
    return rule


def _filled(text: str, out: Path) -> str:
    for word in re.findall(r"\{([a-z_]+)\}", text):
        text = text.replace(f"{{{word}}}", {"out": lambda: str(out), **_WORDS}[word]())
    return text


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def interpreter() -> str:
    """This machine's glibc loader."""
    found = re.search(r"interpreter: (.*)\]", _output("readelf", "-lW", "/bin/true"))
    assert found is not None
    return found[1]


def active_levels() -> list[str]:
    """glibc-hwcaps levels that the loader says are searched, the best first."""
    return re.findall(r"^  ([\w-]+) \(supported, searched\)", _hwcaps(), re.MULTILINE)


def _hwcaps() -> str:
    text = _output(interpreter(), "--help")
    return text.partition("Subdirectories of glibc-hwcaps")[2].partition("Legacy")[0]


def _platform() -> str:
    result = subprocess.run(
        ["/bin/true"], env={"LD_SHOW_AUXV": "1"}, capture_output=True, text=True, check=True
    )
    kernel = re.search(r"AT_PLATFORM: +(\S+)", result.stdout)
    own = re.search(r"^  (\S+) \(AT_PLATFORM", _output(interpreter(), "--help"), re.MULTILINE)
    found = own or kernel
    assert found is not None
    return found[1]


def musl_interpreter() -> str:
    with open("/usr/lib/x86_64-linux-musl/musl-gcc.specs") as file:
        found = re.search(r"-dynamic-linker (\S+)", file.read())
    assert found is not None
    return found[1]


def _libc_directory() -> str:
    found = re.search(r"libc\.so\.6 => (\S+)/libc", _output("ldd", "/bin/true"))
    assert found is not None
    return found[1]


_WORDS = {
    "triplet": lambda: _output("gcc", "-print-multiarch"),
    "platform": _platform,
    "level": lambda: active_levels()[0],
    "musl": musl_interpreter,
    "libc_directory": _libc_directory,
}
