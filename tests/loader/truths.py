"""What the real loader says of a rule's files."""

from __future__ import annotations

import os
import re
import subprocess

from tests.loader.rules import Listing, Rule, interpreter, musl_interpreter
from tests.support.compare_ldd import VDSO, parsed

ORDINARY_USER = 65534


def of(rule: Rule) -> tuple[Listing | None, str]:
    """(what was loaded, the loader's complaints); None: it can't be asked."""
    return _TRUTHS[rule.truth](rule)


def own_part(rule: Rule, listing: Listing) -> Listing:
    """Without the libraries that are not of the fixture, paths as a rule writes them."""
    found: Listing = []
    for name, path in listing:
        if path is not None and _is_elsewhere(rule, name, path):
            continue
        found.append((name, rule.shown(path)))
    return found


def _is_elsewhere(rule: Rule, name: str, path: str) -> bool:
    if rule.root:
        return re.match(r"lib(c|m|dl)\.|/lib.*/ld-|/lib/ld-musl", name) is not None
    if path == musl_interpreter_or_empty():
        return name == path or name.startswith("libc.")
    return path.startswith("/") and not path.startswith(f"{rule.out}/")


def musl_interpreter_or_empty() -> str:
    try:
        return musl_interpreter()
    except OSError:
        return ""


def _run(rule: Rule, *command: str, **options: object) -> tuple[str, str]:
    extra = options.pop("environment", {})
    assert isinstance(extra, dict)
    result = subprocess.run(  # type: ignore[call-overload]
        command,
        cwd=rule.out,
        env={**rule.environment, **extra},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        **options,
    )
    return result.stdout, result.stderr


def _target(rule: Rule) -> str:
    return rule.one("run", "./exe")


def _trace(rule: Rule) -> tuple[Listing, str]:
    out, err = _run(rule, _target(rule), environment={"LD_TRACE_LOADED_OBJECTS": "1"})
    return parsed(out), err


def _executed(rule: Rule, **options: object) -> tuple[Listing | None, str]:
    """The program prints paths only; the names are the rule's."""
    out, err = _run(rule, _target(rule), **options)
    if not out:
        return None, err
    by_path = {path: name for name, path in rule.listing or []}
    paths = [path for path in out.splitlines() if path not in (*VDSO, _target(rule))]
    return [(by_path.get(rule.shown(path), path), path) for path in paths], err


def _as_user(rule: Rule) -> tuple[Listing | None, str]:
    """Secure mode is for those who are not the owner; what they can't reach they can't run."""
    for parent in (rule.out, *rule.out.parents):
        if parent.stat().st_uid == os.getuid() and not parent.stat().st_mode & 1:
            parent.chmod(parent.stat().st_mode | 0o055)
    return _executed(rule, user=ORDINARY_USER, group=ORDINARY_USER, extra_groups=[])


def _chroot(rule: Rule) -> tuple[Listing, str]:
    """The loader itself is run: it lists, and starts nothing."""
    musl = sorted((rule.out / "root" / "lib").glob("ld-musl-*"))
    enter = {"preexec_fn": lambda: os.chroot(rule.root)}
    if musl:
        command = (f"/lib/{musl[0].name}", "--list", _target(rule))
        return _of_musl(*_run(rule, *command, **enter))
    trace = {"LD_TRACE_LOADED_OBJECTS": "1"}
    out, err = _run(rule, interpreter(), _real(rule), environment=trace, **enter)
    return parsed(out), err


def _real(rule: Rule) -> str:
    """Where exec would end: before glibc 2.41 `ld.so PROGRAM` does not resolve links itself."""
    path, seen = _target(rule), 0
    while os.path.islink(rule.root + path) and seen < 10:
        path, seen = os.path.join(os.path.dirname(path), os.readlink(rule.root + path)), seen + 1
    return path


def _musl(rule: Rule) -> tuple[Listing, str]:
    return _of_musl(*_run(rule, musl_interpreter(), "--list", _target(rule)))


def _of_musl(out: str, err: str) -> tuple[Listing, str]:
    """musl lists itself under each of its names; what is missing stands on stderr."""
    found: Listing = []
    for name, path in parsed(out):
        if "/ld-musl-" not in (path or "") or all(path != known for _, known in found[1:]):
            found.append((name, path))
    missing = re.findall(r"Error loading shared library (.+?): .*\(needed by", err)
    return found + [(name, None) for name in missing], err


def _enoent(rule: Rule) -> tuple[None, str]:
    try:
        _run(rule, _target(rule))
    except FileNotFoundError as error:
        return None, f"{error}"
    raise AssertionError("exec has found an interpreter")


_TRUTHS = {
    "trace": _trace,
    "exec": _executed,
    "user": _as_user,
    "chroot": _chroot,
    "musl": _musl,
    "enoent": _enoent,
    "none": lambda rule: (None, ""),
}
