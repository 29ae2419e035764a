"""Waiting until a trace ends: for the command, for signals, for the clock.

All of them are waited for in one place, sigtimedwait(2), so none can slip
through between two checks, and nothing is polled that can be waited for.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from symprobe.model import TextEnum
from symprobe.trace.command import HeldCommand

_ENDING = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT}
_REPEATED = _ENDING - {signal.SIGHUP}
"""Those of which a second one ends the trace of a command; with SIGHUP a daemon reads its
configuration, as often as it gets one."""
_PASSED_ON = {signal.SIGUSR1, signal.SIGUSR2}
_LOOK_EVERY = 0.1
"""Seconds between two looks at whether the processes of -p are alive."""


class End(TextEnum):
    """Why a trace has ended."""

    COMMAND = "the command has ended"
    PROCESSES = "the processes have ended"
    DURATION = "the time is over"
    SIGNAL = "a signal"


@dataclass(frozen=True)
class Until:
    """When to end. seconds: at the latest after so many; interval: how often to report.

    command: when it ends.  anyone_left: when it returns false.
    """

    seconds: float | None = None
    interval: float | None = None
    command: HeldCommand | None = None
    anyone_left: Callable[[], bool] | None = None


class Watch:
    """A block of code during which signals are waited for, instead of being acted on.

    SIGINT, SIGTERM, SIGHUP and SIGQUIT end a trace. With a command they are
    its business: they are passed on, unless the terminal has sent them to both
    of us, and the trace ends with the command; a second one (but for SIGHUP) ends the trace.
    """

    def __init__(self, until: Until) -> None:
        self._until = until
        passed_on = _PASSED_ON if until.command is not None else set()
        self._watched = _ENDING | {signal.SIGCHLD} | passed_on
        self._stack = ExitStack()
        self._signals = 0

    def __enter__(self) -> Watch:
        self._stack.enter_context(_blocked(self._watched))
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def wait(self) -> Iterator[End | None]:
        """Yields None at each interval, and at last why the trace ends."""
        until = self._until
        started = time.monotonic()
        ticks = 1
        while (end := self._ended(started)) is None:
            now = time.monotonic()
            if until.interval is not None and now >= started + ticks * until.interval:
                ticks = int((now - started) / until.interval) + 1
                yield None
                continue
            moments = [] if until.seconds is None else [started + until.seconds]
            if until.interval is not None:
                moments.append(started + ticks * until.interval)
            if until.anyone_left is not None:
                moments.append(now + _LOOK_EVERY)
            if self._signal(min(moments) - now if moments else None):
                end = End.SIGNAL
                break
        yield end

    def _ended(self, started: float) -> End | None:
        until = self._until
        if until.command is not None and until.command.poll() is not None:
            return End.COMMAND
        if until.anyone_left is not None and not until.anyone_left():
            return End.PROCESSES
        if until.seconds is not None and time.monotonic() >= started + until.seconds:
            return End.DURATION
        return None

    def _signal(self, timeout: float | None) -> bool:
        """Wait for a signal and pass it on; whether it ends the trace."""
        command = self._until.command
        received = _next_signal(self._watched, timeout)
        if received is None or received.si_signo == signal.SIGCHLD:
            return False
        if command is not None and not _both_got(received, command):
            command.send(received.si_signo)
        if command is None:
            return True
        self._signals += received.si_signo in _REPEATED
        return self._signals > 1


def stop_command(command: HeldCommand, patience: float) -> None:
    """End a command that outlives its trace, as timeout(1) does: SIGTERM, and SIGCONT to act on it.

    Waits for it up to `patience` seconds, or until a signal says that this is too long;
    command.ended stays None if it goes on.
    """
    command.send(signal.SIGTERM)
    command.send(signal.SIGCONT)
    deadline = time.monotonic() + patience
    watched = _ENDING | {signal.SIGCHLD}
    with _blocked(watched):
        while command.poll() is None and (left := deadline - time.monotonic()) > 0:
            received = signal.sigtimedwait(watched, left)
            if received is not None and received.si_signo in _ENDING:
                break


def _both_got(received: signal.struct_siginfo, command: HeldCommand) -> bool:
    """Whether the terminal sent it, to all of a process group that holds us and the command."""
    if received.si_code <= 0:  # from a process, sigaction(2)
        return False
    try:
        return os.getpgid(command.pid) == os.getpgrp()
    except ProcessLookupError:
        return True


def _next_signal(
    watched: set[signal.Signals], timeout: float | None
) -> signal.struct_siginfo | None:
    if timeout is None:
        return signal.sigwaitinfo(watched)
    return signal.sigtimedwait(watched, max(0.0, timeout))


@contextmanager
def _blocked(watched: set[signal.Signals]) -> Iterator[None]:
    """Keep the signals for sigtimedwait(2); what arrives after the last look is dropped."""
    previous = signal.pthread_sigmask(signal.SIG_BLOCK, watched)
    try:
        yield
    finally:
        while signal.sigtimedwait(watched, 0) is not None:
            pass
        signal.pthread_sigmask(signal.SIG_SETMASK, previous)
