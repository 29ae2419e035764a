"""What a file that is not ELF looks like, for the reader of an error."""

from __future__ import annotations

from symprobe.elf.constants import ELF_MAGIC
from symprobe.elf.source import Source

_MAGICS = (
    (b"#!", "a script"),
    (b"!<arch>\n", "an archive"),
    (b"!<thin>\n", "a thin archive"),
    (b"MZ", "a Windows executable"),
    (b"\xcf\xfa\xed\xfe", "a Mach-O file"),
    (b"\xca\xfe\xba\xbe", "a Java class or a Mach-O file"),
    (b"\x1f\x8b", "gzip data"),
    (b"\xfd7zXZ\0", "xz data"),
    (b"(\xb5/\xfd", "zstd data"),
    (b"PK\x03\x04", "a zip file"),
    (b"\0asm", "a WebAssembly module"),
    (b"BC\xc0\xde", "LLVM bitcode"),
    (b"/* GNU ld script", "a linker script, which names the real library"),
)


def looks_like(source: Source) -> str:
    """What the first bytes of a file that is not ELF suggest, as a clause for a reader."""
    head = source.read_available(0, 512)
    if not head:
        return "it is empty"
    if len(head) < 4 and ELF_MAGIC.startswith(head):
        return f"it is {len(head)} bytes long"
    for magic, name in _MAGICS:
        if head.startswith(magic):
            return f"it looks like {name}"
    printable = sum(32 <= byte < 127 or byte in b"\t\r\n" for byte in head)
    return "it looks like text" if printable == len(head) else "it holds other data"
