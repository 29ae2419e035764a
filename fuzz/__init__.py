"""Coverage-guided fuzzing (atheris) of everything that reads what strangers or users wrote.

`python -m fuzz` runs every harness for a while and prints a table; docs/fuzzing.md tells more.
A harness is a module of fuzz/harnesses: `seeds()` gives inputs to begin with, `check(data)` does
to one input what a command would do, and raises SymprobeError or nothing.
"""
