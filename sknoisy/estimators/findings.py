"""What a fitted estimator found, above its diagram in a notebook."""

from html import escape

from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

STYLE = "margin: 0.3em 0 0.6em; border-collapse: collapse; text-align: left;"
CELL = "padding: 0 1em 0 0; text-align: left;"


class Findings:
    """Mixin of estimators: their representation in a notebook says what they found."""

    def _findings(self):
        """Return pairs of what was found and its value; only called when fitted."""
        return []

    def _html_repr(self):
        diagram = super()._html_repr()
        try:
            check_is_fitted(self)
        except NotFittedError:
            return diagram
        rows = "".join(
            f'<tr><td style="{CELL}">{escape(str(what))}</td>'
            f'<td style="{CELL}"><b>{escape(str(value))}</b></td></tr>'
            for what, value in self._findings()
        )
        return f'<table style="{STYLE}">{rows}</table>{diagram}' if rows else diagram


def percent(share):
    """Return a share in [0, 1] as people read it.

    Examples
    --------
    >>> percent(0.004), percent(0.256)
    ('0.4%', '26%')
    """
    return f"{share:.1%}" if 0 < share < 0.01 else f"{share:.0%}"
