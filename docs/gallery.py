"""What the gallery of examples asks of them."""

import warnings


def warnings_are_errors(gallery_conf, name):
    """Let an example fail that would show a warning on its page."""
    warnings.filterwarnings("error", category=UserWarning)
