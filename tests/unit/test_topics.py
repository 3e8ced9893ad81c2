"""``--topics``: several query sets over one corpus, which is encoded and indexed once, in one table.

The stages' work is put in its place (``made_artifacts``); tests/pipeline/test_irds.py has real runs.
"""

import csv
import json
from pathlib import Path

import ir_datasets
import pytest
from conftest import QRELS, refused, run_here, succeed
from ir_datasets.datasets.base import Dataset
from ir_datasets.formats import TrecQrels, TsvDocs, TsvQueries
from ir_datasets.util import LocalDownload
from made_artifacts import put_system

from repro.cli.stages import Stage, StageFailed
from repro.collections.model import Collection
from repro.collections.opening import joint_label, open_collection
from repro.collections.scan import CorpusSummary
from repro.evaluation.measures import parse_measures
from repro.report import joint
from repro.report.results import Row, Table

COMMAND = ["repro.table", "--collection", "tiny", "--topics", "test,dl19"]
SYSTEMS = ["--systems", "bm25,splade-tiny,splade-mini"]
JOINT = "tiny-dl19+test"
TEST = {"q1": {"d1": 3.0, "d4": 2.0}, "q2": {"d6": 3.0, "d2": 2.0}, "q3": {"d3": 3.0}}
"""RR@10 of 1, 1/2 and 0."""
DL19 = {"q1": {"d4": 3.0, "d1": 2.0}, "q2": {"d2": 2.0}}
"""RR(rel=2)@10 of 1/2 and 1."""
QUERIES_PER_SECOND = [f"{name} {rate}" for name in "ab" for rate in ("queries/s", "with encoding")]
PAGE = "".join(
    f"<!-- {block} -->\n<!-- /{block} -->\n"
    for block in (f"table {JOINT}", "table tiny-test", "table tiny-dl19")
)


@pytest.fixture
def folder(beir, monkeypatch) -> Path:
    """A folder with a collection of two query sets, of which the second is a Deep Learning track's."""
    lines = ["query-id\tcorpus-id\tscore", *("\t".join(map(str, judgment)) for judgment in QRELS[:2])]
    (beir / "qrels" / "dl19.tsv").write_text("\n".join([*lines, "q1\td4\t1"]))
    monkeypatch.chdir(beir.parent)
    monkeypatch.delenv("REPRO_MODELS", raising=False)
    return beir.parent


@pytest.fixture
def made(folder) -> str:
    """What the table of both query sets prints."""
    for split, results in {"test": TEST, "dl19": DL19}.items():
        for system in ("bm25", "splade-tiny"):
            put_system(system, results, split=split)
    Path("README.md").write_text(PAGE)
    return succeed(*COMMAND, *SYSTEMS, by=run_here, HF_HUB_OFFLINE="1")


def check(topics: str = "test,dl19") -> list[str]:
    """Return the problems that a check prints; its exit code must fit them."""
    done = run_here(*COMMAND[:-1], topics, "--check", HF_HUB_OFFLINE="1")
    assert done.returncode == int(bool(done.stdout)), done.stdout + done.stderr
    return done.stdout.splitlines()


def edit(path: str, old: str, new: str) -> None:
    """Replace a text that stands in a file once."""
    text = Path(path).read_text()
    assert text.count(old) == 1, text
    Path(path).write_text(text.replace(old, new))


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|\n").split("|")]


def test_one_table_has_each_sets_own_measures_and_counts(made):
    caption, _, header, _, *lines = made.splitlines()
    assert caption == f"{JOINT}, judged queries: 3 of test, 2 of dl19"
    measures = [f"test {measure}" for measure in ("RR@10", "nDCG@10", "R@10")]
    graded = [f"dl19 {name}" for name in ("nDCG@10", "RR(rel=2)@10", "AP(rel=2)", "R(rel=2)@10")]
    assert cells(header) == ["system", "type", "parameters", *measures, *graded, "terms/doc", "index"]
    rows = {cells(line)[0]: dict(zip(cells(header), cells(line))) for line in lines[:3]}
    assert rows["splade-tiny"]["test RR@10"] == "0.5000"
    assert rows["splade-tiny"]["dl19 RR(rel=2)@10"] == "0.7500"
    assert rows["splade-mini"]["test RR@10"] == rows["splade-mini"]["dl19 nDCG@10"] == "not run"
    assert made.count("- splade-mini not run: no weights") == 1
    stored = json.loads(Path(f"tables/{JOINT}.json").read_text())
    assert {name: of["queries"] for name, of in stored["topics"].items()} == {"test": 3, "dl19": 2}
    with open(f"tables/{JOINT}.csv", newline="") as file:
        by_row = {(row["topics"], row["system"]): row for row in csv.DictReader(file)}
    assert by_row["dl19", "bm25"]["RR(rel=2)@10"] == "0.75" and not by_row["dl19", "bm25"]["RR@10"]
    assert "- splade-tiny equals bm25 (nDCG@10)" in Path(f"tables/{JOINT}.md").read_text()


def test_each_set_has_its_own_table_and_pages_show_both_and_the_joint_one(made):
    assert sorted(path.name for path in Path("tables").glob("*.json")) == [
        *(f"{JOINT}.json", "tiny-dl19.json", "tiny-test.json")
    ]
    page = Path("README.md").read_text().split("<!-- table ")[1:]
    both, test, dl19 = (part.splitlines()[1] for part in page)
    assert "index" not in cells(both) and "dl19 nDCG@10" in cells(both)
    assert "nDCG@10" in cells(test) and "RR(rel=2)@10" in cells(dl19)
    assert "tiny-dl19, 2 judged queries" in Path("tables/tiny-dl19.md").read_text()


def test_one_query_set_has_its_own_table_and_no_joint_one(folder):
    put_system("bm25", DL19, split="dl19")
    printed = succeed(*COMMAND[:-1], "dl19", "--systems", "bm25", by=run_here)
    assert printed.startswith("tiny-dl19, 2 judged queries\n")
    assert [path.name for path in Path("tables").glob("*.json")] == ["tiny-dl19.json"]
    assert not check("dl19")


def test_check_compares_each_set_and_the_joint_table(made):
    assert not check() and not check("dl19,test")
    edit("runs/run.tiny-dl19.bm25.trec", "q1 Q0 d1 2 2 ", "q1 Q0 d1 2 4 ")
    problems = check()
    assert "dl19: bm25: runs/run.tiny-dl19.bm25.trec was changed after it was made" in problems[0]
    assert "dl19: bm25: RR(rel=2)@10 is 0.75 in the table, and 1.0 as measured" in problems
    assert all(problem.startswith("dl19: bm25: ") for problem in problems)
    Path("tables/tiny-test.csv").unlink()
    Path("tables/tiny-dl19.json").unlink()
    done = run_here(*COMMAND, "--check", HF_HUB_OFFLINE="1")
    assert done.returncode == 2 and "tiny-dl19.json: no table there" in done.stderr
    assert done.stdout == "test: tables/tiny-test.csv is missing or not UTF-8\n"


def test_an_edited_joint_table_is_told(made):
    edit("README.md", PAGE.splitlines()[1], f"| splade-huge |\n{PAGE.splitlines()[1]}")
    assert check() == [
        f"README.md or docs/ shows splade-huge on {JOINT}, and the table has no such row, or it failed; make "
        "it with them"
    ]
    edit("README.md", "| splade-huge |\n", "")
    text = Path(f"tables/{JOINT}.md")
    text.write_text(text.read_text().replace("0.7500", "0.8500", 1))
    assert check() == [f"{text}, line 5: bm25 has 0.8500 instead of 0.7500"]
    path = Path(f"tables/{JOINT}.json")
    stored = json.loads(path.read_text())
    stored["rows"][0]["figures"]["RR@10"] = 0.6
    path.write_text(json.dumps(stored))
    assert f"{path}: 'rows' is not what the tables of its query sets give" in check()
    stored["topics"].pop("dl19")
    path.write_text(json.dumps(stored))
    message = refused(*COMMAND, "--check", by=run_here)
    assert "it is of tiny-test, and --topics names tiny-test, tiny-dl19; give those" in message
    path.unlink()
    assert "no table there; make it first" in refused(*COMMAND, "--check", by=run_here)


@pytest.mark.parametrize("force", [[], ["--force"]])
def test_the_corpus_is_encoded_and_indexed_once(folder, force):
    printed = succeed(*COMMAND, "--systems", "bm25,splade-tiny", "--dry-run", *force, by=run_here)
    lines = [line.split() for line in printed.splitlines()]
    modules = {split: [line[2] for line in lines if split in line] for split in ("test", "dl19")}
    assert modules == {
        "test": ["repro.index", "repro.search", "repro.encode", "repro.index", "repro.search"],
        "dl19": ["repro.search", "repro.encode", "repro.search"],
    }
    assert [("--only" in line) for line in lines if line[2] == "repro.encode"] == [False, True]
    assert all(set(force) <= set(line) for line in lines)


@pytest.mark.parametrize(
    "systems", ["bm25, splade-tiny, splade-doc:splade-tiny", "splade-doc:splade-tiny,bm25+splade-tiny"]
)
def test_systems_of_one_index_encode_the_corpus_once(folder, systems):
    printed = succeed(*COMMAND, "--systems", systems, "--dry-run", "--force", by=run_here)
    encode = [line for line in printed.splitlines() if "repro.encode" in line]
    assert [line for line in encode if "--only queries" not in line] == [
        "python -m repro.encode --collection tiny --split test --system splade-tiny --force"
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--topics", "test,dl20"], "has no split 'dl20'; choose --split from: dl19, none, test"),
        (["--topics", "test,none"], "tiny-none has no judged query to search with"),
        (["--topics", "test,"], "expected names between commas, as dl19,dl20"),
        (["--topics", "test", "--split", "test"], "contradict each other"),
    ],
)
def test_what_cannot_be_measured_is_refused_before_any_work(folder, options, message):
    (folder / "tiny/qrels/none.tsv").write_text("query-id\tcorpus-id\tscore\nq9\td1\t1\n")
    assert message in refused("repro.table", "--collection", "tiny", *options, by=run_here)
    assert not list(folder.glob("work/collections/*/summary.json"))


def test_a_system_that_failed_is_not_tried_on_the_next_set(folder, monkeypatch):
    tried = []

    def fail(stage):
        tried.append(stage.module)
        raise StageFailed("repro.index ended with exit code 9 (see above)")

    monkeypatch.setattr(Stage, "run", fail)
    done = run_here(*COMMAND, "--systems", "bm25", "--keep-going")
    assert (done.returncode, tried) == (1, ["repro.index"])
    assert done.stdout.count("bm25 not run: repro.index ended with exit code 9") == 1


def test_a_system_that_failed_on_one_set_is_measured_where_its_run_is_current(made, monkeypatch):
    """It is told where it failed, and blocks of pages that show its figures stay."""

    def fail(stage):
        raise StageFailed(f"{stage.module} failed")

    monkeypatch.setattr(Stage, "run", fail)
    Path("runs/run.tiny-test.splade-tiny.trec").unlink()
    page = Path("README.md").read_text()
    done = run_here(*COMMAND, *SYSTEMS, "--keep-going", HF_HUB_OFFLINE="1")
    assert done.returncode == 1
    header, row = (cells(done.stdout.splitlines()[line]) for line in (2, 5))
    figures = dict(zip(header, row))
    assert (figures["test RR@10"], figures["test nDCG@10"]) == ("not run", "–")
    assert figures["dl19 RR(rel=2)@10"] == "0.7500"
    lines = done.stdout.splitlines()
    assert "- test: splade-tiny not run: repro.search failed" in lines
    assert any(line.startswith("- splade-mini not run: no weights") for line in lines)
    assert "test: Nothing was compared." in lines
    assert any(line.startswith("dl19: ▲ ▼ significantly better, worse than bm25") for line in lines)
    assert Path("README.md").read_text() == page
    assert "not run" in Path("tables/tiny-test.md").read_text()
    told = "shows splade-tiny on tiny-test, and the table has no such row, or it failed"
    assert any(problem.startswith("test: README.md") and told in problem for problem in check())


def test_a_joint_table_takes_no_sets_name(tmp_path):
    """The sample's test queries are called sample, as their corpus is."""
    sets = [open_collection("sample", split) for split in ("test", "train")]
    assert joint_label("sample", sets, tmp_path) == "sample+train"
    assert joint_label("sample", sets[::-1], tmp_path) == "sample+train"


def test_a_joint_table_of_many_sets_has_a_name_that_fits_a_file(tmp_path):
    source = open_collection("sample").source
    sets = [Collection(f"sample-{number:040}", "sample", source) for number in range(9)]
    names = {joint_label("sample", of, tmp_path) for of in (sets, sets[:8], sets[::-1])}
    assert len(names) == 2 and all(f"{sets[0].name}+" in name and len(name) < 100 for name in names)


@pytest.mark.parametrize(
    ("columns", "shown"),
    [
        (["index"], ["index"]),
        (["flops", "parameters"], ["a FLOPS", "b FLOPS", "parameters"]),
        (["measures", "queries-per-second"], ["a AP", "b RR", *QUERIES_PER_SECOND]),
    ],
)
def test_columns_are_those_that_were_asked_for(columns, shown):
    """What depends on the queries for each set, all else once."""
    rows = [
        Row("bm25", "bm25", "measured", figures={"AP": 0.5, "RR": 0.75}, queries_per_second=20.0),
        Row("splade-mini", "splade", "not run", "no weights"),
    ]
    tables = {
        name: Table(
            f"tiny-{name}", 2, parse_measures([of]), rows, CorpusSummary(6, 0, ""), columns=(*columns,)
        )
        for name, of in {"a": "AP", "b": "RR"}.items()
    }
    _, _, header, _, bm25, mini, *_ = joint.printed(joint.JointTable(JOINT, tables)).splitlines()
    assert cells(header) == ["system", "type", *shown]
    assert "not run" in cells(mini) and "not run" not in cells(bm25)


class Documented:
    """The documentation of an ir_datasets id, which states its measures."""

    def __init__(self, identifier: str) -> None:
        self.documentation = ir_datasets.registry._registered[identifier].documentation


@pytest.fixture
def msmarco(tmp_path, monkeypatch) -> None:
    """MS MARCO's ids, with three passages and their own documentation."""
    monkeypatch.chdir(tmp_path)
    Path("docs.tsv").write_text("d1\tThe sea rises.\nd2\tYeast makes bread rise.\nd3\tSalt.\n")
    Path("queries.tsv").write_text("q1\twhen does the sea rise\nq2\twhy bread rises\n")
    docs = TsvDocs(LocalDownload(Path("docs.tsv")), namespace="msmarco-passage")
    monkeypatch.setitem(ir_datasets.registry._registered, "msmarco-passage", Dataset(docs))
    for name in ("dev", "dev/small", "trec-dl-2019/judged", "trec-dl-2020/judged"):
        identifier, qrels = f"msmarco-passage/{name}", Path(f"{name.replace('/', '-')}.txt")
        qrels.write_text("q1 0 d1 1\nq2 0 d2 3\n")
        parts = TsvQueries(LocalDownload(Path("queries.tsv"))), TrecQrels(LocalDownload(qrels), {})
        dataset = Dataset(docs, *parts, Documented(identifier))
        monkeypatch.setitem(ir_datasets.registry._registered, identifier, dataset)


def test_ms_marco_dev_and_trec_dl_stand_together_with_what_was_published(msmarco):
    names = {"dev": "dev", "dev/small": "dev/small"}
    names |= {f"dl{year}": f"trec-dl-20{year}/judged" for year in (19, 20)}
    for name in names.values():
        put_system("bm25", {"q1": {"d3": 2.0, "d1": 1.0}, "q2": {"d2": 1.0}}, f"msmarco-passage/{name}")
    topics = ["--collection", "msmarco-passage", "--topics", ",".join(names)]
    printed = succeed("repro.table", *topics, "--systems", "bm25", by=run_here)
    counts = ", ".join(f"2 of {name}" for name in names)
    name = "msmarco-passage-dev+dev-small+trec-dl-2019-judged+trec-dl-2020-judged"
    assert printed.startswith(f"{name}, judged queries: {counts}\n")
    header, row = (cells(line) for line in printed.splitlines()[2:5:2])
    figures = dict(zip(header, row))
    assert [figures[f"{name} RR@10"] for name in ("dev", "dev/small")] == ["0.7500"] * 2
    assert [figures[f"{name} RR(rel=2)@10"] for name in ("dl19", "dl20")] == ["0.5000"] * 2
    beside = [part.split("Published")[0] for part in printed.split("Published beside measured, ")]
    small, dl19 = (
        next(part for part in beside if part.startswith(f"{name}:")) for name in ("dev/small", "dl19")
    )
    assert [cells(line)[1:4] for line in small.splitlines() if "| bm25 " in line] == [
        ["RR@10", "0.75000", "0.1840"],
        ["R@1000", "–", "0.8526"],
    ]
    rows = [cells(line)[:4] for line in dl19.splitlines() if line.startswith("| ")][2:]
    assert [row[:2] + row[3:] for row in rows] == [
        [system, measure, figure]
        for system, figures in (
            ("bm25", ("0.3013", "0.5058", "0.7501")),
            ("splade-v3", ("0.5231", "0.7264", "0.8791")),
        )
        for measure, figure in zip(("AP(rel=2)", "nDCG@10", "R(rel=2)@1000"), figures)
    ]
    assert "Measured on msmarco-passage/trec-dl-2019/judged: 2 judged queries, text repaired" in dl19
    other = ["--topics", "dl20,trec-dl-2019/judged,dev/small,dev"]  # the same ones
    done = run_here("repro.table", *topics[:2], *other, "--check")
    assert done.returncode == 1 and "dl19: bm25: FAIL: nDCG@10 is " in done.stdout
    assert all("FAIL: " in line for line in done.stdout.splitlines()), done.stdout


def test_sets_over_different_corpora_are_refused(msmarco, monkeypatch):
    docs = TsvDocs(LocalDownload(Path("docs.tsv")), namespace="elsewhere")
    elsewhere = Dataset(docs, *ir_datasets.load("msmarco-passage/dev")._constituents[1:3])
    monkeypatch.setitem(ir_datasets.registry._registered, "msmarco-passage/elsewhere", elsewhere)
    topics = ["--topics", "dev,elsewhere", "--systems", "bm25"]
    message = refused("repro.table", "--collection", "msmarco-passage", *topics, by=run_here)
    assert "are over different corpora" in message
