"""A run as the commands make it, handed in: checked, packed with what its manifests tell, converted."""

import yaml
from conftest import QRELS, QUERIES, run_here, succeed, write_beir

from repro.artifacts.machine import hardware
from repro.base.files import read_json
from repro.formats.runs import read_run
from repro.submission import schema


def test_a_run_is_searched_checked_packed_and_converted(tmp_path):
    beir = write_beir(
        tmp_path / "tiny", queries=QUERIES[:2], qrels=QRELS[:2]
    )  # BM25 has nothing for the third
    succeed("repro.index", "--collection", beir, "--system", "bm25", cwd=tmp_path, by=run_here)
    searching = ["repro.search", "--collection", beir, "--system", "bm25", "--k1", "1.2"]
    searched = succeed(*searching, cwd=tmp_path, by=run_here)
    made = searched.strip()
    manifest = read_json(tmp_path / f"{made}.manifest.json")
    assert manifest["kind"] == "bm25" and manifest["made"]["hardware"] == hardware()
    checked = succeed("repro.submit", "check", made, "--collection", beir, cwd=tmp_path, by=run_here)
    assert checked.startswith(f"OK: {made} meets generic: 2 topics")

    package = succeed("repro.submit", "package", made, "--collection", beir, cwd=tmp_path, by=run_here)
    assert package == "submissions/bm25\n"
    sidecar = tmp_path / "submissions/bm25/bm25.ir_metadata.yml"
    metadata = yaml.safe_load(sidecar.read_text(encoding="utf-8"))
    assert schema.problems(metadata) == []
    (stage,) = metadata["method"]["retrieval"]
    assert stage["name"] == "bm25" and stage["params"] == {"hits": 1000, "k1": 1.2, "b": 0.4}
    assert metadata["method"]["indexing"]["stemmer"].endswith("PorterStemFilter")
    assert metadata["platform"]["software"]["libraries"]["java"][0].startswith("lucene==")
    assert metadata["implementation"]["executable"]["cmd"].endswith("--system bm25 --k1 1.2")

    succeed("repro.submit", "convert", made, "run.tsv", cwd=tmp_path, by=run_here)
    succeed("repro.submit", "convert", "run.tsv", "again.trec", "--tag", "t", cwd=tmp_path, by=run_here)
    assert read_run(tmp_path / "again.trec").keys() == {"q1", "q2"}
    for query, scores in read_run(tmp_path / "again.trec").items():
        assert list(scores) == list(read_run(tmp_path / made)[query])
    refused = run_here("repro.submit", "check", "run.tsv", cwd=tmp_path)
    assert refused.returncode == 1 and "3 columns, as MS MARCO's form" in refused.stdout
