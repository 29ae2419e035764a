"""Does a file keep a promise? One function a kind of rule; each answer carries its reason."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from symprobe.contract.names import wanted
from symprobe.contract.rules import Rule, RuleKind, version_parts
from symprobe.contract.subject import STATIC, UNLINKED, Subject
from symprobe.errors import PatternError
from symprobe.linkage import Linkage
from symprobe.loader import Scope
from symprobe.model import Symbol
from symprobe.resolve import resolve
from symprobe.resolve.near import nearest
from symprobe.resolve.near_mangled import is_mangled, nearest_mangled
from symprobe.resolve.spec import SpecKind

_SHOWN = 5
"""Names or lines that one reason lists."""


class Outcome(NamedTuple):
    """rule: its text.  kind: its kind.  detail: why it holds or does not."""

    rule: str
    kind: str
    held: bool
    detail: str


_Answer = tuple[bool, str]


def judge(subject: Subject, rule: Rule) -> Outcome:
    """Whether a file keeps one promise. Errors: SymprobeError when the file can't be read."""
    held, detail = _JUDGES[rule.kind](subject, rule.value)
    return Outcome(str(rule), rule.kind, held, detail)


# -- symbols


def _require(subject: Subject, text: str) -> _Answer:
    if subject.no_names:
        return False, f"can't be told: {subject.no_names}"
    found = subject.exported(wanted(text))
    if found:
        return True, f"exports {_names(found)}"
    imported = subject.imported(wanted(text))
    if imported:
        return False, f"imported, not defined: {_names(imported)}"
    local = subject.local(wanted(text))
    if local:
        ways = sorted({s.bind if s.bind == "local" else s.visibility for s in local})
        return False, f"defined, but {' and '.join(ways)}: {_names(local)}"
    return False, "not there" + _near(subject, text)


def _require_imported(subject: Subject, text: str) -> _Answer:
    if subject.linkage in STATIC:
        return False, "a static program imports nothing"
    found = subject.imported(wanted(text))
    if found:
        return True, f"imports {_names(found)}"
    exported = subject.exported(wanted(text))
    return False, f"defined here: {_names(exported)}" if exported else "not imported"


def _forbid(subject: Subject, text: str) -> _Answer:
    return _absent(subject, text, exported=True, imported=True)


def _forbid_exported(subject: Subject, text: str) -> _Answer:
    return _absent(subject, text, exported=True, imported=False)


def _forbid_imported(subject: Subject, text: str) -> _Answer:
    return _absent(subject, text, exported=False, imported=True)


def _absent(subject: Subject, text: str, *, exported: bool, imported: bool) -> _Answer:
    if subject.no_names and (exported or subject.linkage not in STATIC):
        return False, f"can't be told: {subject.no_names}"
    defined = subject.exported(wanted(text)) if exported else []
    if defined:
        verb = "defines" if subject.linkage in STATIC else "exports"
        return False, f"{verb} {_names(defined)}"
    asked = subject.imported(wanted(text)) if imported else []
    if asked:
        return False, f"imports {_names(asked)}"
    ways = [word for word, on in (("exported", exported), ("imported", imported)) if on]
    return True, f"not {' or '.join(ways)}"


def _names(symbols: list[Symbol]) -> str:
    names = list(dict.fromkeys(s.readable_name for s in symbols))
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _near(subject: Subject, text: str) -> str:
    spec = wanted(text).spec
    if spec.kind is not SpecKind.NAME:
        return ""
    if spec.version is not None:
        others = subject.exported(wanted(f"{spec.name}@*"))
        if others:
            return f" in that version, but {_names(others)}"
    if is_mangled(spec.name):
        near = nearest_mangled((s.name for s in subject.exported(None)), spec.name)
    else:
        near = nearest((s.demangled for s in subject.exported(wanted("*"))), spec.name)
    return f", but {', '.join(near)}" if near else ""


# -- versions and libraries


def _max_version(subject: Subject, text: str) -> _Answer:
    family, most = version_parts(text)
    if subject.linkage in STATIC:
        return True, "a static program needs no versions"
    if subject.linkage in UNLINKED:
        return True, "not linked yet, needs no versions"
    newer: dict[str, str] = {}
    numbers: list[tuple[int, ...]] = []
    for need in subject.binary.versions.requirements:
        number = _number(need.version, family)
        if need.weak or number == ():
            continue
        if number is None or number > most:
            newer.setdefault(need.version, need.file)
        else:
            numbers.append(number)
    if newer:
        lines = [_who_needs(subject, version, file) for version, file in newer.items()]
        more = f"; and {len(lines) - _SHOWN} more versions" if len(lines) > _SHOWN else ""
        return False, "; ".join(lines[:_SHOWN]) + more
    if not numbers:
        return True, f"needs no version {family}*"
    return True, f"needs at most {family}{'.'.join(map(str, max(numbers)))}"


def _number(version: str, family: str) -> tuple[int, ...] | None:
    """The number of a version of the family: () when it is of another one, None when it has none
    that can be compared (GLIBC_PRIVATE)."""
    if not version.startswith(family):
        return ()
    try:
        own, number = version_parts(version)
    except PatternError:
        return None
    return number if own == family else ()


def _who_needs(subject: Subject, version: str, file: str) -> str:
    users = [s for s in subject.imported(None) if s.version == version]
    return f"needs {version} of {file}" + (f" for {_names(users)}" if users else "")


def _no_missing(subject: Subject, _: str) -> _Answer:
    if subject.linkage in (*STATIC, *UNLINKED, Linkage.LOADER):
        return True, f"nothing to load ({subject.linkage})"
    graph = subject.graph
    wrong = [f"{name} not found" for name in graph.missing]
    wrong += [str(error) for error in graph.version_errors]
    if graph.fatal is not None:
        wrong.append(str(graph.fatal))
    if wrong:
        return False, _some(wrong)
    return True, f"{len(graph.libraries)} libraries found"


def _no_unresolved(subject: Subject, _: str) -> _Answer:
    from symprobe.loader.references import unresolved

    if subject.linkage in STATIC:
        return True, f"nothing to resolve ({subject.linkage})"
    if subject.linkage in UNLINKED:
        return False, f"not linked yet ({subject.linkage})"
    graph = subject.graph
    if not graph.complete:
        held, detail = _no_missing(subject, "")
        if not held:
            return False, f"can't be told: {detail}"
    missing = unresolved(graph, Scope(graph))
    if not missing:
        return True, "every symbol is defined"
    lines = [
        f"{m.name}{'@' + m.version if m.version else ''} (needed by {m.needed_by})" for m in missing
    ]
    return False, f"nothing defines {_some(lines)}"


def _some(lines: list[str]) -> str:
    more = f"; and {len(lines) - _SHOWN} more" if len(lines) > _SHOWN else ""
    return "; ".join(lines[:_SHOWN]) + more


# -- the file itself


def _linkage(subject: Subject, text: str) -> _Answer:
    found = subject.linkage
    evidence = "; ".join(subject.verdict.evidence)
    return found in text.split(","), f"{found}: {evidence}"


def _hardening(subject: Subject, word: str) -> _Answer:
    found = subject.hardening
    if found is None:
        return False, f"can't be told of this file ({subject.linkage})"
    if word in ("relro", "partial-relro"):
        enough = ("full",) if word == "relro" else ("full", "partial")
        return found.relro in enough, f"{'no' if found.relro == 'none' else found.relro} RELRO"
    if word == "fortify":
        return found.fortify > 0, f"{found.fortify} fortified functions called"
    if word == "no-textrel":
        return not found.textrel, "TEXTREL" if found.textrel else "no TEXTREL"
    if word == "pie" and found.pie is None:
        return True, "a library is position independent"
    value = getattr(found, word)
    if value is None:
        return False, f"{word.upper()} means nothing on {subject.binary.image.machine}"
    return bool(value), f"{'' if value else 'no '}{_TERMS.get(word, word.upper())}"


_TERMS = {"canary": "stack canary"}


def _soname(subject: Subject, name: str) -> _Answer:
    dynamic = None if subject.linkage in UNLINKED else subject.binary.dynamic
    found = dynamic.soname if dynamic is not None else None
    return found == name, "no soname" if found is None else f"soname {found}"


def _no_rpath(subject: Subject, _: str) -> _Answer:
    dynamic = None if subject.linkage in UNLINKED else subject.binary.dynamic
    paths = (("RPATH", dynamic.rpath), ("RUNPATH", dynamic.runpath)) if dynamic else ()
    set_ = [f"{tag} {path}" for tag, path in paths if path is not None]
    return not set_, "; ".join(set_) or "neither RPATH nor RUNPATH"


def _probe(subject: Subject, text: str) -> _Answer:
    if subject.linkage is Linkage.ARCHIVE:
        return False, "an archive is never executed"
    # Here: the reader of debug information is needed for this rule alone.
    from symprobe.resolve.details import with_source

    answer = with_source(resolve(subject.binary, text), subject.file, subject.debug_roots)
    if not answer.targets:
        reasons = [f"{r.name}: {r.detail}" for r in answer.rejected]
        return False, _some(reasons) if reasons else "no place for a probe"
    inlined = [
        f"{t.names[0]} is inlined in {t.source.inlined} places, which no probe sees"
        for t in answer.targets
        if t.source is not None and t.source.inlined
    ]
    if inlined:
        return False, _some(inlined)
    return True, _some([f"{t.names[0]} at offset {t.offset:#x}" for t in answer.targets])


_JUDGES: dict[RuleKind, Callable[[Subject, str], _Answer]] = {
    RuleKind.REQUIRE: _require,
    RuleKind.REQUIRE_IMPORTED: _require_imported,
    RuleKind.FORBID: _forbid,
    RuleKind.FORBID_EXPORTED: _forbid_exported,
    RuleKind.FORBID_IMPORTED: _forbid_imported,
    RuleKind.MAX_VERSION: _max_version,
    RuleKind.NO_MISSING: _no_missing,
    RuleKind.NO_UNRESOLVED: _no_unresolved,
    RuleKind.LINKAGE: _linkage,
    RuleKind.HARDENING: _hardening,
    RuleKind.SONAME: _soname,
    RuleKind.NO_RPATH: _no_rpath,
    RuleKind.PROBE: _probe,
}
