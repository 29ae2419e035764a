"""From what a person types to where probes go: resolve()."""

import sys
from types import ModuleType

from symprobe.probe import Resolution
from symprobe.resolve.resolver import Options, Resolver, resolve

__all__ = ["Options", "Resolver", "resolve"]


class _CallableModule(ModuleType):
    """`from symprobe import resolve` means the function; once this package was imported by
    another way, Python gives the package of the same name instead: calling it is the same."""

    def __call__(self, *arguments: object, **options: object) -> Resolution:
        return resolve(*arguments, **options)  # type: ignore[arg-type]


sys.modules[__name__].__class__ = _CallableModule
