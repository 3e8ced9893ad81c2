"""A real browser for tests: Chromium without a window, driven by playwright; and axe-core for barriers."""

import contextlib
import importlib.resources
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

SIZES = {"phone": (390, 844), "desk": (1280, 900)}


@dataclass
class Visit:
    """A page that is open (playwright's ``Page``), what its console said, and all that it asked for."""

    page: object
    faults: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


@contextlib.contextmanager
def browser() -> Iterator[object]:
    """Start Chromium; skip the test where it is missing."""
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if program is None:
        pytest.skip("no Chromium on the PATH")
    from playwright.sync_api import sync_playwright  # a third of a second, for one test of many

    with sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@contextlib.contextmanager
def visit(chromium: object, path: Path, size: str, scheme: str) -> Iterator[Visit]:
    """Open a file at a size of SIZES, light or dark."""
    width, height = SIZES[size]
    context = chromium.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
    made = Visit(context.new_page())
    made.page.on(
        "console", lambda said: made.faults.append(said.text) if said.type in ("error", "warning") else 0
    )
    made.page.on("pageerror", lambda error: made.faults.append(str(error)))
    made.page.on("request", lambda request: made.requests.append(request.url))
    made.page.goto(path.as_uri())
    yield made
    context.close()


def barriers(page: object) -> list[str]:
    """Return what axe-core finds wrong with the page as it is now."""
    axe = importlib.resources.files("axe_playwright_python").joinpath("axe.min.js").read_text("utf-8")
    page.evaluate(axe)
    found = page.evaluate("axe.run()")
    return [f"{of['id']}: {node['html']}" for of in found["violations"] for node in of["nodes"]]


def overflow(page: object) -> int:
    """Return by how many pixels the page is wider than the window."""
    return page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
