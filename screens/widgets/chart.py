"""`Chart`: a plot with axes and legend, as a widget of the Line API.

Flows in: series and a frame (`screens.widgets.plot` draws them as text). A line that stays the same is not drawn
again; a line costs one style run a change of colour, which keeps two charts under 3 % of a core and fit for
SSH. Drawing thread.
"""

from __future__ import annotations

from collections.abc import Callable

from screens.widgets.plot import Frame, Series, chart, samples_per_cell
from screens.widgets.rows import Rows

Source = Callable[[int], tuple[Series, ...]]  # samples wanted → series


class Chart(Rows):
    """Series over time."""

    def plot(self, source: Source, frame: Frame) -> None:
        """Draw what `source` gives for as many samples as the plot has columns."""
        width, height = self.size.width, self.size.height
        if width <= 0 or height <= 0:
            return
        labels = frame.label_width + 1 if width >= frame.label_width * 4 else 0
        series = source(max(1, (width - labels) * samples_per_cell(frame.symbols)))
        self.show_lines(chart(series, frame, width, height))
