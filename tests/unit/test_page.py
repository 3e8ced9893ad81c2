"""A table's page: figures by query, why passages were found, commands, plots, blocks of data."""

import base64
import html.parser
import io
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from conftest import REPOSITORY, run_here, succeed
from made_artifacts import put_system

from repro import table
from repro.base.errors import InputError
from repro.formats.impact_vectors import ImpactVector, read_selected, shard_path, write_shard
from repro.report.page import changed_page, data_block, read_data_block
from repro.report.tables import read_table
from repro.webreport import evidence, writing
from repro.webreport.evidence import HITS, TERMS, _documents, _shared
from repro.webreport.inline_svg import in_page
from repro.webreport.page import PARTS, html_page
from repro.webreport.plots import Plot, Point, draw
from repro.webreport.scores import Scores, differing, packed

HOSTILE = "</script><img src=x onerror=alert(1)><!-- \u2028 &amp; ]]>"


def scores(*values) -> Scores:
    """Figures of systems a, b, ... by two measures: systems x measures x queries."""
    array = np.array(values, dtype=float)
    queries = [f"q{number}" for number in range(array.shape[2])]
    return Scores([*"abcdef"[: len(array)]], ["RR@10", "AP"], queries, array)


def unpack(of) -> list[list[float]]:
    places = [np.frombuffer(base64.b64decode(text), f"<u{of['bytes']}") for text in of["places"]]
    return [[of["distinct"][place] for place in row] for row in places]


@pytest.mark.parametrize(("queries", "size"), [(3, 1), (256, 1), (257, 2), (70_000, 4)])
def test_packed_figures_are_the_figures(queries, size):
    values = np.arange(4 * queries).reshape(2, 2, queries)[:, :, ::-1] % queries / queries
    found = packed(scores(*values))
    assert found["AP"]["bytes"] == size and found["AP"]["distinct"] == sorted(found["AP"]["distinct"])
    assert np.array_equal([unpack(found["RR@10"]), unpack(found["AP"])], values.transpose(1, 0, 2))


def test_greatest_wins_of_each_system_against_each_other_come_first():
    """a over b in q0, b over a in q3, by AP where RR@10 differs alike, and what is alike for all last."""
    a = [[1, 0.5, 0.5, 0.0, 0.2], [0.1, 0.2, 0.9, 0.0, 0.0]]
    b = [[0, 0.0, 0.0, 0.4, 0.2], [0.1, 0.1, 0.1, 0.9, 0.0]]
    of = scores(a, b)
    assert [differing(of, limit) for limit in (1, 2, 3, 4)] == [[0], [0, 3], [0, 2, 3], [0, 1, 2, 3]]
    assert differing(of, 10) == [0, 1, 2, 3, 4]
    assert differing(scores(a), 2) == [0, 1] and differing(scores(a[:1] * 2, b), 0) == []


def test_documents_are_each_systems_first_and_the_best_judged():
    first = [(f"d{number}", 100.0 - number) for number in range(20)]
    other = [("d19", 2.5), ("d0", 1.25)]
    judged = {"d0": 0, "d15": 1, "d16": 3, "lost": 3, "d17": 1, "d14": 1, "d19": 2}
    found = _documents({"one": first, "two": other}, judged, level=1)
    assert found["documents"] == [*(f"d{number}" for number in range(HITS)), "d19", "d16", "lost"]
    assert found["ranks"]["one"] == [1, 2, 3, 4, 5, 20, 17, None]
    assert found["ranks"]["two"] == [2, None, None, None, None, 1, None, None]
    assert found["grades"] == [0, None, None, None, None, 2, 3, 3]
    assert _documents({"one": first[:1]}, judged, level=3)["documents"] == ["d0", "d16", "lost"]
    assert found["scores"]["two"][0] == 1.25 and found["scores"]["one"][-1] is None


def test_matching_terms_sum_to_the_product_of_the_vectors():
    query = {f"t{number}": number + 1 for number in range(40)}
    document = {f"t{number}": 2 * number + 1 for number in range(0, 60, 2)}
    shared = _shared(query, document)
    assert shared[0] == ["t38", 39, 77] and len(shared) == TERMS + 1
    number, rest = shared[-1]
    assert number == 20 - TERMS
    assert sum(q * d for _, q, d in shared[:-1]) + rest == sum(
        impact * document.get(term, 0) for term, impact in query.items()
    )
    assert _shared(query, {}) == []


def test_selected_vectors_are_found_by_ids_that_json_escapes(tmp_path):
    ids = ['a"b', "plain", 'x","contents":"', "später", "other\\"]
    vectors = [
        ImpactVector(identifier, f"text of {identifier}", {"t": n}) for n, identifier in enumerate(ids, 1)
    ]
    write_shard(shard_path(tmp_path, 0), vectors[:3])
    write_shard(shard_path(tmp_path, 1), vectors[3:])
    assert list(read_selected(tmp_path, ids[:1] + ids[2:] + ["missing"])) == vectors[:1] + vectors[2:]


class Elements(html.parser.HTMLParser):
    """Collects the names of a page's elements, and what stands in its blocks."""

    def __init__(self, text):
        super().__init__()
        self.names, self.texts = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.names.append(tag)

    def handle_data(self, data):
        self.texts.append(data)


def test_no_text_ends_a_block_of_data(tmp_path):
    page = tmp_path / "page.html"
    page.write_text(html_page(HOSTILE, [], {"one": {HOSTILE: [HOSTILE]}, "two": 2}), encoding="utf-8")
    assert read_data_block(page, "one") == {HOSTILE: [HOSTILE]} and read_data_block(page, "two") == 2
    assert read_data_block(page, "three") is None
    assert "img" not in Elements(page.read_text(encoding="utf-8")).names
    assert not re.search(
        "[<>&\u2028]", data_block("one", HOSTILE)[len('<script type="application/json" id="one">') : -9]
    )


def test_the_policy_names_style_and_script_and_nothing_on_a_network():
    page = html_page("title", [], {})
    (policy,) = re.findall('Content-Security-Policy" content="(.*?)"', page)
    assert "default-src 'none'" in policy and "http" not in policy and "unsafe" not in policy
    assert not re.search(r'(src|href)="(?!data:|#)', page) and "@import" not in page and "url(" not in page


def luminance(colour) -> float:
    """Relative luminance of #rrggbb (WCAG 2.2)."""
    shares = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_text_has_the_contrast_that_wcag_asks_for(scheme):
    """4.5 to 1, on the page and on cards; what axe-core cannot tell of a table that scrolls."""
    style = (PARTS / "page.css").read_text(encoding="utf-8")
    rules = re.findall(r":root \{(.*?)\}", style, flags=re.DOTALL)
    colours = dict(re.findall(r"--([\w-]+): (#\w{6})", rules[scheme]))
    assert len(colours) == 16
    grounds = [luminance(colours[name]) for name in ("paper", "card")]
    for name in colours.keys() - {"paper", "card", "line", "mark", "equal"}:
        text = luminance(colours[name])
        for ground in grounds:
            assert (max(text, ground) + 0.05) / (min(text, ground) + 0.05) >= 4.5, name


def test_names_in_a_plot_hide_no_other_name_and_no_point():
    figures = [
        ("bm25", "bm25", None, 0.7),
        ("tiny", "splade", 4.4e6, 0.80),
        ("tiny+bm25", "fusion", 4.4e6, 0.81),
    ]
    figures += [("doc.tiny", "splade-doc", 4.4e6, 0.79), ("$mini$", "splade", 11e6, 0.82)]
    points = [Point(name, kind, x, y, y - 0.05, y + 0.05) for name, kind, x, y in figures]
    plot = Plot("size", "RR@10 and size", "RR@10", "parameters", "parameters", points)
    axes = draw(plot).axes[0]
    assert sorted(text.get_text() for text in axes.texts) == sorted(name for name, *_ in figures)
    boxes = [text.get_window_extent() for text in axes.texts]
    assert not any(one.overlaps(other) for i, one in enumerate(boxes) for other in boxes[:i])
    at = axes.transData.transform([(point.x, point.y) for point in points if point.x])
    assert not any(box.contains(*place) for box in boxes for place in at)


def test_long_names_in_a_plot_are_cut_in_the_middle_and_stay_inside_the_axes():
    names = [f"splade:models--naver--splade-v3-distilbert-{kind}-epoch-{n}" for n, kind in enumerate("abcde")]
    points = [Point(name, "splade", 10.0 ** (5 + n), 0.5, 0.45, 0.55) for n, name in enumerate(names)]
    points.append(Point("bm25+" + names[0], "fusion", None, 0.7, 0.6, 0.8))
    plot = Plot("size", "RR@10 and size", "RR@10", "parameters", "parameters", points)
    axes = draw(plot).axes[0]
    inside = axes.get_window_extent()
    for text in axes.texts:
        box = text.get_window_extent()
        assert inside.x0 <= box.x0 and box.x1 <= inside.x1, text.get_text()
        assert inside.y0 <= box.y0 and box.y1 <= inside.y1, text.get_text()
    assert [text.get_text()[-9:] for text in axes.texts[:2]] == ["a-epoch-0", "b-epoch-1"]
    assert all(name in plot.description for name in names)


def test_a_plot_in_the_page_is_described_and_has_the_pages_colours():
    points = [Point("<b>", "dense", 2e6, 0.5, 0.4, 0.6), Point("bm25", "bm25", None, 0.3, 0.2, 0.4)]
    plot = Plot("size", "RR@10 and size", "RR@10", "parameters", "parameters", points)
    content = io.BytesIO()
    draw(plot).savefig(content, format="svg")
    svg = in_page(plot, content.getvalue())
    assert (
        '<title id="plot-size-title">RR@10 and size</title>' in svg
        and "&lt;b&gt;: 0.5000 at 2M parameters" in svg
    )
    assert 'aria-labelledby="plot-size-title plot-size-desc"' in svg and "var(--dense)" in svg
    assert "style" not in svg and "<b>" not in svg


@pytest.fixture
def made(beir, monkeypatch) -> Path:
    """A folder with a table and its page, of work that is put in its place."""
    monkeypatch.chdir(beir.parent)
    monkeypatch.delenv("REPRO_MODELS", raising=False)
    put_system("bm25", {"q1": {"d1": 3.0, "d4": 2.0}, "q2": {"d6": 3.0}})
    succeed("repro.__main__", "table", "--collection", "tiny", "--systems", "bm25,splade-mini", by=run_here)
    return beir.parent


def test_a_table_is_written_with_page_and_plots_and_a_check_compares_them(made):
    written = {path.name for path in Path("tables").iterdir()}
    assert written == {
        *(f"tiny-test.{suffix}" for suffix in ("csv", "html", "json", "md")),
        *(f"tiny-test.{plot}.{suffix}" for plot in ("index", "latency") for suffix in ("png", "svg")),
    }
    page, read = Path("tables/tiny-test.html"), read_table(Path("tables/tiny-test.json"))
    assert not list(changed_page(*read, page))
    text = page.read_text(encoding="utf-8")
    check = ["repro.table", "--collection", "tiny", "--check"]
    assert succeed(*check, by=run_here) == ""
    page.write_text(
        text.replace("1 of 2 systems", "2 of 2 systems").replace('"0.3333"', '"0.4333"', 1), encoding="utf-8"
    )
    assert "tiny-test.html shows another table" in run_here(*check).stdout
    page.write_text(text.replace('"use strict";', '"use strict"; '), encoding="utf-8")
    told = run_here(*check).stdout
    assert "tiny-test.html was changed after it was written" in told
    assert "(with --systems bm25,splade-mini)" in told
    page.unlink()
    assert succeed(*check, by=run_here) == ""


def test_without_report_a_page_stays_only_beside_its_own_table(made):
    again = ["repro.__main__", "table", "--collection", "tiny", "--no-report", "--systems"]
    succeed(*again, "bm25,splade-mini", by=run_here)
    assert Path("tables/tiny-test.html").exists()
    succeed(*again, "bm25", by=run_here)
    assert {path.name for path in Path("tables").iterdir()} == {
        f"tiny-test.{s}" for s in ("csv", "json", "md")
    }


def test_a_page_is_of_the_table_that_was_just_made(made, monkeypatch):
    """Another command may have written another table, or searched anew, in between."""
    tables = []
    with monkeypatch.context() as patched:
        patched.setattr(table, "write_pages", tables.extend)
        patched.setattr(evidence, "WITH_TERMS", 5)
        succeed("repro.__main__", "table", "--collection", "tiny", "--systems", "bm25", by=run_here)
        page = Path("tables/tiny-test.html")
        (stored := page.with_suffix(".json")).write_text(stored.read_text().replace("tiny-test", "other"))
        writing.write_pages(tables)
    record, held = (read_data_block(page, name) for name in ("record", "evidence"))
    assert record["collection"] == "tiny-test" and [row["system"] for row in record["rows"]] == ["bm25"]
    assert held["terms"] == {} and any("No matching terms: the corpus" in text for text in held["contents"])
    (interval,) = [column for column in held["columns"] if column["header"] == "95 %"]
    assert [interval["values"], interval["highs"]] == [
        *map(list, zip(record["rows"][0]["intervals"]["RR@10"]))
    ]
    run = Path(record["rows"][0]["run"])
    run.write_text(run.read_text().replace(" 3 ", " 4 "))
    with pytest.raises(InputError, match=r"run\.tiny-test\.bm25\.trec was changed after the table was made"):
        writing.write_pages(tables)


def test_plots_are_drawn_by_their_own_settings(made):
    """A user may have asked matplotlib for TeX, and for a layout of its own."""
    before = Path("tables/tiny-test.index.png").read_bytes()
    theirs = {"text.usetex": True, "figure.constrained_layout.use": True, "font.size": 30}
    with matplotlib.rc_context(theirs):
        succeed("repro.__main__", "table", "--collection", "tiny", "--systems", "bm25", by=run_here)
        assert matplotlib.rcParams["text.usetex"]
    assert Path("tables/tiny-test.index.png").read_bytes() == before


def test_a_backend_that_is_gone_does_not_matter():
    code = "from repro.webreport.plots import *\nfrom repro.webreport.plots import _settings\n"
    code += "with _settings(Plot('size', '', '', '', '', [])): import matplotlib.figure"
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "MPLBACKEND": "gone"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


def test_commands_on_the_page_are_those_of_its_table(made):
    commands = read_data_block(Path("tables/tiny-test.html"), "evidence")["commands"]
    lines = [shlex.split(of["line"]) for of in [*commands["table"], *commands["rows"]["bm25"]]]
    assert [line[2] for line in lines] == [
        *("repro.table", "repro.table", "repro.export"),
        *("repro.index", "repro.search", "repro.evaluate", "repro.pyserini", "repro.evaluate"),
    ]
    assert not any("$" in word for line in lines for word in line)
    measures = read_data_block(Path("tables/tiny-test.html"), "record")["measures"]
    assert "R@1000" not in measures  # six documents: what repro.evaluate would print, not the table
    for line in lines:
        if line[2] == "repro.evaluate":
            assert line[line.index("--measures") + 1 :][: len(measures)] == measures
    assert [*commands["rows"]] == ["bm25"]
