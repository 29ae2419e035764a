"""Which probes make the kernel refuse a whole link: it does not say, halving finds them.

Few are left to find: `resolve` has already set aside the functions that begin with an instruction
that the kernel is known to refuse.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from symprobe.trace.sites import Site


def find_refused(sites: Sequence[Site], accepts: Callable[[Sequence[Site]], bool]) -> list[Site]:
    """Those that make a link fail, by halving: about 2 log2(n) trials for each.

    accepts(part) tells whether the kernel takes a link of just that part.
    """
    if not sites or accepts(sites):
        return []
    if len(sites) == 1:
        return list(sites)
    middle = len(sites) // 2
    return find_refused(sites[:middle], accepts) + find_refused(sites[middle:], accepts)
