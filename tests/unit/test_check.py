"""``python -m repro.table --check``: what was measured passes, and each change afterwards is told.

The stages' work is put in its place (``made_artifacts``); tests/pipeline/test_table.py checks a table of real
runs.
"""

import json
import shutil
from pathlib import Path

import pytest
from conftest import refused, run_here, succeed
from made_artifacts import FACTS, put, put_system

from repro.cli.options import CollectionOptions, WorkOptions
from repro.collections.beir import BeirFolder
from repro.collections.model import Collection
from repro.models.systems import find_system
from repro.models.weights import resolve
from repro.pipeline import checking, opening
from repro.pipeline.opening import open_artifacts

COMMAND = ["repro.table", "--collection", "tiny"]
RESULTS = {"q1": {"d1": 3.0, "d4": 2.0}, "q2": {"d6": 3.0, "d2": 2.0}, "q3": {"d3": 3.0}}
"""RR@10 of 1, 1/2 and 0."""
PAGE = (
    "before\n<!-- table tiny-test -->\n<!-- /table tiny-test -->\n<!-- published -->\n<!-- /published -->\n"
)


@pytest.fixture
def made(beir, monkeypatch):
    """A folder with the table of a tiny collection, and a page that shows it."""
    folder = beir.parent
    monkeypatch.chdir(folder)
    monkeypatch.delenv("REPRO_MODELS", raising=False)
    put_system("bm25", {query: RESULTS[query] for query in ("q1", "q2")})
    put_system("splade-tiny", RESULTS)
    Path("README.md").write_text(PAGE)
    table("--systems", "bm25,splade-tiny,splade-mini")
    return folder


def table(*options):
    """Run the command, which must succeed; all is there, so that it starts no stage."""
    return succeed(*COMMAND, *options, by=run_here, HF_HUB_OFFLINE="1")


def check(**environment):
    """Return the problems that a check prints; its exit code must fit them."""
    done = run_here(*COMMAND, "--check", HF_HUB_OFFLINE="1", **environment)
    assert done.returncode == int(bool(done.stdout)), done.stdout + done.stderr
    return done.stdout.splitlines()


def edit(path, old, new):
    """Replace a text that stands in a file once."""
    text = Path(path).read_text()
    assert text.count(old) == 1, text
    Path(path).write_text(text.replace(old, new))


def edit_manifest(path, **changes):
    manifest = json.loads(Path(path).read_text())
    Path(path).write_text(json.dumps(manifest | changes))


def edit_row(system, **changes):
    path = Path("tables/tiny-test.json")
    stored = json.loads(path.read_text())
    next(row for row in stored["rows"] if row["system"] == system).update(changes)
    path.write_text(json.dumps(stored))


def contents(folder):
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_table_as_it_was_measured_passes_and_nothing_is_written(made):
    before = contents(made)
    done = run_here(*COMMAND, "--check", HF_HUB_OFFLINE="1")
    assert (done.returncode, done.stdout) == (0, "")
    assert "2 of 3 systems, 3 queries; every figure is as measured" in done.stderr
    assert contents(made) == before
    assert "| bm25 " in Path("README.md").read_text() and "0.5000" in Path("README.md").read_text()


def test_a_changed_score_in_a_run(made):
    edit("runs/run.tiny-test.splade-tiny.trec", "q2 Q0 d2 2 2 ", "q2 Q0 d2 2 4 ")
    problems = check()
    assert "splade-tiny: runs/run.tiny-test.splade-tiny.trec was changed after it was made" in problems[0]
    assert "splade-tiny: RR@10 is 0.5 in the table, and 0.6666666666666666 as measured" in problems
    assert all(problem.startswith("splade-tiny: ") for problem in problems)


def test_a_changed_score_that_changes_no_figure(made):
    edit("runs/run.tiny-test.splade-tiny.trec", "q2 Q0 d2 2 2 ", "q2 Q0 d2 2 1 ")
    assert any("was changed after it was made" in problem for problem in check())


def test_a_stale_run(made):
    edit("tiny/queries.jsonl", "what makes bread rise", "why does bread rise")
    problems = check()
    assert "bm25: runs/run.tiny-test.bm25.trec is stale: queries changed since it was made" in problems
    encoded = "work/encoded/tiny/splade-tiny.tiny-test.queries"
    told = f"splade-tiny: {encoded} is stale: queries changed since it was made"
    assert [problem for problem in problems if problem.startswith("splade-tiny: ")] == [told]


def test_a_run_that_was_made_anew_with_other_results(made):
    put_system("bm25", {"q1": {"d1": 1.0}, "q2": {"d2": 1.0}})
    problems = check()
    assert (
        "bm25: runs/run.tiny-test.bm25.trec.manifest.json is not the manifest that the table was made from"
        in (problems)
    )
    assert "bm25: RR@10 is 0.5 in the table, and 0.6666666666666666 as measured" in problems


def test_a_changed_manifest(made):
    path = "work/encoded/tiny/splade-tiny.manifest.json"
    edit_manifest(path, counts=FACTS | {"active_terms": 300})
    assert check() == [
        f"splade-tiny: {path} is not the manifest that the table was made from",
        "splade-tiny: document_terms is 100.0 in the table, and 50.0 as measured",
    ]
    edit_manifest(path, counts={})
    assert any(f"{path}: its counts cannot be read" in problem for problem in check())


def test_an_edited_figure_in_readme(made):
    lines = Path("README.md").read_text().splitlines()
    number = next(
        i for i, line in enumerate(lines, 1) if line.startswith("| splade-tiny") and "0.5000" in line
    )
    Path("README.md").write_text(
        "\n".join(lines).replace(lines[number - 1], lines[number - 1].replace("0.5000", "0.5100"))
    )
    (problem,) = check()
    assert problem == f"README.md, line {number}: splade-tiny has 0.5100 instead of 0.5000"
    table("--systems", "bm25,splade-tiny,splade-mini")  # writes the block anew
    assert not check()
    edit("README.md", "   30.9 |", "   31.9 |")
    assert [problem.split(": ")[1] for problem in check()] == ["splade-tiny has 31.9 instead of 30.9"]


def test_a_line_that_was_added_to_readme(made):
    edit("README.md", "\n<!-- /table tiny-test -->", "\n| splade-huge | splade |\n<!-- /table tiny-test -->")
    (problem,) = check()
    assert "README.md or docs/ shows splade-huge on tiny-test, and the table has no such row" in problem


def test_a_missing_query(made):
    """Taken out of the run, whose manifest is made to vouch for the rest."""
    from repro.base.files import sha256_file

    run = Path("runs/run.tiny-test.splade-tiny.trec")
    run.write_text("".join(line for line in run.read_text().splitlines(True) if not line.startswith("q1 ")))
    edit_manifest(f"{run}.manifest.json", sha256=sha256_file(run))
    problems = check()
    assert (
        f"splade-tiny: {run} lacks 1 judged query (q1), which it answered when the table was made" in problems
    )
    assert any("RR@10 is 0.5 in the table, and 0.16666666666666666 as measured" in p for p in problems)


def test_other_weights(made):
    other = made / "models" / "splade-tiny"
    shutil.copytree(resolve(find_system("splade-tiny")).path, other)
    assert not check(REPRO_MODELS=str(other.parent))  # the same, elsewhere
    edit(other / "config.json", '"hidden_act"', '"hidden_act_"')
    (problem,) = check(REPRO_MODELS=str(other.parent))
    assert problem.startswith("splade-tiny: other weights: SHA-256 ") and "when the table was made" in problem


def test_a_model_that_is_gone(made):
    shutil.copytree(resolve(find_system("splade-tiny")).path, "mine")
    put_system("splade:mine", RESULTS)
    twice = "bm25, splade-tiny, splade-mini, splade:mine, splade:./mine"
    assert "worse than splade.mine-" in table("--systems", twice, "--baseline", " splade:./mine")
    assert not check()
    shutil.rmtree("mine")
    (problem,) = check()
    assert problem.startswith("splade.mine-") and "--system splade:mine: there is no such folder" in problem


def test_a_system_that_combines_runs_stands_on_theirs(made):
    put_system("bm25+splade-tiny", RESULTS)
    table("--systems", "bm25,splade-tiny,splade-mini,bm25+splade-tiny")
    assert not check()
    edit("runs/run.tiny-test.bm25.trec", "q2 Q0 d2 2 2 ", "q2 Q0 d2 2 1 ")
    told = "runs/run.tiny-test.bm25.trec was changed after it was made: its SHA-256 is not its manifest's"
    assert check() == [
        f"bm25: {told}",
        "bm25: runs/run.tiny-test.bm25.trec is not the run that the table was made from",
        f"bm25+splade-tiny: {told}",
    ]


def test_other_judgments(made):
    edit("tiny/qrels/test.tsv", "q2\td2\t2", "q2\td6\t2")
    problems = check()
    assert problems[0] == "the judgments are not those that the table was made from"
    assert "bm25: RR@10 is 0.5 in the table, and 0.6666666666666666 as measured" in problems


def test_another_corpus(made):
    with open("tiny/corpus.jsonl", "a") as file:
        file.write('{"_id": "d7", "text": "new"}\n')
    (problem,) = check()  # nobody has read it since
    assert "the corpus was changed or moved since it was read" in problem
    open_artifacts("bm25", CollectionOptions("tiny"), WorkOptions(Path("work")))  # reads it
    problems = check()
    assert "the corpus is not the one that the table was made from" in problems[0]
    assert "bm25: work/indexes/lucene-bm25.tiny is stale: corpus changed since it was made" in problems


@pytest.mark.parametrize("suffix", ["md", "csv"])
def test_an_edited_file_of_the_table(made, suffix):
    path = Path(f"tables/tiny-test.{suffix}")
    path.write_text(path.read_text().replace("0.5", "0.6"))
    problems = check()
    assert problems and all(problem.startswith(f"{path}, line ") for problem in problems)
    path.unlink()
    assert check() == [f"{path} is missing or not UTF-8"]


def test_an_edited_table(made):
    edit_row("bm25", figures={"RR@10": 0.6, "nDCG@10": 0.6, "R@10": 0.6, "R@100": 0.6})
    problems = check()
    assert any(problem.startswith("bm25: RR@10 is 0.6 in the table, and 0.5") for problem in problems)
    assert any(problem.startswith("README.md, line ") for problem in problems)  # it has the measured figure


def test_an_edited_comparison(made):
    """Both systems have the same figure for each query; a difference was made up."""
    path = Path("tables/tiny-test.json")
    stored = json.loads(path.read_text())
    first = stored["comparisons"][0]
    assert (first["system"], first["other"], first["measure"]) == ("splade-tiny", "bm25", "RR@10")
    assert (first["mean"], first["p"], first["p_corrected"], first["mark"]) == (0.0, 1.0, 1.0, "")
    first |= {"mean": 0.25, "p_corrected": 0.01}
    path.write_text(json.dumps(stored))
    problems = check()
    assert problems[:2] == [
        "splade-tiny beside bm25, RR@10: mean is 0.25 in the table, and 0.0 as measured",
        "splade-tiny beside bm25, RR@10: p_corrected is 0.01 in the table, and 1.0 as measured",
    ]
    assert "tables/tiny-test.json: 'comparisons' is not what its rows give" in problems  # it lacks the mark
    assert any("tables/tiny-test.md, line " in problem and "▲" in problem for problem in problems)
    stored["comparisons"] = stored["comparisons"][1:]
    path.write_text(json.dumps(stored))
    assert (
        "the systems that are compared are not those of the rows, the baseline and the correction" in check()
    )


def test_a_baseline_that_was_not_run_leaves_a_table_without_comparisons(made):
    printed = table("--systems", "bm25,splade-tiny,splade-mini", "--baseline", "splade-mini")
    assert "Nothing was compared: the baseline splade-mini was not run." in printed
    assert "significantly" not in printed and "0.5000" in printed
    stored = json.loads(Path("tables/tiny-test.json").read_text())
    assert (stored["baseline"], stored["comparisons"]) == ("splade-mini", [])
    assert not check()


def test_a_system_without_weights_has_no_figure_even_if_a_run_lies_there(made):
    """Of splade-mini, whose weights cannot be had, a run is there, of another day or another hand."""
    run = Path("runs/run.tiny-test.splade-mini.trec")
    shutil.copy("runs/run.tiny-test.splade-tiny.trec", run)
    shutil.copy("runs/run.tiny-test.splade-tiny.trec.manifest.json", f"{run}.manifest.json")
    printed = table("--systems", "bm25,splade-tiny,splade-mini")
    assert "splade-mini not run: no weights" in printed
    rows = {row["system"]: row for row in json.loads(Path("tables/tiny-test.json").read_text())["rows"]}
    figures = ("parameters", "figures", "intervals", "document_terms", "query_terms", "index_bytes")
    figures += ("queries", "queries_per_second", "run", "run_sha256", "weights")
    assert not any(rows["splade-mini"][name] for name in figures)
    assert all(rows["splade-tiny"][name] for name in figures) and rows["bm25"]["status"] == "measured"
    assert not check()
    edit_row("splade-mini", figures={"RR@10": 0.332})
    assert "splade-mini: it has figures, but was not run" in check()


def test_a_lost_index_and_a_lost_run(made):
    shutil.rmtree("work/indexes/lucene-bm25.tiny")
    Path("runs/run.tiny-test.splade-tiny.trec").unlink()
    problems = check()
    assert any("bm25: work/indexes/lucene-bm25.tiny is missing" in problem for problem in problems)
    assert any(
        "splade-tiny: runs/run.tiny-test.splade-tiny.trec is missing" in problem for problem in problems
    )


def test_options_are_the_tables(made):
    """Of a table with other options, all is checked with these; a page does not show it."""
    put_options = ["--systems", "bm25", "--k1", "0.82"]
    assert "repro.search" in table(*put_options, "--dry-run")
    stored = json.loads(Path("tables/tiny-test.json").read_text())
    stored["options"]["bm25"]["k1"] = 0.82
    Path("tables/tiny-test.json").write_text(json.dumps(stored))
    problems = check()
    assert "bm25: runs/run.tiny-test.bm25.trec is stale: k1 changed since it was made" in problems
    message = refused(*COMMAND, "--check", *put_options, by=run_here)
    assert "--check takes systems, measures and options from the table" in message


def test_no_table_and_one_of_an_older_version_are_refused(made):
    path = Path("tables/tiny-test.json")
    stored = json.loads(path.read_text())
    path.write_text(json.dumps(stored | {"correction": "none"}))
    written = "no table as this version writes it"
    assert f"{written} (ValueError: correction 'none')" in refused(*COMMAND, "--check", by=run_here)
    del stored["judgments"]
    path.write_text(json.dumps(stored))
    assert f"{written} (KeyError: 'judgments')" in refused(*COMMAND, "--check", by=run_here)
    path.unlink()
    assert "no table there; make it first" in refused(*COMMAND, "--check", by=run_here)


class Elsewhere(BeirFolder):
    """The tiny collection as if it were one of ir_datasets'."""

    local = False


def test_a_figure_that_fails_against_the_published_one(made, monkeypatch):
    """The table has the verdict beside it; the check ends with 1."""

    def open_dev(*_arguments, **_options):
        return Collection("dev", "tiny", Elsewhere(made / "tiny", "test"))

    for module in (opening, checking):
        monkeypatch.setattr(module, "open_collection", open_dev)
    command = ["repro.table", "--collection", "msmarco-passage/dev"]
    of = open_artifacts("bm25", CollectionOptions("msmarco-passage/dev"), WorkOptions(Path("work")))
    put(of.run, RESULTS, queries_per_second=1000.0)
    printed = succeed(*command, "--systems", "bm25", by=run_here)
    line = next(line for line in printed.splitlines() if "| bm25 " in line and "readme" in line)
    assert [cell.strip() for cell in line.split("|")[2:9]] == [
        *("RR@10", "0.5000", "0.180", "+0.3200", "FAIL", "± 0.0005", "± 0.0050")
    ]
    assert "Measured on msmarco-passage/dev: 3 judged queries, text repaired by ir_datasets." in printed
    assert "The reproduced README's own sentences, and whether" in Path("tables/dev.md").read_text()
    stored = json.loads(Path("tables/dev.json").read_text())
    cell = next(cell for cell in stored["published"] if cell["system"] == "bm25")
    assert (cell["verdict"], cell["queries"], cell["published_text"]) == ("FAIL", 3, "not stated")
    done = run_here(*command, "--check")
    assert done.returncode == 1
    assert done.stdout.splitlines()[0] == (
        "bm25: FAIL: RR@10 is 0.5000, 0.180 by readme; the difference may be 0.005 at most"
    )
