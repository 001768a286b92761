"""What pages point at is there: files, headings, and the tests of a method."""

import re
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

from sknoisy.cotraining import COTRAINING_METHODS
from sknoisy.detection import DETECTION_METHODS
from sknoisy.losses import LOSSES

ROOT = Path(__file__).parents[1]
MADE = ("auto_examples", "generated")  # when the pages are built
PAGES = [
    page
    for page in sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
    if not set(MADE) & {*page.parts}
]


def prose(page):
    """Return the text of a page without blocks of code."""
    text = page.read_text(encoding="utf-8")
    return re.sub(r"^(```+|~~~+).*?^\1", "", text, flags=re.MULTILINE | re.DOTALL)


def anchors(page):
    """Return the anchors of a page's headings, as GitHub and MyST make them."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        path, _, anchor = target.partition("#")
        if "://" in target or path.startswith("mailto:"):
            continue
        to = (page.parent / path).resolve() if path else page
        assert to.exists(), f"{target} does not exist"
        if anchor:
            assert anchor in anchors(to), f"{target} is no heading"


@pytest.fixture(scope="module")
def verified():
    path = ROOT / "benchmarks" / "verified.py"
    spec = spec_from_file_location("verified", path)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.VERIFIED


def test_what_verified_a_method_is_a_test(verified):
    for name, (how, where) in verified.items():
        path, _, test = where.partition("::")
        assert how in ("run", "steps", "gradient", "value", "parts"), name
        assert f"def {test}(" in (ROOT / path).read_text(encoding="utf-8"), where


def test_every_published_method_says_how_it_was_verified(verified):
    ours = {"kernel_posterior"}
    assert {*LOSSES, *COTRAINING_METHODS, *DETECTION_METHODS} - ours <= verified.keys()
