"""The whole pipeline, as a user runs it, on a collection of six passages: real Java, real weights."""

import json
import shlex
from pathlib import Path

import browser
import huggingface_hub
import pytest
from conftest import REPOSITORY, refused, run, run_here, succeed, write_beir
from stages import copied

from repro import table
from repro.base.files import read_json
from repro.collections.model import Collection, Document
from repro.collections.scan import scan_corpus
from repro.formats.runs import read_run
from repro.models.systems import find_system
from repro.models.weights import resolve
from repro.pipeline import planning
from repro.report.page import read_data_block
from repro.webreport.page import html_page

SYSTEMS = "bm25,splade-tiny,all-minilm-l6-v2,splade-mini"


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """A folder in which the table of a tiny collection was measured, and what was printed."""
    folder = tmp_path_factory.mktemp("measured")
    write_beir(folder / "tiny")
    (folder / "README.md").write_text("a\n<!-- table tiny-test -->\n<!-- /table tiny-test -->\nb\n")
    command = ["repro", "table", "--collection", "tiny", "--systems", SYSTEMS]  # as `splade-repro table`
    return folder, succeed(*command, cwd=folder, HF_HUB_OFFLINE="1")


def test_table_shows_measured_rows_and_the_reason_for_the_others(measured):
    folder, printed = measured
    assert "tiny-test, 3 judged queries" in printed
    rows = {row["system"]: row for row in json.loads((folder / "tables/tiny-test.json").read_text())["rows"]}
    assert list(rows) == SYSTEMS.split(",")
    assert rows["splade-mini"]["status"] == "not run" and "no weights" in rows["splade-mini"]["reason"]
    assert not any(rows["splade-mini"][name] for name in ("figures", "intervals", "parameters", "run"))
    for name in SYSTEMS.split(",")[:3]:
        assert rows[name]["status"] == "measured" and rows[name]["queries"] == 3
        assert f"{rows[name]['figures']['RR@10']:.4f}" in printed
    assert rows["splade-tiny"]["figures"]["RR@10"] == 1.0
    assert (
        rows["splade-tiny"]["parameters"] == 4_416_698 and rows["all-minilm-l6-v2"]["document_terms"] == 384
    )
    assert (folder / "tables/tiny-test.csv").read_text().startswith("system,kind,status")
    published = (folder / "tables/tiny-test.md").read_text()
    assert "splade-mini" in published and "33.2" in published and "33.2" not in printed


def test_check_passes_and_tells_a_changed_run(measured, tmp_path):
    folder = copied(measured[0], tmp_path / "copy")
    command = ["repro.table", "--collection", "tiny", "--check"]
    assert succeed(*command, cwd=folder, by=run_here, HF_HUB_OFFLINE="1") == ""
    path = folder / "runs/run.tiny-test.all-minilm-l6-v2.trec"
    first, _, rest = path.read_text().partition("\n")
    columns = first.split(" ")
    path.write_text(" ".join([*columns[:4], str(float(columns[4]) * 1.01), columns[5]]) + f"\n{rest}")
    done = run_here(*command, cwd=folder, HF_HUB_OFFLINE="1")
    assert done.returncode == 1
    assert done.stdout.startswith(
        f"all-minilm-l6-v2: {path.relative_to(folder)} was changed after it was made"
    )


def test_readme_block_is_written(measured):
    text = (measured[0] / "README.md").read_text()
    assert (
        text.startswith("a\n")
        and text.endswith("b\n")
        and "| splade-tiny" in text
        and "queries/s" not in text
    )


def test_models_trained_on_the_collection_have_rows_but_not_in_readme(measured, tmp_path):
    folder = tmp_path / "copy"
    copied(measured[0], folder)
    (folder / "work/trained").mkdir()
    for name, collection in {"splade-mine": "./tiny", "splade-other": "sample"}.items():
        (folder / "work/trained" / name).symlink_to(resolve(find_system("splade-tiny")).path)
        manifest = {
            "inputs": {"stage": "train", "recipe": {"data": {"collection": collection, "split": "train"}}}
        }
        (folder / f"work/trained/{name}.manifest.json").write_text(json.dumps(manifest))
    printed = succeed("repro.table", "--collection", "tiny", cwd=folder, by=run_here, HF_HUB_OFFLINE="1")
    mine = next(line for line in printed.splitlines() if line.startswith("| splade-mine "))
    assert "1.0000" in mine and "splade-other" not in printed
    assert "| splade-small " in (folder / "README.md").read_text()
    assert "splade-mine" not in (folder / "README.md").read_text()


def test_readme_block_is_kept_from_partial_and_optional_runs(measured, tmp_path):
    folder = tmp_path / "copy"
    copied(measured[0], folder)
    before = (folder / "README.md").read_text()
    command = ["repro.table", "--collection", "tiny", "--systems"]
    succeed(*command, "bm25", cwd=folder, by=run_here)
    succeed(*command, SYSTEMS, "--k1", "0.82", cwd=folder, by=run_here, HF_HUB_OFFLINE="1")
    assert (folder / "README.md").read_text() == before


def test_runs_are_in_the_strict_form(measured):
    folder, _ = measured
    for system in SYSTEMS.split(",")[:3]:
        path = folder / "runs" / f"run.tiny-test.{system}.trec"
        lines = [line.split(" ") for line in path.read_text().splitlines()]
        assert all(len(line) == 6 and line[1] == "Q0" and line[5] == system for line in lines)
        answered = read_run(path).keys()
        assert answered == (
            {"q1", "q2"} if system == "bm25" else {"q1", "q2", "q3"}
        )  # no word of q3 is in a passage
        manifest = read_json(path.with_name(path.name + ".manifest.json"))
        assert manifest["counts"]["queries"] == 3 and manifest["made"]["command"].startswith(
            "python -m repro.search"
        )


def test_second_run_makes_nothing_and_a_changed_collection_makes_all(measured, tmp_path):
    folder, printed = measured
    common = ["repro.table", "--collection", "tiny", "--systems", SYSTEMS]
    lines = succeed(*common, "--dry-run", cwd=folder, by=run_here, HF_HUB_OFFLINE="1").splitlines()
    assert all(line.endswith("--system splade-mini") for line in lines)  # a run would ask the Hub for it
    assert succeed(*common, cwd=folder, by=run_here, HF_HUB_OFFLINE="1") == printed
    changed = tmp_path / "copy"
    copied(folder, changed)
    with open(changed / "tiny/corpus.jsonl", "a") as file:
        file.write('{"_id": "d7", "text": "new"}\n')
    done = run_here(*common, "--dry-run", cwd=changed, HF_HUB_OFFLINE="1")
    assert "tiny was not read yet" in done.stderr
    encoding = ["repro.encode", "repro.index", "repro.search"]
    assert [line.split()[2] for line in done.stdout.splitlines()] == [
        *encoding[1:],
        *encoding,
        *encoding,
        *encoding,
    ]


class Remote:
    """A collection that lies elsewhere, as ir_datasets' do before they are fetched."""

    local = False
    fetched = False

    def documents(self):
        assert self.fetched, "the corpus was read"
        yield Document("d1", "The tide rises twice a day.")

    def queries(self):
        raise AssertionError("the queries were read")

    def qrels(self):
        raise AssertionError("the judgments were read")

    def official_measures(self):
        return []

    def state(self):
        return {"version": 1}


def test_dry_run_fetches_nothing_and_says_what_it_does_not_know(tmp_path, monkeypatch, capsys):
    """It asks the Hub's cache for models, and nobody else: neither the Hub nor the collection's host."""
    source, look_up = Remote(), huggingface_hub.snapshot_download

    def in_cache_only(*arguments, local_files_only=False, **options):
        assert local_files_only, "a model was downloaded"
        return look_up(*arguments, local_files_only=True, **options)

    def open_remote(*_arguments, **_options):
        return Collection("remote", "remote", source)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", in_cache_only)
    monkeypatch.setattr(planning, "open_collection", open_remote)
    monkeypatch.delenv("REPRO_MODELS", raising=False)
    monkeypatch.chdir(tmp_path)
    command = ["--collection", "remote", "--systems", "bm25,splade-tiny,splade-mini", "--dry-run"]
    encoding = ["repro.encode", "repro.index", "repro.search"]

    assert table.main(command) == 0
    printed = capsys.readouterr()
    assert [line.split()[2] for line in printed.out.splitlines()] == [*encoding[1:], *encoding, *encoding]
    assert "remote was not read yet" in printed.err and not list(tmp_path.iterdir())

    source.fetched = True
    scan_corpus(open_remote(), Path("work"))
    source.fetched = False
    capsys.readouterr()
    assert table.main(command) == 0
    printed = capsys.readouterr()
    assert [line.split()[2] for line in printed.out.splitlines()] == [*encoding[1:], *encoding, *encoding]
    assert "remote: its queries are not read, so they count as new" in printed.err
    assert "splade-mini: its model is not on this machine" in printed.err
    assert not Path("work/encoded").exists() and not Path("work/indexes").exists()


def test_only_what_depends_on_an_option_is_made_again(measured):
    folder, _ = measured
    base = ["repro.table", "--collection", "tiny", "--systems", "bm25,splade-tiny", "--dry-run"]
    commands = succeed(*base, "--k1", "0.82", "--b", "0.68", cwd=folder, by=run_here).splitlines()
    assert len(commands) == 1 and "repro.search" in commands[0] and "--k1 0.82 --b 0.68" in commands[0]
    commands = succeed(*base, "--scale", "100", cwd=folder, by=run_here).splitlines()
    assert [command.split()[2] for command in commands] == ["repro.encode", "repro.index", "repro.search"]
    assert all("--scale 100.0" in command for command in commands)
    assert len(succeed(*base, "--force", cwd=folder, by=run_here).splitlines()) == 5


def test_search_alone_encodes_its_queries(measured, tmp_path):
    folder = tmp_path / "copy"
    copied(measured[0], folder)
    with open(folder / "tiny/queries.jsonl", "a") as file:
        file.write('{"_id": "q4", "text": "sea salt"}\n')
    stage = [
        "repro.search",
        "--collection",
        "tiny",
        "--system",
        "splade-tiny",
        "--all-queries",
        "--hits",
        "2",
    ]
    path = folder / succeed(*stage, cwd=folder, by=run_here).strip()
    assert path.read_text().splitlines()[0].endswith(" splade-tiny")
    again = succeed(*stage, "--tag", "mine", cwd=folder, by=run_here).strip()
    assert folder / again == path  # another run of that name
    results = read_run(path)
    assert results.keys() == {"q1", "q2", "q3", "q4"} and next(iter(results["q4"])) == "d4"
    assert all(len(documents) <= 2 for documents in results.values())
    assert path.read_text().splitlines()[0].endswith(" mine")


def test_evaluate_prints_means_and_queries(measured):
    folder, _ = measured
    command = [
        "repro.evaluate",
        "runs/run.tiny-test.splade-tiny.trec",
        "--collection",
        "tiny",
        "--measures",
        "RR@10",
    ]
    lines = succeed(*command, "--per-query", cwd=folder, by=run_here).splitlines()
    assert lines[-1].split("\t")[1:] == ["all", "RR@10", "1.0000"]
    assert {line.split("\t")[1] for line in lines} == {"q1", "q2", "q3", "all"}


def test_evaluate_compares_runs_with_the_first(measured):
    folder, _ = measured
    (folder / "worse.trec").write_text("q1 Q0 nowhere 1 2 x\nq1 Q0 d1 2 1 x\n")
    command = ["repro.evaluate", "--collection", "tiny", "--measures", "RR@10", "--compare"]
    baseline = "runs/run.tiny-test.splade-tiny.trec"
    both = [baseline, "worse.trec"]
    lines = succeed(*command, "--per-query", *both, cwd=folder, by=run_here).splitlines()
    # RR@10 of 1/2, 0, 0 against 1, 1, 1: two of the eight exchanges are as far apart
    difference, pair = ["difference", "RR@10", "-0.8333 (-1.0000 to -0.5000)"], "worse.trec - "
    told = ["p, t-test: 0.0377", "p, randomisation: 0.2500", "d: -2.89", "0 better, 0 equal, 3 worse"]
    assert lines[-1].split("\t") == [f"{pair}{Path(baseline).name}", *difference, *told]
    assert lines[-2].split("\t")[1:] == ["q3", "RR@10", "-1.0000"]
    assert "expected two run files" in refused(*command, baseline, cwd=folder, by=run_here)


def test_interrupted_encoding_goes_on_after_its_last_shard(tmp_path):
    write_beir(tmp_path / "tiny")
    command = ["repro.encode", "--collection", "tiny", "--system", "splade-tiny", "--shard-size", "2"]
    # A machine that dies in the third shard.
    (tmp_path / "sitecustomize.py").write_text(
        "import os, repro.formats.impact_vectors as v\nwrite = v.write_shard\n"
        "v.write_shard = lambda path, *rest: os._exit(9) if '00002' in path.name else write(path, *rest)\n"
    )
    assert run(*command, cwd=tmp_path, PYTHONPATH=f"{tmp_path}:{REPOSITORY}").returncode == 9
    (partial,) = (tmp_path / "work/encoded/tiny").glob("splade-tiny.partial-*[0-9]")
    assert len(list(partial.glob("part-*.jsonl.gz"))) == 2
    assert not (tmp_path / "work/encoded/tiny/splade-tiny").exists()
    first = (partial / "part-00000.jsonl.gz").stat().st_mtime_ns
    done = run_here(*command, cwd=tmp_path)
    assert done.returncode == 0 and "going on after 4 of 6 documents" in done.stderr
    folder = tmp_path / "work/encoded/tiny/splade-tiny"
    assert [p.name for p in sorted(folder.iterdir())] == [f"part-0000{i}.jsonl.gz" for i in range(3)]
    assert (folder / "part-00000.jsonl.gz").stat().st_mtime_ns == first
    manifest = read_json(folder.with_name("splade-tiny.manifest.json"))
    assert manifest["counts"]["texts"] == 6 and manifest["counts"]["postings"] > 100


def test_keep_going_passes_over_a_stage_that_fails(tmp_path):
    write_beir(tmp_path / "tiny")
    command = ["repro.table", "--collection", "tiny", "--systems", "splade-tiny,bm25+splade-tiny,bm25"]
    (tmp_path / "sitecustomize.py").write_text(
        "import os, sys\n"
        "if 'repro.encode' in ' '.join(sys.orig_argv):\n"
        "    open('failed', 'a').write('once ')\n"
        "    os._exit(9)\n"
    )
    path = f"{tmp_path}:{REPOSITORY}"
    stopped = run(*command, cwd=tmp_path, PYTHONPATH=path)
    assert stopped.returncode == 2 and "repro.encode ended with exit code 9" in stopped.stderr
    (tmp_path / "failed").unlink()
    done = run(*command, "--keep-going", cwd=tmp_path, PYTHONPATH=path)
    assert done.returncode == 1 and "bm25+splade-tiny not run: repro.encode ended" in done.stdout
    assert (tmp_path / "failed").read_text() == "once "  # not again for the fusion
    assert (
        "splade-tiny not run: repro.encode ended with exit code 9" in done.stdout and "| bm25" in done.stdout
    )


def column(page, at):
    return page.locator(f"#results tbody tr > :nth-child({at})").all_inner_texts()


@pytest.fixture(scope="module")
def chromium():
    with browser.browser() as started:
        yield started


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", browser.SIZES)
def test_the_page_in_a_browser(measured, chromium, size, scheme):
    """As one reads it: sort, see where a figure comes from by keyboard, compare two systems, open a query."""
    path = measured[0] / "tables/tiny-test.html"
    with browser.visit(chromium, path, size, scheme) as visit:
        page = visit.page
        assert browser.overflow(page) == 0 and page.locator("svg.plot").count() == 3
        in_table_order = column(page, 1)
        page.click("#results thead button >> text=system")
        assert column(page, 1) == sorted(in_table_order) != in_table_order
        page.click("#results thead button >> text=nDCG@10")
        assert page.get_attribute("#results [aria-sort]", "aria-sort") == "descending"
        figures = column(page, 6)
        assert figures == sorted(figures, reverse=True) and column(page, 3)[-1] == "not run"

        page.focus("#results tbody tr:first-child button")
        page.keyboard.press("ArrowRight")
        page.keyboard.press("ArrowRight")
        page.keyboard.press("Enter")
        system, told = page.inner_text("#results tbody tr:first-child th"), page.inner_text("#origin")
        rows = {row["system"]: row for row in read_json(path.with_suffix(".json"))["rows"]}
        assert f"{system}, RR@10: " in told and rows[system]["run_sha256"] in told and "repro.search" in told
        assert browser.barriers(page) == [] and browser.overflow(page) == 0
        page.keyboard.press("Escape")
        assert not page.is_visible("#origin") and page.evaluate("document.activeElement.closest('#results')")

        page.select_option("#first", "splade-tiny")
        page.select_option("#second", "bm25")
        page.select_option("#order", "first")
        assert "better on 1 queries" in page.inner_text("#outcome")
        asked = page.locator("#list summary .text").first.inner_text()
        page.fill("#words", asked.upper())
        page.click("#list summary >> nth=0")  # the field's change, as it is left, keeps the list
        assert page.locator("#list details[open]").count() == 1
        page.keyboard.press("Enter")
        page.keyboard.press("Enter")
        opened = page.locator("#list details[open]").first
        opened.locator(".hits").first.wait_for()
        assert "Sourdough keeps for a week" in opened.inner_text()
        opened.locator(".terms summary").first.click()
        products = opened.locator(".terms table").first.locator("tbody td:nth-child(4)").all_inner_texts()
        score = opened.locator(".hits .about span").nth(2).inner_text()
        assert score == f"score {sum(int(product.replace(',', '')) for product in products)}"
        assert browser.barriers(page) == [] and browser.overflow(page) == 0
        assert visit.faults == []
        assert not [url for url in visit.requests if url != path.as_uri() and not url.startswith("data:")]


def test_text_from_a_collection_is_text_on_the_page(measured, chromium, tmp_path):
    hostile = "</script><img src=x onerror=\"document.title='run'\"><b>bold</b>"
    source, path = measured[0] / "tables/tiny-test.html", tmp_path / "hostile.html"
    record, cells, evidence = (read_data_block(source, name) for name in ("record", "cells", "evidence"))
    evidence["passages"] = dict.fromkeys(evidence["passages"], hostile)
    evidence["queries"]["texts"] = [hostile] * len(evidence["queries"]["ids"])
    evidence["terms"] = {
        system: {query: [[[hostile, 1, 2]]] * len(of) for query, of in terms.items()}
        for system, terms in evidence["terms"].items()
    }
    record["rows"][-1]["reason"] = hostile
    path.write_text(html_page(hostile, [], {"record": record, "cells": cells, "evidence": evidence}))
    with browser.visit(chromium, path, "desk", "light") as visit:
        page = visit.page
        page.select_option("#first", "splade-tiny")
        page.click("#list summary >> nth=0")
        page.click("#list .terms summary >> nth=0")
        assert page.inner_text("h1") == hostile
        for where in ("#list summary .text", "#list .hits p", "#list .terms tbody th", "#notes"):
            assert hostile in page.inner_text(f"{where} >> nth=0"), where
        assert page.locator("img").count() == 0 and page.title() == f"{hostile}: results"
        assert visit.faults == []


def test_every_command_on_the_page_runs_as_it_stands(measured, tmp_path):
    folder = copied(measured[0], tmp_path / "copy")
    commands = read_data_block(folder / "tables/tiny-test.html", "evidence")["commands"]
    for of in [*commands["table"], *commands["rows"]["bm25"]]:
        python, flag, *arguments = shlex.split(of["line"])
        assert (python, flag) == ("python", "-m")
        java = arguments[0] in ("repro.export", "repro.pyserini")
        succeed(*arguments, cwd=folder, by=run if java else run_here, HF_HUB_OFFLINE="1")
    ours, pyserinis = (read_run(folder / f"runs/{name}.tiny-test.bm25.trec") for name in ("run", "pyserini"))
    assert {query: [*docs] for query, docs in ours.items()} == {
        query: [*docs] for query, docs in pyserinis.items()
    }
