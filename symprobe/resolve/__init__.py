"""From what a person types to where probes go: resolve()."""

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from symprobe.probe import Resolution
    from symprobe.resolve.resolver import Options, Resolver, resolve

__all__ = ["Options", "Resolver", "resolve"]


def __getattr__(name: str) -> Any:
    """Loaded when first used: who only reads SYMBOLs (resolve.spec) needs no loader and no
    decoder of instructions."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from symprobe.resolve import resolver

    return globals().setdefault(name, getattr(resolver, name))


class _CallableModule(ModuleType):
    """`from symprobe import resolve` means the function; once this package was imported by
    another way, Python gives the package of the same name instead: calling it is the same."""

    def __call__(self, *arguments: object, **options: object) -> "Resolution":
        from symprobe.resolve.resolver import resolve

        return resolve(*arguments, **options)  # type: ignore[arg-type]


sys.modules[__name__].__class__ = _CallableModule
