"""The command line: arguments, one call of the library, one renderer.

The one place that prints, reads the environment and chooses exit codes.
"""

import gc
import os
import sys


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit: 0 it holds, 1 it does not, 2 it could not be done.

    arguments: those of the process, which then ends at once, when they are not given.
    Looking for garbage, of which start and exit make none, would take a sixth of the time; so
    would taking apart what was made of a large file.
    """
    gc.disable()
    from symprobe.cli.app import run

    code = run(sys.argv[1:] if arguments is None else arguments)
    if arguments is None:
        os._exit(code)  # all is written: run() has seen to it
    sys.exit(code)
