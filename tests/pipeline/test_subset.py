"""Collections cut down to given ids: from ir_datasets, from folders, and the recipe that ships."""

import gzip
import io
import json
from pathlib import Path

import ir_datasets
import pytest
from conftest import real_collection, refused, run_here, succeed, write_beir
from ir_datasets.datasets.base import Dataset
from ir_datasets.datasets.msmarco_passage import FixEncoding
from ir_datasets.formats import TrecQrels, TsvDocs, TsvQueries
from ir_datasets.util import LocalDownload

from repro import subset
from repro.base.errors import InputError
from repro.collections.beir import BeirFolder
from repro.collections.opening import open_collection
from repro.collections.subsets import FOLDER, read_subset


@pytest.fixture
def register(monkeypatch, tmp_path):
    """A function that makes ir_datasets know an id, from lines of documents, queries and judgments."""

    def make(identifier: str, docs: str, queries: str, qrels: str) -> None:
        parts = []
        for kind, text in {"docs": docs, "queries": queries, "qrels": qrels}.items():
            path = tmp_path / f"{identifier.replace('/', '-')}.{kind}"
            path.write_text(text, encoding="utf-8")
            parts.append(LocalDownload(path))
        dataset = Dataset(TsvDocs(parts[0]), TsvQueries(parts[1]), TrecQrels(parts[2], {}))
        monkeypatch.setitem(ir_datasets.registry._registered, identifier, dataset)

    monkeypatch.chdir(tmp_path)
    return make


def test_an_ir_datasets_id_is_cut_to_documents_and_queries(register, tmp_path, capsys):
    register(
        "tiny/train",
        "1\tThe sea rises.\n2\tBread  rises.\n3\tSalt.\n4\tIron rusts.\n",
        "10\twhy does the sea rise\n11\twhat makes bread rise\n12\twhat is salt\n13\twhy rust\n",
        "10 0 1 1\n10 0 3 0\n11 0 2 2\n11 0 4 1\n12 0 3 1\n13 0 4 1\n",
    )
    Path("ids.txt").write_text("3\n2\n\n2\n")
    Path("queries.txt").write_text("11\n10\n")
    command = ["--collection", "tiny/train", "--documents", "ids.txt", "--name", "cut"]
    assert subset.main([*command, "--queries", "queries.txt"]) == 0
    folder = Path(capsys.readouterr().out.strip())
    assert folder == Path("work/subset/cut")
    records = [json.loads(line) for line in (folder / "corpus.jsonl").read_text().splitlines()]
    assert records == [
        {"_id": "2", "title": "", "text": "Bread  rises."},
        {"_id": "3", "title": "", "text": "Salt."},
    ]
    found = open_collection(str(folder))
    assert found.qrels() == {"10": {"3": 0}, "11": {"2": 2}}
    assert [query.id for query in found.queries()] == ["10", "11"]
    # Without a list, the queries are those of which a relevant document is left.
    subset.main(command)
    assert open_collection(capsys.readouterr().out.strip()).qrels() == {"11": {"2": 2}, "12": {"3": 1}}


def test_it_is_made_anew_when_anything_of_it_has_changed(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_beir(tmp_path / "all")
    Path("ids.txt").write_text("d1\nd2\n")

    def made():
        assert subset.main(["--collection", "all", "--documents", "ids.txt"]) == 0
        folder = Path(capsys.readouterr().out.strip())
        return folder.stat().st_ino, open_collection(str(folder))

    first, _ = made()
    assert made()[0] == first
    qrels = Path("all/qrels/test.tsv")
    qrels.write_text(qrels.read_text().replace("d1\t3", "d1\t1"))
    second, found = made()
    assert second != first and found.qrels()["q1"] == {"d1": 1}
    queries = Path("all/queries.jsonl")
    queries.write_text(queries.read_text().replace("rise and fall", "go up"))
    third, found = made()
    assert third != second and found.queries()[0].text == "why does the sea go up"


def test_the_table_takes_it_as_any_folder(tmp_path):
    write_beir(tmp_path / "all")
    (tmp_path / "ids.txt.gz").write_bytes(gzip.compress(b"d1\nd2\nd4\n"))
    folder = succeed(
        *("repro.subset", "--collection", "all", "--documents", "ids.txt.gz", "--name", "some"),
        cwd=tmp_path,
        by=run_here,
    ).strip()
    succeed("repro.table", "--collection", folder, "--systems", "bm25", cwd=tmp_path, by=run_here)
    table = json.loads((tmp_path / "tables/some-test.json").read_text())
    assert table["rows"][0]["queries"] == 2 and table["rows"][0]["figures"]["RR@10"] == 1.0


def test_bad_input_is_one_sentence(tmp_path):
    write_beir(tmp_path / "all")
    command = ["repro.subset", "--collection", "all", "--documents"]
    (tmp_path / "ids.txt").write_text("d1\nd7\n")
    assert "lacks 1 of 2 documents (d7)" in refused(*command, "ids.txt", cwd=tmp_path, by=run_here)
    (tmp_path / "pairs.txt").write_text("d1\nd2 d3\n")
    assert "pairs.txt, line 2: expected one id" in refused(*command, "pairs.txt", cwd=tmp_path, by=run_here)
    (tmp_path / "none.txt").write_text("\n")
    assert "no id in it" in refused(*command, "none.txt", cwd=tmp_path, by=run_here)
    assert "no such file" in refused(*command, "nowhere.txt", cwd=tmp_path, by=run_here)
    assert "no such file" in refused(*command, "ids.txt", "--texts", "none.tsv", cwd=tmp_path, by=run_here)
    message = refused(
        "repro.subset", "--recipe", "msmarco-mini", "--documents", "ids.txt", cwd=tmp_path, by=run_here
    )
    assert "--recipe msmarco-mini brings its own" in message
    assert "give --documents" in refused("repro.subset", "--collection", "all", cwd=tmp_path, by=run_here)
    assert "choose from msmarco-mini" in refused(
        "repro.subset", "--recipe", "none", cwd=tmp_path, by=run_here
    )
    (tmp_path / "ids.txt").write_text("d1\n")
    (tmp_path / "queries.txt").write_text("q1\nq9\n")
    message = refused(*command, "ids.txt", "--queries", "queries.txt", cwd=tmp_path, by=run_here)
    assert "no judgment of 1 of 2 queries (q9)" in message


def test_the_recipe_ships_numbers_only():
    recipe = read_subset("msmarco-mini")
    ids = {*recipe.documents, *(q for part in recipe.parts.values() for q in part.queries or ())}
    assert len(recipe.documents) == 46_044 and all(identifier.isdecimal() for identifier in ids)
    assert {name: len(part.queries or ()) for name, part in recipe.parts.items()} == {
        "dl19": 0,
        "dl20": 0,
        "test": 557,
        "train": 2105,
    }
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 200_000


def test_the_recipe_makes_msmarco_mini_of_raw_and_of_repaired_text(register, tmp_path, capsys):
    """From ir_datasets' own ids, here of the shared passages alone, through ir_datasets' own repair."""
    original = real_collection("msmarco-mini")
    queries = "".join(f"{q.id}\t{q.text}\n" for q in BeirFolder(original, "dl19").queries())
    raw = "".join(f"{d.id}\t{d.text}\n" for d in BeirFolder(original, "dl19").documents())
    Path("collection.tsv").write_text(raw + "9999999\tAnother passage.\n", encoding="utf-8")

    class Raw:
        def stream(self) -> io.BytesIO:
            return io.BytesIO(Path("collection.tsv").read_bytes())

    repaired = b"".join(FixEncoding(Raw())).decode()
    for identifier, splits in {
        "msmarco-passage": [],
        "msmarco-passage/trec-dl-2019/judged": ["dl19"],
        "msmarco-passage/trec-dl-2020/judged": ["dl20"],
        "msmarco-passage/dev/small": ["test", "train"],
    }.items():
        judged = [BeirFolder(original, split).qrels().items() for split in splits]
        lines = [f"{q} 0 {d} {g}\n" for part in judged for q, found in part for d, g in found.items()]
        register(identifier, repaired, queries, "".join(lines))

    assert subset.main(["--recipe", "msmarco-mini"]) == 0
    message = capsys.readouterr().err
    assert "as expected (repaired text)" in message and "warning" not in message
    assert subset.main(["--recipe", "msmarco-mini", "--texts", "collection.tsv"]) == 0
    output = capsys.readouterr()
    assert "as expected (raw text)" in output.err and "warning" not in output.err
    for split in ("dl19", "dl20", "test", "train"):
        made = BeirFolder(Path(output.out.strip()), split)
        assert made.qrels() == BeirFolder(original, split).qrels()
    assert {d.id: d.text for d in made.documents()} == {
        d.id: d.text for d in BeirFolder(original, "dl19").documents()
    }
    Path("collection.tsv").write_text(raw.replace("Fahrenheit", "Celsius", 1), encoding="utf-8")
    with pytest.raises(InputError, match="not those that msmarco-mini is known by"):
        subset.main(["--recipe", "msmarco-mini", "--texts", "collection.tsv"])
