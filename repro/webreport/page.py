"""The page: its parts (``page.html``, ``page.css``, ``page.js``) and a table's data in one file."""

import base64
import hashlib
import html
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template
from typing import Any

from repro.report.page import SEAL, data_block, sealed

PARTS = Path(__file__).parent


def html_page(title: str, plots: Sequence[str], blocks: Mapping[str, Any]) -> str:
    """Return the page with plots (SVG elements) and blocks of data.

    Its policy lets nothing run or apply but its own style and script, and nothing come from the network.
    """
    style, script = (_part(f"page.{suffix}") for suffix in ("css", "js"))
    policy = (
        f"default-src 'none'; style-src '{_checksum(style)}'; script-src '{_checksum(script)}'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )
    page = Template(_part("page.html")).substitute(
        seal=SEAL.format(""),
        policy=policy,
        title=html.escape(title),
        style=style,
        script=script,
        plots="\n".join(f"<figure>{plot}</figure>" for plot in plots),
        data="\n".join(data_block(name, value) for name, value in blocks.items()),
    )
    return sealed(page)


def _part(name: str) -> str:
    return (PARTS / name).read_text(encoding="utf-8")


def _checksum(text: str) -> str:
    """Return what a policy calls an element's text by."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
