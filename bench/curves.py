"""Curves: medians by size, as a table and as a picture."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"


@dataclass(frozen=True)
class Curves:
    """Seconds by size for several commands.

    seconds: label -> one figure a size; a text where there is none says why.
    """

    name: str
    title: str
    unit: str
    sizes: tuple[int, ...]
    seconds: dict[str, tuple[float | str, ...]]

    def markdown(self) -> Iterator[str]:
        """As a table: a row a size."""
        yield f"### {self.title}"
        yield ""
        yield f"| {self.unit} | {' | '.join(_cell(label) for label in self.seconds)} |"
        yield f"| ---: {'| ---: ' * len(self.seconds)}|"
        for place, size in enumerate(self.sizes):
            figures = (each[place] for each in self.seconds.values())
            shown = (f if isinstance(f, str) else f"{f * 1000:,.0f} ms" for f in figures)
            yield f"| {size:,} | {' | '.join(shown)} |"
        yield ""

    def draw(self) -> None:
        """As docs/scaling-NAME.svg, both axes logarithmic."""
        import matplotlib as mpl

        mpl.use("svg")
        from matplotlib import pyplot as plt

        mpl.rcParams |= {"svg.hashsalt": self.name, "svg.fonttype": "none", "font.size": 9}
        figure, axes = plt.subplots(figsize=(7.2, 4.2), layout="constrained")
        for (label, figures), marker in zip(self.seconds.items(), _MARKERS, strict=False):
            points = [
                (s, f) for s, f in zip(self.sizes, figures, strict=True) if isinstance(f, float)
            ]
            ours = label.startswith("symprobe")
            axes.plot(
                [s for s, _ in points], [f for _, f in points],
                label=label, marker=marker, markersize=4,
                linewidth=2.0 if ours else 1.1, linestyle="-" if ours else "--",
            )  # fmt: skip
        axes.set(xscale="log", yscale="log", xlabel=self.unit, ylabel="seconds", title=self.title)
        axes.grid(visible=True, alpha=0.3)
        axes.legend(frameon=False)
        figure.savefig(
            DOCS / f"scaling-{self.name}.svg", metadata={"Date": None, "Title": self.title}
        )
        plt.close(figure)


_MARKERS = "osD^v<>Px*"


def _cell(label: str) -> str:
    return "`{}`".format(label.replace("|", "\\|"))


def by_size(
    figures: Sequence[dict[str, float | str]],
) -> dict[str, tuple[float | str, ...]]:
    """One dictionary a size, turned around: label -> one figure a size."""
    labels = dict.fromkeys(label for each in figures for label in each)
    return {label: tuple(each.get(label, "") for each in figures) for label in labels}
