"""README's generated blocks: a whole block is replaced in one step, and nothing else is touched."""

import os
from pathlib import Path

import pytest

from repro.report.readme import shown_systems, update_block

BEFORE = "before\n<!-- t -->\nold\n<!-- /t -->\nafter\n"


@pytest.fixture
def page(tmp_path):
    return tmp_path / "README.md"


def test_only_the_block_between_markers_changes(page):
    page.write_text(BEFORE)
    assert update_block(page, "t", "new\n\nlines")
    assert page.read_text() == "before\n<!-- t -->\nnew\n\nlines\n<!-- /t -->\nafter\n"


def test_line_ends_stay(page):
    page.write_bytes(b"before\r\n<!-- t -->\r\nold\r\n<!-- /t -->\r\nafter\r\n")
    assert update_block(page, "t", "new\nlines")
    assert page.read_bytes() == b"before\r\n<!-- t -->\r\nnew\r\nlines\r\n<!-- /t -->\r\nafter\r\n"
    page.write_bytes(b"\xef\xbb\xbfone\rtwo\n<!-- t --><!-- /t -->")
    assert update_block(page, "t", "new")
    assert page.read_bytes() == b"\xef\xbb\xbfone\rtwo\n<!-- t -->\nnew\n<!-- /t -->"


@pytest.mark.parametrize(
    "content",
    [
        "no markers\n",
        "<!-- t -->\nold\n",
        "old\n<!-- /t -->\n",
        "<!-- /t -->\nold\n<!-- t -->\n",
        "`<!-- t -->` begins a block\n" + BEFORE,
        BEFORE + "<!-- /t -->\n",
        BEFORE + BEFORE,
        "<!-- t -->\n<!-- u -->\nold\n<!-- /u -->\n<!-- /t -->\n",
        "<!-- t -->\n<!-- u -->\nold\n<!-- /t -->\n<!-- /u -->\n",
    ],
    ids=["none", "begin", "end", "reversed", "mentioned", "two ends", "twice", "nested", "crossed"],
)
def test_what_is_no_whole_block_is_left_alone(page, content):
    page.write_text(content)
    assert not update_block(page, "t", "new")
    assert page.read_text() == content


def test_files_without_a_block_are_left_alone(page, tmp_path):
    page.write_bytes(b"\xff<!-- t -->\nold\n<!-- /t -->\n")
    assert not update_block(page, "t", "new")
    assert page.read_bytes() == b"\xff<!-- t -->\nold\n<!-- /t -->\n"
    assert not update_block(tmp_path / "missing.md", "t", "new")
    assert not update_block(tmp_path, "t", "new")


def test_a_write_that_fails_leaves_the_old_page(page, monkeypatch):
    """The new page is whole before it takes the old one's place."""
    page.write_text(BEFORE)
    replaced = []

    def refuse(source, target):
        replaced.append(Path(source).read_text())
        raise OSError("no space")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OSError, match="no space"):
        update_block(page, "t", "new")
    assert page.read_text() == BEFORE and replaced == [BEFORE.replace("old", "new")]


def test_a_linked_page_stays_a_link(page, tmp_path):
    real = tmp_path / "real.md"
    real.write_text(BEFORE)
    page.symlink_to(real)
    assert update_block(page, "t", "new")
    assert page.is_symlink() and "new" in real.read_text()


def test_a_table_tells_its_systems(page):
    rows = "| system | type |\n| --- | --- |\n| bm25 | bm25 |\n| splade-tiny | splade |"
    page.write_text("<!-- table x -->\n<!-- /table x -->\n")
    assert shown_systems(page, "table x") == set()
    assert update_block(page, "table x", rows)
    assert shown_systems(page, "table x") == {"bm25", "splade-tiny"}
    assert shown_systems(page, "table y") == set()
