"""What glibc's loader loads, and in which order.

Source: dl_main in elf/rtld.c, _dl_map_object_deps in elf/dl-deps.c, _dl_new_object in
elf/dl-object.c of glibc.
"""

from __future__ import annotations

from symprobe.elf.dynamic import DT_AUXILIARY, DT_NEEDED
from symprobe.loader.dst import Tokens, has_token
from symprobe.loader.hardware import Hardware
from symprobe.loader.objects import LinkMap, finished, origin_of
from symprobe.loader.program import Loaded, Program
from symprobe.loader.search import GlibcSearch, places, search_paths
from symprobe.loader.session import Found, Session
from symprobe.loader.values import (
    Fatal,
    FoundBy,
    ScopeObject,
    VersionError,
)
from symprobe.loader.versions import version_errors


class GaveUpError(Exception):
    """The loader ends the program here."""

    def __init__(self, fatal: Fatal) -> None:
        super().__init__(str(fatal))
        self.fatal = fatal


class GlibcLoader:
    """One run of the loader, on paper."""

    def __init__(self, program: Program, session: Session) -> None:
        self._program = program
        self._session = session
        self._constants = constants = program.constants
        library = program.library
        self._hardware = Hardware(constants, library.machine, session.cpu_for(library.machine))
        tokens = self._tokens(program.origin, is_main=True)
        environment = None if program.secure else program.library_path
        self._search = GlibcSearch(
            session,
            library.machine,
            constants,
            self._hardware,
            places(environment, FoundBy.LIBRARY_PATH, "", tokens, ":;"),
            secure=program.secure,
        )
        self._main = LinkMap("", [""], library, program.shown, origin=program.origin)
        self._main.paths = search_paths(library, program.shown, tokens)
        self._main.listed = True
        self._known = [self._main]
        """The objects in lookup order; placeholders of what was not found among them."""
        self._by_name: dict[str, LinkMap] = {}
        self._by_inode: dict[tuple[int, int], LinkMap] = {}
        self._warnings: list[str] = []
        self._register(self._main)
        self._interpreter = self._map_interpreter()

    def run(self) -> Loaded:
        """Preload, then load breadth first, then check versions and hardware levels."""
        fatal = None
        try:
            self._preload()
            self._load_all()
        except GaveUpError as gave_up:
            fatal = gave_up.fatal
        objects = self._in_load_order()
        errors: tuple[VersionError, ...] = ()
        if fatal is None:
            errors = tuple(version_errors(objects, self._constants.version))
            fatal = self._check_isa(objects)
        values = {id(o): finished(o, self._session) for o in objects if o is not self._main}
        scope = tuple(
            ScopeObject(o.library, values.get(id(o))) for o in self._known if o.library is not None
        )
        return Loaded(tuple(values.values()), scope, errors, fatal, tuple(self._warnings))

    def _tokens(self, origin: str | None, *, is_main: bool = False) -> Tokens:
        secure = self._program.secure
        trusted = self._constants.system_directories if secure and is_main else ()
        return Tokens(origin, self._constants.lib, lambda: self._hardware.platform, secure, trusted)

    def _register(self, item: LinkMap) -> None:
        """Every name by which the object can be asked for again; the first object keeps it."""
        soname = item.library.soname if item.library is not None else None
        for name in (*item.names, item.path, soname):
            if name is not None:
                self._by_name.setdefault(name, item)

    def _map_interpreter(self) -> LinkMap | None:
        """The loader itself is there before all libraries; listed when one of them needs it."""
        file = self._program.interpreter
        if file is None:
            return None
        opened = self._session.open(
            file.shown, self._program.library.machine, self._constants.header_rules
        )
        if opened.library is None:
            return None
        item = LinkMap(file.shown, [file.shown], opened.library, file.shown, file=file)
        item.found_by = FoundBy.INTERPRETER
        item.done = opened.library.soname is None
        self._register(item)
        return item

    def _preload(self) -> None:
        text = self._program.preload or ""
        names = [(name, FoundBy.PRELOAD) for name in text.replace(":", " ").split(" ")]
        if self._program.secure:
            names = [(name, by) for name, by in names if "/" not in name and len(name) < 255]
        content = self._session.read_text(self._constants.preload_path)
        for line in (content or "").split("\n"):
            words = line.split("#", 1)[0].replace(":", " ").replace("\t", " ").split(" ")
            names += [(word, FoundBy.PRELOAD_FILE) for word in words]
        for name, by in names:
            if name:
                self._preload_one(name, by)

    def _preload_one(self, name: str, by: FoundBy) -> None:
        where = "LD_PRELOAD" if by is FoundBy.PRELOAD else self._constants.preload_path
        reason = "cannot open shared object file"
        try:
            item = self._load(name, self._main, preload=True)
        except GaveUpError as gave_up:
            reason = f"{gave_up.fatal.path}: {gave_up.fatal.reason}"
        else:
            if item.library is not None:
                if not item.listed:
                    item.found_by, item.found_in, item.needed_by = by, "", []
                    self._list(item)
                return
        self._warnings.append(
            f"object '{name}' from {where} cannot be preloaded ({reason}): ignored"
        )

    def _list(self, item: LinkMap) -> None:
        item.listed = True
        self._known.append(item)

    def _load_all(self) -> None:
        """Breadth first; a filtee comes before the object that names it, and is next in turn."""
        position = 0
        while position < len(self._known):
            item = self._known[position]
            if item.done:
                position += 1
                continue
            item.done = True
            if item.library is not None:
                self._load_requests(item, position)

    def _load_requests(self, item: LinkMap, position: int) -> None:
        assert item.library is not None
        for tag, text in item.library.requests:
            name = self._expanded(item, tag, text)
            if name is None:
                continue
            if tag == DT_NEEDED:
                needed = self._load(name, item)
                if not needed.listed:
                    self._list(needed)
                continue
            try:
                filtee = self._load(name, item)
            except GaveUpError:
                if tag == DT_AUXILIARY:
                    continue
                raise
            if filtee.library is None and tag == DT_AUXILIARY:
                continue
            if filtee.listed:
                if self._known.index(filtee) <= position:
                    continue
                self._known.remove(filtee)
            filtee.listed = True
            self._known.insert(position, filtee)
            position += 1

    def _expanded(self, item: LinkMap, tag: int, text: str) -> str | None:
        """A name with its tokens replaced; None: the loader goes on without it."""
        if not has_token(text):
            return text
        if self._program.secure:
            what = "DST not allowed in SUID/SGID programs"
            raise GaveUpError(Fatal(text, what, item.shown))
        name = self._tokens(item.origin).expand(text)
        if name:
            return name
        if tag == DT_AUXILIARY:  # not for DT_FILTER: the flag is the wrong way round in dl-deps.c
            what = "empty dynamic string token substitution"
            raise GaveUpError(Fatal(text, what, item.shown))
        self._warnings.append(f"{item.shown}: {text} is passed over: a token has no value")
        return None

    def _load(self, name: str, by: LinkMap, *, preload: bool = False) -> LinkMap:
        """The object that answers to a name, loaded if need be; a placeholder if not found."""
        known = self._by_name.get(name)
        if known is not None:
            known.add_name(name)
            known.asked_by(by)
            return known
        if "/" in name:
            found = self._search.open_path(self._tokens(by.origin).expand(name) or "")
        else:
            found = self._search.find(name, by.paths, preload=preload)
        item = self._enter(name, by, found)
        item.asked_by(by)
        return item

    def _enter(self, name: str, by: LinkMap, found: Found) -> LinkMap:
        if found.opened is None:
            return LinkMap("", [name], None, name, tried=found.tried)
        library = found.opened.library
        if library is None:
            raise GaveUpError(Fatal(found.path, found.opened.detail, by.shown))
        known = self._by_inode.get(library.inode)
        if known is not None:
            known.add_name(name)
            self._by_name.setdefault(name, known)
            return known
        if library.unmappable:
            raise GaveUpError(Fatal(found.path, library.unmappable, by.shown))
        item = LinkMap(found.path, [name], library, found.path, found.opened.file)
        item.origin = origin_of(found.path, self._program.cwd)
        item.found_by, item.found_in, item.tried = found.by, found.of, found.tried
        tokens = self._tokens(item.origin)
        item.paths = search_paths(library, found.path, tokens, by.paths.rpaths)
        self._by_inode[library.inode] = item
        self._register(item)
        return item

    def _in_load_order(self) -> list[LinkMap]:
        """As the loader lists them: its own place is right behind the last object found."""
        objects = list(self._known)
        loader = self._interpreter
        if loader is None or not loader.listed:
            return objects
        place = objects.index(loader)
        objects.remove(loader)
        while objects[place - 1].library is None:
            place -= 1
        objects.insert(place, loader)
        return objects

    def _check_isa(self, objects: list[LinkMap]) -> Fatal | None:
        for item in reversed(objects):
            if item.library is None or item is self._interpreter:
                continue
            if not self._hardware.has_isa(item.library.isa_needed):
                return Fatal(item.shown, "CPU ISA level is lower than required")
        return None
