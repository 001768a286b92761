"""Check that links and pictures of the built site lead somewhere within it.

python docs/check_links.py build/docs
"""

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

# Of the theme, and of Sphinx, whose links back from the sources lead to the right page
# but not always to a place in it.
OTHERS = {"_static", "_modules"}


class Page(HTMLParser):
    """The links of a page, and the places in it that links can lead to."""

    def __init__(self, path):
        super().__init__()
        self.links, self.places = set(), set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):  # noqa: D102
        for name, value in attrs:
            if name in ("href", "src") and value:
                self.links.add(value)
            elif name in ("id", "name") and value:
                self.places.add(value)


def broken(folder):
    """Yield the pages and targets of links that lead nowhere."""
    pages = {path.resolve(): Page(path) for path in folder.rglob("*.html")}
    for path, page in pages.items():
        if OTHERS & {*path.relative_to(folder.resolve()).parts}:
            continue
        for link in sorted(page.links):
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve()
            target = target if parts.path else path
            if not target.exists():
                yield path, link
            elif parts.fragment and target in pages:
                if unquote(parts.fragment) not in pages[target].places:
                    yield path, link


if __name__ == "__main__":
    found = list(broken(Path(sys.argv[1])))
    for path, link in found:
        print(f"{path}: {link} leads nowhere")
    sys.exit(bool(found))
