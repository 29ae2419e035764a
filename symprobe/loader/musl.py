"""What musl's loader loads, and in which order.

Source: load_library, path_open, fixup_rpath and __dls3 in ldso/dynlink.c of musl 1.2.
"""

from __future__ import annotations

import errno
import re

from symprobe.elf.dynamic import DT_NEEDED
from symprobe.loader.candidate import HeaderRules, Opened
from symprobe.loader.lookup import SymbolFile
from symprobe.loader.objects import LinkMap, Place, finished
from symprobe.loader.program import Loaded, Program
from symprobe.loader.session import Found, Session
from symprobe.loader.values import Attempt, Fatal, FoundBy, Outcome, ScopeObject

_RESERVED = tuple(f"lib{name}." for name in ("c", "pthread", "rt", "m", "dl", "util", "xnet"))
"""Names that begin so are musl itself, whatever files there are."""
_NAME_MAX = 255
_GOES_ON = (errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.ENAMETOOLONG)


class MuslLoader:
    """One run of the loader, on paper."""

    def __init__(self, program: Program, session: Session) -> None:
        self._program = program
        self._session = session
        self._machine = program.library.machine
        self._main = LinkMap("", [""], program.library, program.shown, origin=program.origin)
        self._objects = [self._main]
        """In load order; placeholders of what was not found among them."""
        self._chains: dict[int, tuple[tuple[Place, ...], ...]] = {}
        self._short: dict[str, LinkMap] = {}
        self._by_inode: dict[tuple[int, int], LinkMap] = {}
        self._loader = self._map_loader()
        self._warnings: list[str] = []
        text = None if program.secure else program.library_path
        self._library_path = _places(text, FoundBy.LIBRARY_PATH, "")
        self._system: tuple[Place, ...] | None = None
        self._chains[id(self._main)] = (self._rpath(self._main, is_main=True),)

    def run(self) -> Loaded:
        """Preload, then load breadth first. musl checks no versions."""
        if self._program.preload and not self._program.secure:
            self._preload(self._program.preload)
        position = 0
        while position < len(self._objects):
            item = self._objects[position]
            position += 1
            for tag, name in item.library.requests if item.library is not None else ():
                if tag == DT_NEEDED:
                    self._load(name, item).asked_by(item)
        values = {id(o): finished(o, self._session) for o in self._objects if o is not self._main}
        scope = tuple(ScopeObject(o.library, values.get(id(o))) for o in self._objects if o.library)
        return Loaded(tuple(values.values()), scope, (), self._first_fatal(), tuple(self._warnings))

    def _first_fatal(self) -> Fatal | None:
        """Files found that can't be mapped: musl ends the program once it has tried all."""
        for item in self._objects:
            last = item.tried[-1] if item.tried and item.library is None else None
            if last is not None and last.outcome is Outcome.FATAL:
                by = item.needed_by[0] if item.needed_by else ""
                return Fatal(last.path, last.detail, by)
        return None

    def _map_loader(self) -> LinkMap | None:
        """musl's libc and loader are one file, mapped by the kernel."""
        file = self._program.interpreter
        if file is None:
            return None
        library = self._session.open(file.shown, self._machine, HeaderRules.MUSL).library
        if library is None:
            return None
        item = LinkMap(file.shown, [], library, file.shown, file)
        item.found_by = FoundBy.INTERPRETER
        return item

    def _preload(self, text: str) -> None:
        for name in re.split(r"[\s:]+", text):
            if not name:
                continue
            item = self._load(name, None)
            if item.library is None:
                self._objects.remove(item)
                self._warnings.append(f"{name} from LD_PRELOAD is not loaded: ignored")
            elif item.found_by is not FoundBy.INTERPRETER:
                item.found_by, item.found_in = FoundBy.PRELOAD, ""

    def _load(self, name: str, by: LinkMap | None) -> LinkMap:
        """The object that answers to a name, loaded if need be; a placeholder if not found."""
        loader = self._loader
        if loader is not None and (name.startswith(_RESERVED) or name == loader.path):
            return self._itself(loader, name)
        if "/" not in name and name in self._short:
            return self._short[name]
        found = self._search(name, by)
        if found.library is None or found.opened is None:
            return self._placeholder(name, found)
        library = found.library
        known = self._by_inode.get(library.inode)
        if known is not None:
            known.add_name(name)
            if "/" not in name:
                self._short.setdefault(known.path.rsplit("/", 1)[-1], known)
            return known
        refusal = self._refusal(found)
        if refusal:
            attempt = found.tried[-1]._replace(outcome=Outcome.FATAL, detail=refusal)
            return self._placeholder(name, found._replace(tried=(*found.tried[:-1], attempt)))
        file = found.opened.file
        if loader is not None and file is not None and SymbolFile(file).is_libc():
            return self._itself(loader, name)
        item = LinkMap(found.path, [name], library, found.path, file)
        item.origin = found.path.rpartition("/")[0] if "/" in found.path else "."
        item.found_by, item.found_in, item.tried = found.by, found.of, found.tried
        above = self._chains[id(by)] if by is not None else ()
        self._chains[id(item)] = (self._rpath(item), *above)
        self._by_inode[library.inode] = item
        if "/" not in name:
            self._short.setdefault(found.path.rsplit("/", 1)[-1], item)
        self._objects.append(item)
        return item

    def _itself(self, loader: LinkMap, name: str) -> LinkMap:
        loader.add_name(name)
        if loader not in self._objects:
            self._objects.append(loader)
        return loader

    def _placeholder(self, name: str, found: Found) -> LinkMap:
        item = LinkMap("", [name], None, name, tried=found.tried)
        self._objects.append(item)
        return item

    def _refusal(self, found: Found) -> str:
        """What musl does not check, and what then ends the program."""
        library = found.library
        assert library is not None
        machine, own = library.machine, self._machine
        if (machine.bits, machine.number) != (own.bits, own.number):
            return f"is for {machine.name}, the program for {own.name}: musl would crash"
        if library.unmappable == "object file has no dynamic section":
            return "Exec format error"
        return library.unmappable if library.unmappable.startswith("is cut short") else ""

    def _search(self, name: str, by: LinkMap | None) -> Found:
        tried: list[Attempt] = []
        if not name:
            return Found(None, "", None, "", ())
        if "/" in name:
            found = self._try(name, FoundBy.PATH, "", tried)
            return found or Found(None, "", None, "", tuple(tried))
        if len(name) > _NAME_MAX:
            return Found(None, "", None, "", ())
        chain = self._chains[id(by)] if by is not None else ()
        for places in (self._library_path, *chain, None):
            # The file of directories is read when it is needed for the first time.
            for place in self._system_places() if places is None else places:
                if place.dropped:
                    tried.append(Attempt(place.directory, place.by, place.of, Outcome.TOKEN))
                    continue
                found = self._try(f"{place.directory}/{name}", place.by, place.of, tried)
                if found is not None:
                    return found
        return Found(None, "", None, "", tuple(tried))

    def _try(self, path: str, by: FoundBy, of: str, tried: list[Attempt]) -> Found | None:
        """What opening one path comes to; None: the search goes on."""
        opened: Opened = self._session.open(path, self._machine, HeaderRules.MUSL)
        tried.append(Attempt(path, by, of, opened.outcome, opened.detail))
        if opened.outcome in (Outcome.FOUND, Outcome.FATAL) or opened.error not in _GOES_ON:
            return Found(opened, path, by, of, tuple(tried))
        return None

    def _system_places(self) -> tuple[Place, ...]:
        if self._system is None:
            path = self._path_file()
            text = self._session.read_text(path)
            if text is None:
                text = ":".join(self._program.constants.system_directories)
            self._system = _places(text, FoundBy.MUSL_PATH, "")
        return self._system

    def _path_file(self) -> str:
        """<prefix>/etc/ld-musl-ARCH.path, the prefix being two components above the loader."""
        name = self._program.constants.musl_path
        interpreter = self._program.interpreter
        if interpreter is None or not interpreter.shown.startswith("/"):
            return name
        return interpreter.shown.rsplit("/", 2)[0] + name

    def _rpath(self, item: LinkMap, *, is_main: bool = False) -> tuple[Place, ...]:
        """RUNPATH, else RPATH; any `$` but $ORIGIN's voids all of it."""
        assert item.library is not None
        runpath = item.library.runpath
        text = runpath if runpath is not None else item.library.rpath
        by = FoundBy.RUNPATH if runpath is not None else FoundBy.RPATH
        if text is None or "$" not in text:
            return _places(text, by, item.shown)
        known = re.findall(r"\$ORIGIN|\$\{ORIGIN\}", text)
        secure = self._program.secure
        denied = secure and (is_main or not (item.origin or "").startswith("/"))
        if len(known) != text.count("$") or denied:
            return (Place(text, by, item.shown, True),)
        origin = item.origin or "."
        return _places(re.sub(r"\$ORIGIN|\$\{ORIGIN\}", lambda _: origin, text), by, item.shown)


def _places(text: str | None, by: FoundBy, of: str) -> tuple[Place, ...]:
    """A search list: empty elements are passed over, `/` becomes the empty prefix of `/name`."""
    return tuple(Place(part, by, of) for part in re.split(r"[:\n]+", text or "") if part)
