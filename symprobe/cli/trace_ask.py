"""The options of `symprobe trace` that ask for more than counts, as one Question."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import typer

from symprobe.probe import ProbeTarget
from symprobe.trace.question import Question

Latency = Annotated[
    bool, typer.Option("--latency", help="How long the calls take: histograms, percentiles.")
]
Span = Annotated[
    str | None,
    typer.Option(metavar="SYMBOL", help="Time from SYMBOL... to this function, in each process."),
]
SameThread = Annotated[
    bool, typer.Option("--same-thread", help="With --span: both in the same thread.")
]
Events = Annotated[bool, typer.Option("--events", help="A line for each call.")]
Arg = Annotated[
    list[str] | None,
    typer.Option(
        metavar="N[:TYPE]",
        help="Show an argument with each event, by number from 0 or by name. TYPE: int, uint, "
        "long, ulong, hex, ptr, str, bytes:N, float, double.",
    ),
]
Retval = Annotated[
    str | None,
    typer.Option(
        "--retval", metavar="[:TYPE]", help="Show the value returned: events are then returns."
    ),
]
Values = Annotated[
    str | None,
    typer.Option(metavar="WHAT", help="Which values argN or retval has, and how often."),
]
Where = Annotated[
    str | None,
    typer.Option(
        metavar="CONDITION",
        help="Only calls for which it holds: 'arg0 > 4096', 'retval < 0', 'comm == \"bash\"'; "
        "joined by and, or, not.",
    ),
]
Stack = Annotated[bool, typer.Option("--stack", help="Through which callers it is reached.")]
Folded = Annotated[bool, typer.Option("--folded", help="With --stack: lines for flame graphs.")]


def spelled_out(arguments: list[str]) -> list[str]:
    """`--retval:int` and `--retval` as the parser wants them, with a value behind `=`."""
    found = []
    for argument in arguments:
        match = re.fullmatch(r"--retval(?:[:=](.+))?", argument, re.DOTALL)
        found.append(argument if match is None else f"--retval={match[1] or 'auto'}")
    return found


@dataclass(frozen=True)
class Asked:
    """The options as they were given."""

    latency: bool
    span: str | None
    same_thread: bool
    events: bool
    arguments: tuple[str, ...]
    result: str | None
    values: str | None
    stacks: bool
    folded: bool
    where: str | None

    def check(self, *, as_json: bool) -> None:
        """BadParameter for options that contradict each other."""
        asked = {
            "--latency": self.latency,
            "--span": self.span is not None,
            "--events": self._wants_events,
            "--values": self.values is not None,
            "--stack": self.stacks,
        }
        chosen = [name for name, given in asked.items() if given]
        if len(chosen) > 1:
            raise typer.BadParameter(f"{' and '.join(chosen)} exclude each other")
        if self.same_thread and self.span is None:
            raise typer.BadParameter("--same-thread goes with --span")
        if self.folded and not self.stacks:
            raise typer.BadParameter("--folded goes with --stack")
        if self.folded and as_json:
            raise typer.BadParameter("--folded and --json exclude each other")

    @property
    def anything(self) -> bool:
        """Whether more than counts is asked for."""
        return self.span is not None or self.question(lambda _: ()) != Question()

    @property
    def exact_entry(self) -> bool:
        """Whether probes must be at the first byte, where arguments and callers are in place."""
        entries = Question(same_thread=self.same_thread, events=self.events)
        return self.question(lambda _: ()) != entries

    @property
    def _wants_events(self) -> bool:
        return self.events or bool(self.arguments) or self.result is not None

    def question(self, find: Callable[[str], tuple[ProbeTarget, ...]]) -> Question:
        """find: the functions that --span's SYMBOL stands for."""
        return Question(
            latency=self.latency,
            ends=() if self.span is None else find(self.span),
            same_thread=self.same_thread,
            events=self._wants_events,
            arguments=self.arguments,
            result=self.result,
            values=self.values or "",
            stacks=self.stacks,
            where=self.where or "",
        )
