"""Libraries, caches and trees that attack: one clear answer, within bounds."""

from __future__ import annotations

import os
import random
import shutil
import struct
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

from symprobe.errors import SymprobeError
from symprobe.loader import Scope, dependency_graph
from symprobe.loader.references import unresolved
from tests.elfwriter import with_data
from tests.loader import rules
from tests.support.bounded import bounded
from tests.support.written import DYNAMIC, DYNSTR, library


def needing(names: list[bytes], extra: list[tuple[int, bytes]] = ()) -> bytes:  # type: ignore[assignment]
    """A library whose dynamic section asks for these names, with more tags that hold texts."""

    file = library()
    strings = file.sections[DYNSTR - 1].data
    rows = b""
    for tag, name in [*((1, name) for name in names), *extra]:
        rows += struct.pack("<QQ", tag, len(strings))
        strings += name + b"\0"
    dynamic = file.sections[DYNAMIC - 1].data
    file = with_data(with_data(file, DYNSTR, strings), DYNAMIC, rows + dynamic)
    # The addresses moved: write them anew.
    offsets = file.offsets()
    table = dict(zip(("strings", "symbols"), (offsets[DYNSTR], offsets[2]), strict=True))
    fixed = b""
    data = file.sections[DYNAMIC - 1].data
    places = {5: table["strings"], 6: table["symbols"], 4: offsets[4], 0x6FFFFEF5: offsets[5],
              0x6FFFFFF0: offsets[6], 0x6FFFFFFC: offsets[7], 10: len(strings)}  # fmt: skip
    for tag, value in struct.iter_unpack("<QQ", data):
        fixed += struct.pack("<QQ", tag, places.get(tag, value))
    return with_data(file, DYNAMIC, fixed).to_bytes()


def test_needed_of_the_writer_is_what_readelf_reads(tmp_path: Path) -> None:
    path = tmp_path / "lib.so"
    path.write_bytes(needing([b"liba.so", b"libb.so"], [(15, b"/x:/y")]))
    text = subprocess.run(["readelf", "-dW", path], capture_output=True, text=True, check=True)
    assert "[liba.so]" in text.stdout
    assert "[libb.so]" in text.stdout
    assert "Library rpath: [/x:/y]" in text.stdout


def test_ten_thousand_needed_entries(tmp_path: Path) -> None:
    path = tmp_path / "lib.so"
    path.write_bytes(needing([b"libno%d.so" % i for i in range(10_000)]))
    with bounded():
        graph = dependency_graph(str(path))
    assert len(graph.missing) == 10_000


def test_more_than_any_file_needs(tmp_path: Path) -> None:
    path = tmp_path / "lib.so"
    path.write_bytes(needing([b"libno.so"] * 20_001))
    with bounded(), pytest.raises(SymprobeError, match="asks for 20001 libraries"):
        dependency_graph(str(path))


def test_a_search_path_without_end(tmp_path: Path) -> None:
    path = tmp_path / "lib.so"
    rpath = b":".join(b"/%x" % i for i in range(100_000))
    path.write_bytes(needing([b"libno%d.so" % i for i in range(1000)], [(15, rpath)]))
    with bounded(), pytest.raises(SymprobeError, match="places would be searched"):
        dependency_graph(str(path))
    os.mkdir(tmp_path / "d")
    rpath = b":".join(b"%s/d/%s" % (os.fsencode(tmp_path), b"./" * i) for i in range(400))
    path.write_bytes(needing([b"libno%d.so" % i for i in range(1000)], [(15, rpath)]))
    with bounded(), pytest.raises(SymprobeError, match="places would be searched"):
        dependency_graph(str(path))


def test_names_that_attack_the_terminal(tmp_path: Path) -> None:
    from symprobe.render.deps import dot_lines, graph_lines, tree_lines, why_lines

    names = [
        b"\x1b[31mred",
        b"a\nforged => /lib/x",
        "\u202egnp".encode(),
        b"\xff\xfe",
        b'"];x',
        b"",
    ]
    path = tmp_path / "lib.so"
    path.write_bytes(needing(names, [(29, b"\x1b]0;x\x07:$ORIGIN/\n")]))
    graph = dependency_graph(str(path))
    for lines in (
        graph_lines(graph, ()), tree_lines(graph, ()), dot_lines(graph),
        why_lines(graph, graph.libraries),
    ):  # fmt: skip
        for line in lines:
            assert line.isprintable(), repr(line)


def test_a_loop_of_a_thousand_libraries(tmp_path: Path) -> None:
    for i in range(1000):
        name = b"lib%d.so" % ((i + 1) % 1000)
        (tmp_path / f"lib{i}.so").write_bytes(needing([name], [(29, b"$ORIGIN")]))
    with bounded():
        graph = dependency_graph(str(tmp_path / "lib0.so"))
    # The first file again: the program of this run has no name of its own to be found by.
    assert len(graph.libraries) == 1000
    assert graph.missing == ()


@pytest.mark.parametrize("kind", ["fifo", "socket", "device", "unreadable", "empty", "dangling"])
def test_candidates_that_are_no_files(kind: str, tmp_path: Path) -> None:
    import socket

    place = tmp_path / "libx.so"
    listener = socket.socket(socket.AF_UNIX)
    if kind == "fifo":
        os.mkfifo(place)
    elif kind == "socket":
        listener.bind(str(place))
    elif kind == "device":
        os.symlink("/dev/zero", place)
    elif kind == "dangling":
        os.symlink("nowhere", place)
    else:
        place.write_bytes(b"")
        place.chmod(0 if kind == "unreadable" else 0o644)
    path = tmp_path / "lib.so"
    path.write_bytes(needing([b"libx.so"], [(29, b"$ORIGIN")]))
    with bounded():
        graph = dependency_graph(str(path))
    listener.close()
    assert not graph.complete
    if kind in ("fifo", "device", "empty"):
        assert graph.fatal is not None
        assert graph.fatal.path == str(place)
    if kind == "dangling":
        assert graph.missing == ("libx.so",)


def test_a_library_cut_at_every_size(tmp_path: Path) -> None:
    """What the loader refuses is refused, and nothing else happens."""
    whole = needing([])
    path = tmp_path / "lib.so"
    path.write_bytes(needing([b"libx.so"], [(29, b"$ORIGIN")]))
    for size in range(0, len(whole), 7):
        (tmp_path / "libx.so").write_bytes(whole[:size])
        with bounded():
            graph = dependency_graph(str(path))
        assert not graph.complete or size >= len(whole) - 7
    (tmp_path / "libx.so").write_bytes(whole)
    assert dependency_graph(str(path)).complete


def test_bytes_changed_at_random(tmp_path: Path) -> None:
    """Of a program and its library, 400 times: an answer or one line, no traceback, no hanging."""
    rule = rules.build("rpath-is-inherited", tmp_path)
    whole = (rule.out / "lib/libouter.so").read_bytes()
    program = (rule.out / "exe").read_bytes()
    chance = random.Random(7)
    for turn in range(400):
        target, data = ("lib/libouter.so", whole) if turn % 2 else ("exe", program)
        changed = bytearray(data)
        for _ in range(chance.choice((1, 3, 20))):
            changed[chance.randrange(min(len(changed), 4096))] = chance.choice((0, 1, 0xFF, 0x80))
        (rule.out / target).write_bytes(changed)
        with bounded(), suppress(SymprobeError):
            graph = dependency_graph(str(rule.out / "exe"))
            unresolved(graph, Scope(graph))
        (rule.out / target).write_bytes(data)


def test_version_chains_that_never_end(tmp_path: Path) -> None:
    for tag in (0x6FFFFFFE, 0x6FFFFFFC):
        file = library()
        data = bytearray(file.sections[DYNAMIC - 1].data)

        # A version table that lies over the whole file, from its first byte.
        for at in range(0, len(data), 16):
            if struct.unpack_from("<Q", data, at)[0] in (0x6FFFFFFC, 0):
                struct.pack_into("<QQ", data, at, tag, 0)
                break
        path = tmp_path / f"lib{tag}.so"
        path.write_bytes(with_data(file, DYNAMIC, bytes(data)).to_bytes())
        with bounded():
            dependency_graph(str(path))


def test_a_file_that_replaces_a_directory_of_the_root(tmp_path: Path) -> None:
    (tmp_path / "usr").write_text("a file")
    with pytest.raises(SymprobeError, match=r"Not a directory|no such file"):
        dependency_graph("/usr/bin/x", root=str(tmp_path))
    shutil.copy("/bin/true", tmp_path / "true")
    graph = dependency_graph("/true", root=str(tmp_path))
    assert graph.fatal is not None
    assert "does not exist" in graph.fatal.reason
