"""The command line: arguments, one call of the library, one renderer.

The one place that prints, reads the environment and chooses exit codes.
"""

import gc
import sys


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit: 0 it holds, 1 it does not, 2 it could not be done.

    Looking for garbage, of which start and exit make none, would take a sixth of the time. LIEF
    makes some, and complains on stderr of what is left at the end.
    """
    gc.disable()
    from symprobe.cli.app import run

    code = run(sys.argv[1:] if arguments is None else arguments)
    if "lief" not in sys.modules:
        gc.freeze()
    sys.exit(code)
