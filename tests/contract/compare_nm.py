"""`python -m tests.contract.compare_nm TREE`: find of 20 symbols against nm -D on every file.

Slow on a large tree (nm is run on each file), so no test of the suite; 0 differences are expected.
"""

from __future__ import annotations

import sys
import time

from tests.contract.support import elf_files
from tests.contract.test_find import by_nm, ours
from tests.support.run import symprobe_json

SYMBOLS = (
    "memcpy", "exit", "malloc", "free", "printf", "stdout", "environ", "pthread_create", "dlopen",
    "SSL_read", "deflate", "main", "_init", "__gmon_start__", "__cxa_finalize", "qsort_r",
    "_ZTVN10__cxxabiv120__si_class_type_infoE", "_ZNSt6localeC1Ev", "GLIBC_2.4", "gets",
)  # fmt: skip


def main(tree: str) -> int:
    files = sorted(elf_files(tree))
    started = time.perf_counter()
    options = [part for name in SYMBOLS for part in ("-e", name)]
    document = symprobe_json("find", *options, tree)
    took = time.perf_counter() - started
    mine = {use for use in ours(document) if use[2].partition("@")[0] in SYMBOLS}
    theirs = by_nm(files, set(SYMBOLS))
    for use in sorted(mine ^ theirs):
        print("ours only:" if use in mine else "nm only:", *use)
    print(
        f"{len(files)} ELF files, {len(SYMBOLS)} symbols, {len(theirs)} uses, "
        f"{len(mine ^ theirs)} differences; find took {took:.1f} s"
    )
    return int(mine != theirs)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
