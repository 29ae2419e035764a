"""A trace as one HTML page that needs nothing else: tables, histograms, rates, stacks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from symprobe.render.svg import COLOURS, flame, histogram, lines_over_time, safe
from symprobe.render.trace_modes import value_histogram, value_text
from symprobe.render.trace_text import function_name, rate_text
from symprobe.render.units import counted, duration, times_line
from symprobe.trace.histogram import Histogram
from symprobe.trace.report import Report, Row
from symprobe.trace.series import Series

MOST_ROWS = 1000
MOST_VALUES = 100
BUSIEST = len(COLOURS)

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #777; --bar: #3b7dd8; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin-bottom: .2rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
h3 { font-size: 1rem; font-family: ui-monospace, monospace; overflow-wrap: anywhere; }
p.soft, td.soft { color: var(--soft); }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: .2rem .6rem; border-bottom: 1px solid var(--line); }
th { font-weight: 600; } th:last-child, td:last-child, .left { text-align: left; }
td.name { font-family: ui-monospace, monospace; overflow-wrap: anywhere; }
svg { width: 100%; height: auto; display: block; margin: .5rem 0 1rem; }
svg text { font: 12px ui-monospace, monospace; fill: currentColor; }
svg .grid { stroke: var(--line); } svg.histogram rect { fill: var(--bar); }
.held { color: #2a8a4a; } .broken { color: #c0392b; font-weight: 600; }
.key { display: inline-block; width: .8rem; height: .8rem; border-radius: 2px; }
""".strip()


def html_page(report: Report, series: Series) -> str:
    """The whole page. Names are from files and processes: escaped, for HTML and for the eye."""
    paths = dict.fromkeys(row.hits.target.file.shown for row in report.rows)
    title = f"symprobe trace: {', '.join(paths) or 'nothing'}"
    body = "\n".join(
        [
            *_headline(report, title),
            *_functions(report),
            *_rates(series),
            *_latencies(report.rows),
            *_spans(report),
            *_values(report.rows),
            *_stacks(report.rows),
            *_rejected(report),
        ]
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{safe(title)}</title><style>{_STYLE}</style></head>\n"
        f"<body>\n{body}\n</body></html>\n"
    )


def _headline(report: Report, title: str) -> Iterator[str]:
    calls = sum(row.hits.calls for row in report.rows)
    yield f"<h1>{safe(title)}</h1>"
    facts = [
        f"{counted(calls, 'call')} of {counted(len(report.rows) + report.left_out, 'function')}",
        f"{report.duration:.2f} s",
        report.engine,
    ]
    if report.events is not None:
        facts.append(f"{counted(report.events, 'event')}, {report.dropped} dropped")
    if report.missed:
        facts.append(f"{report.missed} hits missed")
    if report.overflow:
        facts.append(f"{report.overflow} beyond the tables' size")
    yield f'<p class="soft">{safe(" · ".join(facts))}</p>'
    if report.command is not None:
        ended = report.command.ended
        code = "still running" if ended is None else f"exit {ended.exit}"
        yield f"<p><code>{safe(' '.join(report.command.argv))}</code>: {code}</p>"
    for outcome in report.expectations:
        verdict = "held" if outcome.held else "broken"
        text = f"{outcome.text}: {'held' if outcome.held else 'FAILED'}"
        yield f'<p class="{verdict}">{safe(text)}</p>'


def _functions(report: Report) -> Iterator[str]:
    timed = report.mode == "latency"
    heads = ["calls", "calls/s", *(_TIMES if timed else ()), "function"]
    rows = []
    for row in report.rows[:MOST_ROWS]:
        cells = [str(row.hits.calls), rate_text(row.rate)]
        cells += _time_cells(row) if timed else []
        note = f' <span class="soft">{safe(row.note)}</span>' if row.note else ""
        rows.append(_row(cells, f"{safe_name(row)}{note}"))
        rows += [
            _row([str(g.calls), *[""] * (len(cells) - 1)], safe(str(g.key))) for g in row.hits.by
        ]
    yield "<h2>Functions</h2>"
    yield _table(heads, rows)
    left = report.left_out + max(0, len(report.rows) - MOST_ROWS)
    if left:
        yield f'<p class="soft">and {left} functions with fewer calls</p>'


_TIMES = ("not returned", "mean", "p50", "p90", "p99", "min", "max")


def _time_cells(row: Row) -> list[str]:
    times = row.hits.latency
    if times is None:
        return [str(row.hits.unreturned or 0), *["–"] * (len(_TIMES) - 1)]
    shares = [duration(times.percentile(share)) for share in (0.5, 0.9, 0.99)]
    return [
        str(row.hits.unreturned or 0),
        duration(times.mean),
        *shares,
        duration(times.least),
        duration(times.most),
    ]


def _rates(series: Series) -> Iterator[str]:
    if len(series.times) < 3:
        return
    totals = list(zip(*series.totals, strict=True))
    busiest = sorted(range(len(totals)), key=lambda j: -totals[j][-1])[:BUSIEST]
    middle = series.times[1:]
    lines = []
    for j in busiest:
        steps = zip(series.times, middle, totals[j], totals[j][1:], strict=False)
        rates = [(b - a) / max(end - begun, 1e-9) for begun, end, a, b in steps]
        lines.append((series.targets[j].names[0], rates))
    yield "<h2>Calls a second</h2>"
    yield lines_over_time(middle, lines, "calls a second over time")
    keys = (
        f'<span class="key" style="background:{colour}"></span> {safe(name)}'
        for colour, (name, _) in zip(COLOURS, lines, strict=False)
    )
    yield f"<p>{' &nbsp; '.join(keys)}</p>"


def _latencies(rows: Iterable[Row]) -> Iterator[str]:
    first = True
    for row in rows:
        groups = [(g.key, g.latency) for g in row.hits.by if g.latency is not None]
        whole = [("", row.hits.latency)] if row.hits.latency is not None and not groups else []
        for key, times in [*whole, *groups]:
            if first:
                yield "<h2>Latencies</h2>"
                first = False
            group = f", {safe(str(key))}" if key != "" else ""
            yield from _histogram(f"{safe_name(row)}{group}", row.hits.target.names[0], times)


def _histogram(heading: str, title: str, times: Histogram) -> Iterator[str]:
    yield f"<h3>{heading}</h3>"
    yield f'<p class="soft">{counted(times.count, "time")}: {times_line(times)}</p>'
    yield histogram(times, f"histogram of {title}")


def _spans(report: Report) -> Iterator[str]:
    if report.spans is None:
        return
    yield "<h2>Spans</h2>"
    for span in report.spans:
        still_open = f", {span.open} not closed" if span.open else ""
        heading = f"{safe(str(span.key))}: {counted(span.count, 'span')}{still_open}"
        if span.times is None:
            yield f"<h3>{heading}</h3>"
        else:
            yield from _histogram(heading, str(span.key), span.times)


def _values(rows: Iterable[Row]) -> Iterator[str]:
    for row in rows:
        values = row.hits.values
        if not values:
            continue
        yield f"<h2>Values</h2><h3>{safe_name(row)}</h3>"
        numbers = value_histogram(values)
        if numbers is not None:
            yield histogram(numbers, "histogram of values", as_times=False)
        shown = [
            _row([str(each.count)], safe(value_text(each.value))) for each in values[:MOST_VALUES]
        ]
        yield _table(["calls", "value"], shown)
        if len(values) > MOST_VALUES:
            yield f'<p class="soft">and {len(values) - MOST_VALUES} other values</p>'


def _stacks(rows: Iterable[Row]) -> Iterator[str]:
    for row in rows:
        if row.hits.stacks:
            yield f"<h2>Callers</h2><h3>{safe_name(row)}</h3>"
            yield flame(row.hits.stacks, f"callers of {row.hits.target.names[0]}")


def _rejected(report: Report) -> Iterator[str]:
    if report.rejected:
        yield "<h2>Not traced</h2>"
        rows = [_row([safe(each.name)], safe(each.detail)) for each in report.rejected[:MOST_ROWS]]
        yield _table(["name", "reason"], rows)


def safe_name(row: Row) -> str:
    """A function as the reader knows it."""
    return safe(function_name(row.hits.target))


def _table(heads: Iterable[str], rows: Iterable[str]) -> str:
    head = "".join(f'<th scope="col">{each}</th>' for each in heads)
    return (
        f'<div class="wide"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>\n{chr(10).join(rows)}\n</tbody></table></div>"
    )


def _row(cells: Iterable[str], last: str) -> str:
    return f'<tr>{"".join(f"<td>{cell}</td>" for cell in cells)}<td class="name">{last}</td></tr>'
