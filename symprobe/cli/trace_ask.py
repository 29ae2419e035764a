"""What `symprobe trace` is asked: its options, and those for more than counts as one Question."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, NamedTuple

import typer

from symprobe.cli.complete import symbol_names
from symprobe.probe import ProbeTarget
from symprobe.trace.counts import By
from symprobe.trace.links import Engine
from symprobe.trace.question import Question

Symbols = Annotated[
    list[str],
    typer.Argument(
        metavar="SYMBOL...",
        autocompletion=symbol_names,
        help="Name, NAME@VERSION, glob, /regex/, NAME+0xOFFSET or 0xADDRESS.",
    ),
]
Pids = Annotated[
    list[int] | None,
    typer.Option("-p", "--pid", metavar="PID", help="Only this process; repeatable."),
]
NoFollow = Annotated[bool, typer.Option("--no-follow", help="With -p: not its children.")]
Everyone = Annotated[
    bool, typer.Option("--all", help="With a command: count in every process meanwhile.")
]
Duration = Annotated[
    float | None,
    typer.Option("-d", "--duration", min=0.0, metavar="SECONDS", help="End after so long."),
]
Interval = Annotated[
    float | None,
    typer.Option("-i", "--interval", min=0.01, metavar="SECONDS", help="A table each time."),
]
GroupBy = Annotated[By | None, typer.Option(help="Group the calls of each function.")]
Top = Annotated[
    int | None, typer.Option(min=1, metavar="N", help="Only the N functions called most.")
]
Expect = Annotated[
    list[str] | None,
    typer.Option(
        metavar="EXPR", help="NAME OP NUMBER or NAME OP NAME over the calls: exit 1 if false."
    ),
]
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
Strict = Annotated[bool, typer.Option("--strict", help="Fail when a function can't be traced.")]
AsRoot = Annotated[bool, typer.Option("--as-root", help="Under sudo: run the command as root too.")]
ChosenEngine = Annotated[
    Engine | None, typer.Option(help="How probes are put in; the kernel's best without it.")
]
AsJson = Annotated[
    bool, typer.Option("--json", help="One JSON document; a command's stdout goes to stderr.")
]
Output = Annotated[
    str | None, typer.Option(metavar="FILE", help="Write the JSON document to FILE.")
]
Html = Annotated[
    str | None, typer.Option(metavar="FILE", help="Write a page with tables and pictures.")
]
Export = Annotated[
    str | None,
    typer.Option(
        metavar="openmetrics:FILE", help="Keep FILE up to date, for Prometheus' textfiles."
    ),
]
Listen = Annotated[
    str | None,
    typer.Option(metavar="[HOST:]PORT", help="Serve OpenMetrics there; HOST is 127.0.0.1."),
]


def spelled_out(arguments: list[str]) -> list[str]:
    """`--retval:int` and `--retval` as the parser wants them, with a value behind `=`."""
    found = []
    for argument in arguments:
        match = re.fullmatch(r"--retval(?:[:=](.+))?", argument, re.DOTALL)
        found.append(argument if match is None else f"--retval={match[1] or 'auto'}")
    return found


class Outlets(NamedTuple):
    """Where the answer goes besides the terminal, as the options say it."""

    as_json: bool
    output: str | None
    html: str | None
    export: str | None
    listen: str | None


@dataclass(frozen=True)
class Asked:
    """The options that ask for more than counts, as they were given."""

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
        for name, text in (("--where", self.where), ("--values", self.values)):
            if text is not None and not text.strip():
                raise typer.BadParameter(f"{name} is empty")
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
