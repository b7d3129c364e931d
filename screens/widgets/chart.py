"""`Chart`: a plot with axes and legend, as a widget of the Line API.

Flows in: series and a frame (`screens.widgets.plot` draws them as text). A line that stays the same is not drawn
again; a line costs one style run a change of colour, which keeps two charts under 3 % of a core and fit for
SSH. Drawing thread.
"""

from __future__ import annotations

from collections.abc import Callable

from screens.widgets.plot import Frame, Series, Symbols, chart, label_cells, samples_per_cell
from screens.widgets.rows import Rows

Source = Callable[[int], tuple[Series, ...]]  # samples wanted → series


class Chart(Rows):
    """Series over time."""

    never_scrolls = True
    _drawn: object = None  # what the plot on screen was made from

    def samples(self, symbols: Symbols) -> int:
        """How many samples stand side by side in the plot."""
        width = self.size.width
        return max(1, (width - label_cells(width)) * samples_per_cell(symbols))

    def plot(self, source: Source, frame: Frame, *, key: object) -> None:
        """Draw what `source` gives for as many samples as the plot has columns, unless all is as it was (`key`)."""
        width, height = self.size.width, self.size.height
        made_from = (key, frame, width, height)
        if width <= 0 or height <= 0 or made_from == self._drawn:
            return
        self._drawn = made_from
        self.show_lines(chart(source(self.samples(frame.symbols)), frame, width, height))
