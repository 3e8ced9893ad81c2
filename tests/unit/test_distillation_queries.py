"""Which queries are distilled, and which are set aside as a collection of their own."""

import json

import numpy as np
import pandas as pd
import pytest
from conftest import refused, run_here, succeed, write_beir

from repro.cli.options import CollectionOptions, WorkOptions
from repro.cli.training_options import DistillationOptions
from repro.collections.opening import open_collection
from repro.distillation import held_out, scoring
from repro.distillation.held_out import relevant
from repro.distillation.selection import folder_suffix, select

QUERIES, DOCUMENTS = 40, 60
COMMAND = ["repro.distill", "--collection", "mine", "--teacher", "dense:all-minilm-l6-v2"]
RUN = [*COMMAND, "--negatives-from", "run.txt,other.txt"]


class Light:
    """A bi-encoder that costs nothing."""

    def encode_queries(self, texts):
        return np.array([[len(text), 1] for text in texts], np.float32)

    encode_documents = encode_queries


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """A collection whose queries share relevant passages with their neighbours, two runs, a light teacher."""
    judgments = [
        (f"q{i}", f"d{i + step}", grade) for i in range(QUERIES) for step, grade in ((0, 1), (1, 2), (9, 0))
    ]
    documents = [(f"d{i}", "", f"passage {i} about subject {i * i} and no other") for i in range(DOCUMENTS)]
    documents.append(("nothing", "", ""))
    write_beir(tmp_path / "mine", documents, [(f"q{i}", f"which is {i}") for i in range(QUERIES)], judgments)
    for name, step in (("run.txt", 7), ("other.txt", 11)):
        lines = [
            f"q{q} Q0 d{(q + step * i) % DOCUMENTS} {i + 1} {50 - i} x\n"
            for q in range(QUERIES)
            for i in range(30)
        ]
        (tmp_path / name).write_text("".join(lines))
    monkeypatch.setattr(scoring, "bi_encoder", lambda teacher, threads: Light())
    return tmp_path


def choose(folder, collection="mine", **options):
    work = WorkOptions(folder / "work")
    return select(CollectionOptions(str(folder / collection)), DistillationOptions(**options), work)


def test_no_row_has_a_held_out_query_or_what_is_relevant_to_it(mine):
    made = mine / succeed(*RUN, "--held-out", "6", "--positives", "2", cwd=mine, by=run_here).strip()
    assert made.name == "mine-test.all-minilm-l6-v2.held-out-6"
    whole, aside = open_collection(str(mine / "mine")), open_collection(str(made / "held-out"))
    held_out = aside.qrels()
    assert len(held_out) == 6 and held_out == {query: whole.qrels()[query] for query in held_out}
    assert aside.queries() == [query for query in whole.queries() if query.id in held_out]
    texts = {document.id: document.text for document in whole.documents()}
    rows = pd.read_parquet(made / "part-00000.parquet")
    assert not set(rows["query_id"]) & held_out.keys()
    assert not set(rows["positive"]) & {texts[docid] for docid in relevant(held_out)}
    assert 2 * (QUERIES - 6) > len(rows) > QUERIES - 6  # neighbours of a held-out query keep one positive
    command = [*RUN, "--held-out", "6", "--positives", "2", "--output", "again"]
    succeed(*command, "--seed", "43", cwd=mine, by=run_here)
    assert open_collection(str(mine / "again/held-out")).qrels().keys() != held_out.keys()


def test_the_pool_is_what_is_judged_and_what_each_run_ranks_first(mine):
    made = mine / succeed(*RUN, "--held-out", "3", "--depth", "4", cwd=mine, by=run_here).strip()
    aside = open_collection(str(made / "held-out"))
    expected = {docid for judged in aside.qrels().values() for docid in judged}
    for query in aside.qrels():
        number = int(query[1:])
        expected |= {f"d{(number + step * i) % DOCUMENTS}" for step in (7, 11) for i in range(4)}
    documents = open_collection(str(mine / "mine")).documents()
    assert list(aside.documents()) == [document for document in documents if document.id in expected]
    assert json.loads(made.with_name(f"{made.name}.manifest.json").read_text())["counts"]["held_out"] == 3


def test_a_pool_that_is_large_enough_takes_no_further_ranks(monkeypatch):
    monkeypatch.setattr(held_out, "POOL", 7)
    monkeypatch.setattr(held_out, "LEAST_DEPTH", 1)
    qrels = {"q1": {"judged": 1, "a0": 0}, "q2": {"b0": 2}}
    one = {"q1": ["a0", "a1", "a2", "a3"], "q2": ["b0", "b1", "b2"], "q3": ["not asked for"]}
    other = {"q1": ["c0", "c1", "c2", "c3"]}
    first = {"judged", "a0", "b0", "c0"}
    assert held_out.pooled(qrels, [one, other], 9) == first | {"a1", "b1", "c1"}
    monkeypatch.setattr(held_out, "POOL", 6)
    assert held_out.pooled(qrels, [one, other], 9) == first
    monkeypatch.setattr(held_out, "LEAST_DEPTH", 2)
    assert held_out.pooled(qrels, [one, other], 9) == first | {"a1", "b1", "c1"}
    monkeypatch.setattr(held_out, "POOL", 99)
    assert held_out.pooled(qrels, [one, other], 3) == first | {"a1", "b1", "c1", "a2", "b2", "c2"}


def test_too_few_judged_queries_leave_half_or_are_all_held_out(mine, capsys):
    assert len(choose(mine, held_out=30).held_out) == QUERIES // 2
    assert "20 queries are held out, not 30: 40 have a relevant document" in capsys.readouterr().err
    selection = choose(mine, held_out=50, queries_from=("passages",), rows=10)
    assert len(selection.held_out) == QUERIES
    collection = selection.corpus.collection
    own = {query: judged for query, judged in collection.qrels().items() if query.startswith("from.")}
    assert len(own) == 10 and not relevant(own) & relevant(open_collection(str(mine / "mine")).qrels())


def test_drawn_queries_fill_up_what_is_judged_and_not_held_out(mine):
    selection = choose(mine, held_out=5, queries_from=("judgments", "passages"), rows=60)
    collection = selection.corpus.collection
    whole = open_collection(str(mine / "mine")).qrels()
    tested = relevant({query: whole[query] for query in selection.held_out})
    trained = [q for q in whole.keys() - selection.held_out if relevant({q: whole[q]}) - tested]
    own = {query: judged for query, judged in collection.qrels().items() if query.startswith("from.")}
    assert len(own) == 60 - len(trained)
    assert collection.qrels() == whole | own and not relevant(own) & tested
    assert all(list(judged.values()) == [1] for judged in own.values())
    assert [query.id for query in collection.queries()] == [*whole, *own]
    assert choose(mine, queries_from=("passages",), rows=7).corpus.collection.qrels().keys() != own.keys()


def test_folders_of_other_numbers_stand_side_by_side():
    def suffix(**options):
        return folder_suffix(DistillationOptions(**options))

    assert suffix() == suffix(queries_from=("judgments",)) == ""
    assert suffix(held_out=3) == ".held-out-3"
    drawn = {"queries_from": ("judgments", "passages")}
    assert suffix(**drawn, held_out=3, rows=7) == ".judgments-passages.held-out-3.rows-7"
    assert suffix(**drawn, rows=8) == ".judgments-passages.rows-8"


def test_the_folder_of_drawn_queries_shares_the_corpus_and_is_made_once(mine):
    selection = choose(mine, queries_from=("passages",), rows=7)
    collection = selection.corpus.collection
    assert collection.corpus == open_collection(str(mine / "mine"), work=mine / "work").corpus == "mine"
    (folder,) = (path for path in (mine / "work/queries").iterdir() if path.is_dir())
    assert folder.name == "mine.passages.rows-7" and (folder / "qrels/train.tsv").is_file()
    before = (folder / "queries.jsonl").stat().st_mtime_ns
    assert (
        choose(mine, queries_from=("passages",), rows=7).corpus.collection.queries() == collection.queries()
    )
    assert (folder / "queries.jsonl").stat().st_mtime_ns == before
    choose(mine, queries_from=("passages",), rows=7, seed=1)
    other = folder.with_name(f"{folder.name}.seed-1")
    assert (other / "queries.jsonl").read_text() != (folder / "queries.jsonl").read_text()
    with open(mine / "mine/corpus.jsonl", "a") as file:
        file.write('{"_id": "new", "text": "a passage that was not there before"}\n')
    choose(mine, queries_from=("passages",), rows=7)
    assert (folder / "queries.jsonl").stat().st_mtime_ns != before


def test_titles_are_read_from_the_records(mine):
    write_beir(mine / "titled", [(f"d{i}", f"Title {i}", f"text {i}") for i in range(9)])
    selection = choose(mine, "titled", queries_from=("titles",), rows=9)
    queries = dict(selection.corpus.collection.queries())
    assert queries == {f"from.titles.d{i}": f"Title {i}" for i in range(9)}


def test_requests_that_cannot_be_met_are_refused_with_a_sentence(mine):
    def error(*options):
        return refused(*RUN, *options, cwd=mine, by=run_here)

    assert "--queries-from titles,clicks: expected one or more of" in error("--queries-from", "titles,clicks")
    assert "each once" in error("--queries-from", "titles,titles")
    assert "--rows 9: it counts queries with those that are drawn" in error("--rows", "9")
    assert "--held-out -1: expected a whole number" in error("--held-out", "-1")
    assert "--negatives 0: expected a whole number" in error("--negatives", "0")
    assert "run files have no results for queries that are yet to be drawn" in error(
        "--queries-from", "passages"
    )
    message = error("--split", "dev")
    assert "has no split 'dev'; choose --split from: test; or draw queries" in message
    assert "--queries-from passages" in message
    drawn = [*COMMAND, "--queries-from", "passages"]
    message = refused(*drawn, "--split", "dev", "--held-out", "5", cwd=mine, by=run_here)
    assert "has no split 'dev'" in message and "--held-out needs judged queries" in message
    message = refused(*drawn, "--collection", "beir/scifact/test", cwd=mine, by=run_here)
    assert "make one of beir/scifact/test with python -m repro.subset" in message
    assert not (mine / "work/distilled").exists()


def test_a_collection_without_text_or_with_one_judged_query_is_refused(mine):
    write_beir(
        mine / "short", [("d1", "", "too short"), ("d2", "", "as well")], [("q1", "a")], [("q1", "d1", 1)]
    )
    command = ["repro.distill", "--collection", "short", "--teacher", "dense:all-minilm-l6-v2"]
    error = refused(*command, "--queries-from", "passages", cwd=mine, by=run_here)
    assert "short: no query can be drawn from its passages; expected texts of 4 words or more" in error
    error = refused(*command, "--held-out", "1", cwd=mine, by=run_here)
    assert "--held-out 1: 1 judged queries have a relevant document, too few" in error
    judgments = [("q1", "d1", 1), ("q2", "d1", 1)]
    texts = [(f"d{i}", "", f"number {i}") for i in range(12)]
    write_beir(mine / "same", texts, [("q1", "a"), ("q2", "b")], judgments)
    command = [
        "repro.distill",
        "--collection",
        "same",
        "--teacher",
        "dense:all-minilm-l6-v2",
        "--negatives-from",
    ]
    error = refused(*command, "run.txt", "--held-out", "1", cwd=mine, by=run_here)
    assert "a relevant document that is not relevant to one held out; hold fewer out" in error


def test_data_of_other_settings_are_not_replaced_and_defaults_stay_current(mine):
    made = mine / succeed(*RUN, cwd=mine, by=run_here).strip()
    inputs = json.loads(made.with_name(f"{made.name}.manifest.json").read_text())["inputs"]
    assert not inputs.keys() & {"negatives", "queries_from", "rows", "held_out"}  # as they were before
    before = made.stat().st_mtime_ns
    succeed(*RUN, "--negatives", "8", "--held-out", "0", "--queries-from", "judgments", cwd=mine, by=run_here)
    assert made.stat().st_mtime_ns == before
    error = refused(*RUN, "--negatives", "9", cwd=mine, by=run_here)
    assert "was made by repro.distill with other settings (negatives)" in error
