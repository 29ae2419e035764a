"""`python -m symprobe`."""

from symprobe.cli import main

main()
