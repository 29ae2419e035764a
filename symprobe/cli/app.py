"""The commands, each in a module that is imported when it is used, and the exit codes.

Modules of commands do without `from __future__ import annotations`: typer would have to compile
the text of each annotation, four times, at every start.
"""

import errno
import gc
import importlib
import os
import sys
from typing import Any

import typer
from typer._click.types import STRING
from typer.core import TyperGroup, TyperOption

from symprobe.cli.output import complain, prepare_streams, set_colour, silence
from symprobe.errors import PatternError, SymprobeError

COMMANDS = ("ls", "info", "deps", "resolve", "trace", "check", "diff", "find", "doctor")


class LazyGroup(TyperGroup):
    """Commands by name, each from the module `symprobe.cli.NAME`."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"symprobe.cli.{cmd_name}")
        command = typer.main.get_command(module.app)
        command.name = cmd_name
        command.params.append(_colour_option())
        gc.freeze()
        gc.enable()  # main has disabled it to start faster
        return command


def _colour_option() -> TyperOption:
    """`--color`, of every command."""
    return TyperOption(
        param_decls=["--color"],
        metavar="WHEN",
        type=STRING,
        default="auto",
        show_default=False,
        expose_value=False,
        callback=_set_colour,
        help="auto (on a terminal, unless NO_COLOR is set), always or never.",
    )


def _set_colour(_context: Any, _parameter: Any, when: str) -> None:
    if when not in ("auto", "always", "never"):
        raise PatternError(f"--color {when}", next_step="one of auto, always, never")
    set_colour(when)


app = typer.Typer(
    cls=LazyGroup,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    invoke_without_command=True,
)


def _version(value: bool) -> None:
    if value:
        from importlib.metadata import version

        print(f"symprobe {version('symprobe')}")
        raise typer.Exit(0)


@app.callback()
def root(
    ctx: typer.Context,
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Show the version and exit."
    ),
) -> None:
    """Explore ELF symbols and resolve probe targets: from a name to an exact, verified answer."""
    if ctx.invoked_subcommand is None:
        print(ctx.get_help())


def run(arguments: list[str]) -> int:
    """Run the command line; returns the exit code."""
    prepare_streams()
    try:
        code = _invoke(arguments)
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        silence()
        return 0
    except OSError as error:  # all others have become SymprobeErrors where they were met
        silence()
        if error.errno in (errno.EMFILE, errno.ENFILE):
            complain("too many files are open: raise the limit (ulimit -n)")
        elif error.filename is None:
            what = f"standard output: can't be written: {error.strerror}"
            complain(f"{what}: make room, or write elsewhere")
        else:
            complain(f"{os.fsdecode(error.filename)}: {error.strerror}: check the path")
        return 2


def _invoke(arguments: list[str]) -> int:
    from typer._click.exceptions import ClickException

    command = typer.main.get_command(app)
    if "_SYMPROBE_COMPLETE" in os.environ:  # asked by the shell, see typer's completion
        command.main(prog_name="symprobe")
    try:
        with command.make_context("symprobe", list(arguments)) as context:
            code = command.invoke(context)
        return code if isinstance(code, int) else 0
    except typer.Exit as ended:
        return ended.exit_code
    except SymprobeError as error:
        complain(str(error))
        return error.exit_code
    except ClickException as error:
        name = " ".join(["symprobe", *(a for a in arguments[:1] if a in COMMANDS)])
        complain(f"usage: {' '.join(error.format_message().split())}: see '{name} --help'")
        return 2
    except KeyboardInterrupt:
        complain("interrupted")
        return 2
    except MemoryError:
        complain("out of memory: the file asks for more than this machine has")
        return 2
