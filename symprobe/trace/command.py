"""The command of `trace … -- COMMAND`: forked at once, held until the probes are in, then exec.

Being forked before anything else is done, it inherits nothing of ours: no
limits raised, no descriptors, no namespaces. Between fork and exec it only
waits; were we to die, it would end without having run.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import signal
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from symprobe.errors import TraceError

_RESET = (signal.SIGPIPE, signal.SIGXFSZ)
"""Signals that Python itself ignores, and that a program expects at their default."""


@dataclass(frozen=True)
class User:
    """Whom the command runs as."""

    name: str
    uid: int
    gid: int
    groups: tuple[int, ...]
    home: str


@dataclass(frozen=True)
class Ended:
    """How the command ended. exit: its code, or 128 + signal as a shell has it."""

    exit: int
    signal: str | None = None

    @classmethod
    def from_status(cls, status: int) -> Ended:
        """From what waitpid(2) gives."""
        if os.WIFSIGNALED(status):
            number = os.WTERMSIG(status)
            try:
                name = signal.Signals(number).name
            except ValueError:  # a real-time signal
                name = f"SIG{number}"
            return cls(128 + number, name)
        return cls(os.WEXITSTATUS(status))


class HeldCommand:
    """A child that calls exec when it is released; `ended` is set once it was reaped.

    argv: the command, looked up in the PATH of environment.  user: whom to run
    it as, None for ourselves.  quiet_stdout: its stdout goes to our stderr.
    Use as a context manager: a command still held at the end never runs.
    """

    def __init__(
        self,
        argv: Sequence[str],
        environment: Mapping[str, str],
        *,
        user: User | None = None,
        quiet_stdout: bool = False,
    ) -> None:
        self.argv = tuple(argv)
        self.ended: Ended | None = None
        self._environment = dict(environment)
        self._user = user
        self._quiet_stdout = quiet_stdout
        hold_read, self._hold = os.pipe()
        self._failure, failure_write = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self._hold)
            os.close(self._failure)
            self._child(hold_read, failure_write)
        os.close(hold_read)
        os.close(failure_write)
        if signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN:  # else its end would be lost
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)

    def __enter__(self) -> HeldCommand:
        return self

    def __exit__(self, *error: object) -> None:
        """Let go: what is held ends without running, what runs goes on."""
        for fd in (self._hold, self._failure):
            if fd >= 0:
                os.close(fd)
        if self._hold >= 0:
            os.waitpid(self.pid, 0)
        self._hold = self._failure = -1

    def release(self) -> None:
        """Let it call exec, and wait until it has. TraceError: it can't be executed."""
        with contextlib.suppress(BrokenPipeError):  # it was killed: how, poll() tells
            os.write(self._hold, b"\1")
        os.close(self._hold)
        self._hold = -1
        failure = os.read(self._failure, 64)
        if failure:
            os.waitpid(self.pid, 0)
            raise self._exec_error(struct.unpack("i", failure)[0])

    def poll(self) -> Ended | None:
        """How it ended, None while it runs."""
        if self.ended is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.ended = Ended.from_status(status)
        return self.ended

    def send(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.ended is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def _child(self, hold: int, failure: int) -> None:
        """In the child: never returns."""
        code = errno.EIO
        try:
            if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
                signal.signal(signal.SIGINT, signal.SIG_DFL)
            for number in _RESET:
                signal.signal(number, signal.SIG_DFL)
            if not os.read(hold, 1):
                os._exit(0)
            if self._quiet_stdout:
                os.dup2(2, 1)
            if self._user is not None:
                self._become(self._user)
            os.execvpe(self.argv[0], self.argv, self._environment)
        except OSError as error:
            code = error.errno or code
        finally:
            with contextlib.suppress(OSError):
                os.write(failure, struct.pack("i", code))
            os._exit(127)

    def _become(self, user: User) -> None:
        os.setgroups(user.groups)
        os.setgid(user.gid)
        os.setuid(user.uid)
        self._environment.update(HOME=user.home, USER=user.name, LOGNAME=user.name)

    def _exec_error(self, code: int) -> TraceError:
        name = self.argv[0]
        found = shutil.which(name, os.F_OK, self._environment.get("PATH"))
        if code == errno.ENOENT and found is None:
            return TraceError(
                "command not found", file=name, next_step="check PATH, or give a path"
            )
        if code == errno.ENOENT:
            what, next_step = "the interpreter that it names does not exist", f"see 'file {found}'"
        elif code == errno.EACCES:
            what, next_step = "permission denied", "it must be an executable file (chmod +x)"
        elif code == errno.ENOEXEC:
            what, next_step = "not a program of this machine", "a script must begin with #!"
        else:
            what, next_step = os.strerror(code), "run it without symprobe"
        return TraceError(f"can't be executed: {what}", file=name, next_step=next_step)
