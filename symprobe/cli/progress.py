"""A progress bar on stderr, when that is a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_STEP = 32


@contextmanager
def progress(
    what: str, total: int | None, *, shown: bool = True
) -> Iterator[Callable[[int], None]]:
    """A function to be told how much more is done. total: None when it is not known.

    shown: False where lines of answers go to the same terminal meanwhile.  The bar has no thread
    of its own, as processes are still to be forked.
    """
    if not shown or not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    console = Console(stderr=True)
    with Progress(
        *columns,
        console=console,
        transient=True,
        auto_refresh=False,
        redirect_stdout=False,  # answers are no part of the bar
        redirect_stderr=False,
    ) as bar:
        task = bar.add_task(what, total=total)
        done = 0

        def advance(step: int) -> None:
            nonlocal done
            done += step
            bar.update(task, advance=step)
            if done % _STEP == 0:
                bar.refresh()

        yield advance
