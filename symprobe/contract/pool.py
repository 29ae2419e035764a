"""The same work on many items, in several processes."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TypeVar

from symprobe.errors import SymprobeError

Item = TypeVar("Item")
Result = TypeVar("Result")

_CHUNK = 128
_WAITING = 4
"""Chunks handed out for each process: enough to keep it busy, few enough to stay small."""
_PR_SET_PDEATHSIG = 1


def parallel(
    work: Callable[[list[Item]], list[Result]],
    items: Iterable[Item],
    *,
    jobs: int,
    chunk: int = _CHUNK,
) -> Iterator[Result]:
    """The results of `work` on chunks of the items, as they come (in no order).

    work: a module's function that raises nothing on purpose; what is wrong with an item is part
    of its result.  jobs: processes; with one, or with a single chunk, this one does the work.
    Errors: SymprobeError when a process was killed.
    """
    chunks = _chunks(iter(items), chunk)
    first = next(chunks, None)
    if first is None:
        return
    second = next(chunks, None) if jobs > 1 else None
    if second is None:
        yield from work(first)
        for each in chunks:
            yield from work(each)
        return
    yield from _spread(work, _chain(first, second, chunks), jobs)


def _chunks(items: Iterator[Item], size: int) -> Iterator[list[Item]]:
    while chunk := list(islice(items, size)):
        yield chunk


def _chain(first: Item, second: Item, others: Iterator[Item]) -> Iterator[Item]:
    yield first
    yield second
    yield from others


def _spread(
    work: Callable[[list[Item]], list[Result]], chunks: Iterator[list[Item]], jobs: int
) -> Iterator[Result]:
    # Here: these imports take 25 ms, which a call with few files does not pay.
    import multiprocessing
    from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
    from concurrent.futures.process import BrokenProcessPool

    # Forked processes have all modules and settings of this one, which has no threads yet.
    context = multiprocessing.get_context("fork")
    pool = ProcessPoolExecutor(jobs, context, initializer=_start, initargs=(os.getpid(),))
    try:
        waiting: set[Future[list[Result]]] = set()
        for chunk in chunks:
            waiting.add(pool.submit(work, chunk))
            if len(waiting) < jobs * _WAITING:
                continue
            done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            for future in done:
                yield from future.result()
        while waiting:
            done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            for future in done:
                yield from future.result()
    except BrokenProcessPool:
        raise SymprobeError(
            "a worker process was killed before it was done",
            next_step="see 'dmesg' for the out-of-memory killer, or try --jobs 1",
        ) from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _start(parent: int) -> None:
    """In each new process: it ends with its parent, which alone answers Ctrl-C."""
    import ctypes

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it had ended before
        os._exit(1)
