"""Packages: what is in them, ir_metadata by its schema, MS MARCO's leaderboard, and what is refused."""

import bz2
import json
import os
import platform
import shutil
from pathlib import Path

import pytest
import yaml
from conftest import refused, run_here

from repro import submit
from repro.artifacts.provenance import provenance
from repro.artifacts.store import Artifact
from repro.submission import schema
from repro.submission.leaderboard import check_submission

RUN = "1 Q0 8 1 3.5 t\n1 Q0 7 2 2.5 t\n2 Q0 8 1 1 t\n"
ENCODED = {"stage": "encode documents", "max_length": 512, "prefix": "", "scale": 51.2, "corpus": "c"}
COMPLETE = """
tag: h2oloo.ccrf.04
platform:
  hardware: {cpu: {model: Xeon, number of cores: 16}, ram: 32 GB}
  operating system: {kernel: Linux 4.15}
research goal:
  venue: {name: ECIR, year: 2019}
  evaluation:
    reported measures: [map, P_10]
    baseline: [WCrobust04]
    significance test: [{name: t-test, correction method: bonferroni}]
implementation: {executable: {cmd: python run.py}, source: {lang: [python], commit: 9548cd6}}
method:
  automatic: true
  retrieval: [{name: bm25, b: 0.4}, {name: interpolation, weight: 0.6, interpolates: [bm25]}]
actor: {name: A. Author, fields: [ir], role: reproducer}
data:
  test collection: {name: New York Times, ir_datasets: nyt}
  training data: [{name: TREC disks 4 and 5}]
"""
"""The keys of the example on ir_metadata's own pages."""


def make(folder, kind="splade", tag="t", text=RUN, **manifest):
    """Make a run with its manifest, and those of its index and encoded documents; return the run's path."""
    encoded = Artifact(folder / "work/encoded/c/s", ENCODED)
    encoded.finish(encoded.begin())
    source = {"analyser": "anserini"} if kind == "bm25" else {"encoded": encoded.fingerprint}
    index = Artifact(folder / f"work/indexes/{kind}", {"stage": "index", "kind": kind, **source})
    index.finish(index.begin(), written_by={"lucene": "9.9.1"})
    parameters = {"k1": 0.9, "b": 0.4} if kind == "bm25" else {}
    inputs = {"stage": "search", "index": index.fingerprint, "hits": 1000, "ties": "anserini", "tag": tag}
    run = Artifact(
        folder / f"runs/{manifest.get('system', 'run')}.trec", {**inputs, **parameters}, single_file=True
    )
    partial = run.begin()
    partial.write_text(text)
    run.finish(partial, **{"system": "s", "collection": "c", "weights": None, **manifest})
    return run.path


def command(folder, *arguments):
    return ["package", *map(str, arguments), "--work", str(folder / "work"), "--output", str(folder / "out")]


def packed(folder, *arguments):
    """Package in ``folder``; return the metadata."""
    assert submit.main(command(folder, *arguments)) == 0
    (metadata,) = (folder / "out").glob("*/*.ir_metadata.yml")
    return yaml.safe_load(metadata.read_text(encoding="utf-8"))


def contents(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_a_package_holds_run_manifest_and_metadata(tmp_path, capsys):
    run = make(tmp_path)
    assert submit.main(command(tmp_path, run)) == 0
    printed = capsys.readouterr()
    assert printed.out == f"{tmp_path}/out/t\n" and "OK: " in printed.err
    assert contents(tmp_path / "out") == ["t/t", "t/t.ir_metadata.yml", "t/t.manifest.json"]
    assert (tmp_path / "out/t/t").read_bytes() == run.read_bytes()
    assert json.loads((tmp_path / "out/t/t.manifest.json").read_text())["system"] == "s"


@pytest.mark.parametrize("kind", ["bm25", "splade", "dense"])
def test_metadata_have_the_schemas_keys_and_what_manifests_tell(tmp_path, kind):
    weights = {"source": "local folder /home/me/models/final", "sha256": "ab"}
    metadata = packed(tmp_path, make(tmp_path, kind, weights=weights), "--team", "us")
    assert schema.problems(metadata) == []
    assert list(metadata) == ["schema-version", "run-version", "tag", *schema.COMPONENTS]
    assert metadata["tag"] == "t" and metadata["actor"] == {"team": "us"}
    assert metadata["data"] == {"test collection": {"name": "c"}}
    assert metadata["implementation"]["executable"]["cmd"] == provenance()["command"]
    method = metadata["method"]
    assert method["automatic"] is True and method["score ties"].startswith("docid ascending")
    (stage,) = method["retrieval"]
    assert stage["model"] == {"source": "local folder final", "sha256": "ab"}
    own = {"k1": 0.9, "b": 0.4} if kind == "bm25" else {"max_length": 512, "prefix": "", "scale": 51.2}
    assert stage["name"] == "s" and stage["params"] == {"hits": 1000, **own}
    assert metadata["platform"]["software"]["libraries"]["java"] == ["lucene==9.9.1"]


def test_a_run_that_combines_others_has_their_stages(tmp_path):
    parts = [make(tmp_path, "bm25", system="bm25"), make(tmp_path, "splade", system="splade-tiny")]
    inputs = [
        json.loads(part.with_name(f"{part.name}.manifest.json").read_text())["inputs"] for part in parts
    ]
    runs = [Artifact(part, known).fingerprint for part, known in zip(parts, inputs)]
    fused = {"stage": "search", "runs": runs, "hits": 10, "rank_constant": 60, "ties": "anserini", "tag": "t"}
    run = Artifact(tmp_path / "runs/fused.trec", fused, single_file=True)
    partial = run.begin()
    partial.write_text(RUN)
    run.finish(partial, system="bm25+splade-tiny", kind="fusion", weights=None)
    metadata = packed(tmp_path, run.path)
    assert schema.problems(metadata) == []
    bm25, splade, fusion = metadata["method"]["retrieval"]
    assert bm25["params"]["k1"] == 0.9 and splade["params"]["scale"] == 51.2
    assert fusion == {
        "name": "bm25+splade-tiny",
        "method": "reciprocal rank fusion",
        "interpolates": ["bm25", "splade-tiny"],
        "params": {"hits": 10, "rank_constant": 60},
    }
    assert metadata["implementation"]["source"]["lang"] == ["python", "java"]


def change_manifest(run, change):
    """Let ``change`` edit the manifest of a run, a dictionary."""
    path = run.with_name(f"{run.name}.manifest.json")
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest))


def test_the_machine_is_the_one_that_made_the_run(tmp_path):
    run = make(tmp_path)
    here = packed(tmp_path, run)["platform"]
    cpu = here["hardware"]["cpu"]
    assert cpu["architecture"] == platform.machine() and cpu["operation mode"] == "64-bit"
    assert here["operating system"]["kernel"].startswith(platform.system())
    hardware = {"cpu": {"model": "Xeon", "number of cores": 7}, "ram": "32.0 GB"}
    there = {"hardware": hardware, "operating system": {"kernel": "Linux 4.15"}}
    change_manifest(run, lambda manifest: manifest["made"].update(there))
    assert packed(tmp_path, run, "--force")["platform"] == {**there, "software": here["software"]}


def test_an_older_manifest_tells_no_more_than_it_has(tmp_path):
    """The same architecture, processors and versions do not make it the machine at hand."""

    def before_hardware(manifest):
        made = manifest["made"]
        del made["hardware"], made["operating system"]
        made["machine"] = f"{platform.machine()}, {os.cpu_count()} processors"

    run = make(tmp_path)
    change_manifest(run, before_hardware)
    described = packed(tmp_path, run)["platform"]
    cpu = {"architecture": platform.machine(), "number of cores": os.cpu_count()}
    assert described["hardware"] == {"cpu": cpu} and "operating system" not in described


@pytest.mark.parametrize(
    ("kind", "method", "relation"),
    [
        ({"kind": "fusion"}, "reciprocal rank fusion", {"interpolates": ["bm25"]}),
        (
            {"kind": "reranking"},
            "cross-encoder over the first documents of the run",
            {"reranks": "bm25"},
        ),
        ({}, None, {}),
    ],
)
def test_the_kind_is_what_the_manifest_says_and_no_guess(tmp_path, kind, method, relation):
    part = make(tmp_path, "bm25", system="bm25")
    known = json.loads(part.with_name(f"{part.name}.manifest.json").read_text())["inputs"]
    inputs = {"stage": "search", "runs": [Artifact(part, known).fingerprint], "rank_constant": 60, "tag": "t"}
    run = Artifact(tmp_path / "runs/combined.trec", inputs, single_file=True)
    partial = run.begin()
    partial.write_text(RUN)
    run.finish(partial, system="combined", weights=None, **kind)
    _, stage = packed(tmp_path, run.path)["method"]["retrieval"]
    assert stage.pop("method", None) == method
    assert stage == {"name": "combined", **relation, "params": {"rank_constant": 60}}
    part.with_name(f"{part.name}.manifest.json").unlink()  # then nothing tells what was indexed
    assert "indexing" not in packed(tmp_path, run.path, "--force")["method"]


def test_a_header_can_be_checked_and_taken_off_again(tmp_path):
    run = make(tmp_path)
    assert submit.main(command(tmp_path, run, "--metadata", "header")) == 0
    annotated = tmp_path / "out/t/t"
    assert contents(tmp_path / "out") == ["t/t", "t/t.manifest.json"]
    header, end, lines = annotated.read_text().partition("# ir_metadata.end\n")
    assert end and lines == RUN and header.startswith("# ir_metadata.start\n# schema-version: 0.1\n")
    assert submit.main(["check", str(annotated)]) == 0
    assert submit.main(["convert", str(annotated), str(tmp_path / "plain.trec")]) == 0
    assert (tmp_path / "plain.trec").read_text() == RUN


def test_details_go_over_what_is_computed(tmp_path):
    details = tmp_path / "details.yml"
    details.write_text(
        "actor: {name: A. Author}\nresearch goal: {venue: {year: 2020}}\nmethod: {automatic: false}\n"
    )
    metadata = packed(tmp_path, make(tmp_path), "--team", "us", "--details", details)
    assert metadata["actor"] == {"team": "us", "name": "A. Author"}
    assert metadata["research goal"] == {"venue": {"year": 2020}}
    assert metadata["method"]["automatic"] is False and "score ties" in metadata["method"]


def test_measures_and_names_come_from_the_collection(tmp_path, beir):
    text = "q1 Q0 d1 1 3 t\nq2 Q0 d2 1 3 t\nq3 Q0 d6 1 3 t\n"
    metadata = packed(tmp_path, make(tmp_path, text=text), "--collection", beir)
    assert metadata["data"] == {"test collection": {"name": "tiny-test"}}
    assert metadata["research goal"]["evaluation"]["reported measures"] == [
        "RR@10",
        "nDCG@10",
        "R@10",
        "R@1000",
    ]


def test_a_foreign_run_has_what_the_options_say(tmp_path, capsys):
    run = tmp_path / "foreign"
    run.write_text(RUN)
    metadata = packed(tmp_path, run, "--team", "us")
    assert (
        schema.problems(metadata) == [] and metadata["method"] == {} and metadata["actor"] == {"team": "us"}
    )
    assert "no manifest beside it" in capsys.readouterr().err
    assert contents(tmp_path / "out") == ["t/t", "t/t.ir_metadata.yml"]


def test_the_schema_knows_the_published_example_and_finds_what_is_not_in_it():
    example = yaml.safe_load(COMPLETE)
    assert schema.problems(example) == []
    example["actor"] = {"nam": "A. Author", "fields": "ir"}
    example["data"]["training data"] = [{"name": ["TREC"]}]
    del example["platform"]
    found = " | ".join(schema.problems(example))
    assert "actor -> nam: no key of ir_metadata; expected one of name, orcid" in found
    assert "actor -> fields: expected a list" in found and "platform is missing" in found
    assert "data -> training data [1] -> name: expected a single value" in found


def test_a_faulty_run_is_not_packed(tmp_path, capsys):
    run = make(tmp_path, text=RUN + "2 Q0 8 2 0.5 t\n")
    assert submit.main(command(tmp_path, run)) == 1
    assert "line 4: topic 2 lists document 8 a second time" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("tag", "name"), [("..", "run"), ("../up", "up"), ("a/b", "a-b"), ("!", "run")])
def test_no_tag_leads_out_of_the_folder(tmp_path, tag, name):
    run = make(tmp_path, text=RUN.replace(" t\n", f" {tag}\n"))
    assert submit.main(command(tmp_path, run)) == 0
    assert [path.name for path in (tmp_path / "out").iterdir()] == [name]


def test_a_package_is_replaced_by_force_and_nothing_else(tmp_path):
    run = make(tmp_path)
    packed(tmp_path, run)
    again = refused("repro.submit", *command(tmp_path, run), by=run_here)
    assert again == f"error: {tmp_path}/out/t: it exists; replace it with --force, or name another --output"
    assert packed(tmp_path, run, "--force", "--team", "us")["actor"] == {"team": "us"}
    shutil.rmtree(tmp_path / "out/t")
    (tmp_path / "out/t").mkdir()
    (tmp_path / "out/t/thesis.tex").touch()
    sentence = refused("repro.submit", *command(tmp_path, run, "--force"), by=run_here)
    assert "it is no package made here, and stays" in sentence
    assert contents(tmp_path / "out") == ["t/thesis.tex"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--profile", "dl", "--metadata", "header"], "--metadata header: dl takes no comments"),
        (["--id", "20260101-us"], "--id: only for --profile msmarco"),
        (["--description", "small", "--paper", "x"], "--description, --paper: only for --profile msmarco"),
        (["--code", "x", "--type", "reranking"], "--code, --type: only for --profile msmarco"),
        (["--profile", "dl", "--eval-collection", "x"], "--eval-collection: only for --profile msmarco"),
        (["--profile", "msmarco", "--metadata", "header"], "--metadata header: msmarco takes no comments"),
        (["--profile", "msmarco"], "--profile msmarco: name --id yyyymmdd-name and --eval"),
        (
            ["--profile", "msmarco", "--id", "20260230-us", "--eval", "x"],
            "--id 20260230-us: expected yyyymmdd-",
        ),
        (
            ["--profile", "msmarco", "--id", "20260228-us", "--eval", "x"],
            "--team: MS MARCO's leaderboard shows",
        ),
        (["--details", "missing.yml"], "--details missing.yml: there is no such file"),
        (["--details", "colour.yml"], "--details colour.yml: colour: no key of ir_metadata"),
        (["--details", "broken.yml"], "--details broken.yml: not YAML"),
        (["--collection", "nowhere/"], "--collection nowhere/: there is no such folder"),
    ],
)
def test_wrong_options_are_refused(tmp_path, arguments, says):
    run = make(tmp_path)
    (tmp_path / "colour.yml").write_text("colour: red\n")
    (tmp_path / "broken.yml").write_text("actor: [\n")
    sentence = refused("repro.submit", *command(tmp_path, run, *arguments), cwd=tmp_path, by=run_here)
    assert says in sentence


def test_a_run_that_changed_since_its_manifest_is_refused(tmp_path):
    run = make(tmp_path)
    run.write_text(RUN.replace("3.5", "4.5"))
    assert "has changed since its manifest" in refused("repro.submit", *command(tmp_path, run), by=run_here)


def leaderboard(folder):
    """Package two runs, one of them in MS MARCO's form, for the leaderboard; return their folder."""
    evaluation = folder / "eval.tsv"
    evaluation.write_text("9\t5\t1\n9\t4\t2\n")
    named = ["--id", "20261126-us", "--eval", evaluation, "--team", "us", "--description", "small"]
    assert submit.main(command(folder, make(folder), "--profile", "msmarco", *named)) == 0
    return folder / "out/20261126-us"


def test_a_package_for_the_leaderboard_is_what_it_takes(tmp_path):
    folder = leaderboard(tmp_path)
    assert contents(tmp_path / "out") == [
        "20261126-us-dev.ir_metadata.yml",
        "20261126-us-dev.manifest.json",
        "20261126-us-eval.ir_metadata.yml",
        "20261126-us-metadata.json",
        "20261126-us/dev.txt.bz2",
        "20261126-us/eval.txt.bz2",
    ]
    assert bz2.decompress((folder / "dev.txt.bz2").read_bytes()) == b"1\t8\t1\n1\t7\t2\n2\t8\t1\n"
    assert bz2.decompress((folder / "eval.txt.bz2").read_bytes()) == b"9\t5\t1\n9\t4\t2\n"
    shown = json.loads((tmp_path / "out/20261126-us-metadata.json").read_text())
    assert shown == {
        "team": "us",
        "model_description": "small",
        "paper": "",
        "code": "",
        "type": "full ranking",
    }
    assert submit.main(["check", str(folder), "--profile", "msmarco"]) == 0


def test_a_trec_run_that_the_leaderboard_would_not_take_is_named_by_its_own_lines(tmp_path, capsys):
    run = make(tmp_path, text=RUN.replace(" 7 ", " p7 "))
    named = ["--id", "20261126-us", "--eval", run, "--team", "us", "--description", "small"]
    assert submit.main(command(tmp_path, run, "--profile", "msmarco", *named)) == 1
    assert f"{run}, line 2: document id 'p7'; expected one like 8412684" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def break_metadata(folder: Path, **changes):
    path = folder.with_name(f"{folder.name}-metadata.json")
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda folder: (folder / "eval.txt.bz2").unlink(), "eval.txt.bz2 is missing"),
        (lambda folder: (folder / "eval.txt.bz2").write_text("9\t5\t1\n"), "is not compressed by bzip2"),
        (
            lambda folder: folder.with_name(f"{folder.name}-metadata.json").unlink(),
            "beside the folder is missing",
        ),
        (
            lambda folder: break_metadata(folder, type="dense"),
            "type 'dense'; expected full ranking or reranking",
        ),
        (lambda folder: break_metadata(folder, paper=None), "expected a string in 'paper'"),
    ],
)
def test_a_submission_that_is_not_whole_is_told(tmp_path, capsys, change, says):
    folder = leaderboard(tmp_path)
    change(folder)
    faults, _ = check_submission(folder, None, None)
    assert faults.total == 1 and says in faults.sentences("")[0]
    assert submit.main(["check", str(folder), "--profile", "msmarco"]) == 1
    assert "FAULTY: " in capsys.readouterr().out


def test_a_folder_is_only_a_submission_to_the_leaderboard(tmp_path):
    run = make(tmp_path)
    eval_topics = refused("repro.submit", "check", run, "--eval-collection", "sample", by=run_here)
    assert "--eval-collection: only for --profile msmarco" in eval_topics
    assert "only --profile msmarco" in refused("repro.submit", "check", tmp_path, by=run_here)
    assert submit.main(["check", str(tmp_path), "--profile", "msmarco"]) == 1
