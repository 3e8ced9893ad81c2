"""Collections of one name, and splits, from the command line: figures that are each collection's own."""

import json

from conftest import refused, run_here, succeed, write_beir

BM25 = ["repro.table", "--systems", "bm25", "--collection"]


def rr(folder, name):
    (row,) = json.loads((folder / "tables" / f"{name}.json").read_text())["rows"]
    return row["figures"]["RR@10"]


def test_two_folders_of_one_name_share_nothing(tmp_path):
    write_beir(tmp_path / "a" / "nq")
    write_beir(tmp_path / "b" / "nq", qrels=[("q1", "d5", 1), ("q2", "d1", 1), ("q3", "d5", 1)])
    planned = succeed(*BM25, "a/nq", "--dry-run", cwd=tmp_path, by=run_here)
    assert "repro.index" in planned
    assert not (tmp_path / "work").exists()
    for place in ("a/nq", "b/nq"):
        succeed(*BM25, place, cwd=tmp_path, by=run_here)
    (other,) = (path.stem for path in (tmp_path / "tables").glob("nq-*-test.json"))
    assert rr(tmp_path, "nq-test") > 0.6 and rr(tmp_path, other) < 0.4
    assert len(list((tmp_path / "runs").glob("run.*.trec"))) == 2
    assert len(list((tmp_path / "work" / "indexes").glob("lucene-bm25.nq*/"))) == 2
    for place in ("a/nq", "b/nq"):
        assert (
            succeed(*BM25, place, "--dry-run", cwd=tmp_path, by=run_here) == ""
        )  # both are current side by side


def test_split_in_a_subfolder_goes_to_the_table_and_one_outside_is_refused(tmp_path):
    folder = write_beir(tmp_path / "nq")
    (folder / "qrels" / "dev").mkdir()
    (folder / "qrels" / "test.tsv").rename(folder / "qrels" / "dev" / "small.tsv")
    succeed(*BM25, "nq", "--split", "dev/small", cwd=tmp_path, by=run_here)
    assert rr(tmp_path, "nq-dev-small") > 0.6
    (tmp_path / "x.tsv").write_text("q1\td1\t1\n")
    error = refused(*BM25, "nq", "--split", "../../x", cwd=tmp_path, by=run_here)
    assert "--split ../../x: expected the name of a file in nq/qrels without its .tsv" in error
    done = run_here(*BM25, "nq", "--split", "dev/large", cwd=tmp_path)
    assert done.returncode == 2 and "choose --split from: dev/small" in done.stderr
