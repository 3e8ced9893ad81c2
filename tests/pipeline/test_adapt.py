"""Adapting to a folder from the command line: a model that held-out queries chose, or the base as it is."""

import json
import shutil

import pytest
import torch
from conftest import kill_when, refused, run_here, succeed, write_part_of_sample
from safetensors.torch import load_file

from repro.collections.opening import open_collection
from repro.models.systems import find_system
from repro.models.weights import resolve
from repro.training.rows import passages_of
from repro.training.term_factors import TermFactors

DOCUMENTS, ROWS, HELD_OUT = 150, 60, 12
FOLDER = f"part-train.all-minilm-l6-v2.bm25.judgments-passages.held-out-{HELD_OUT}.rows-{ROWS}"
DATA = {
    "collection": "part",
    "split": "train",
    "teacher": "dense:all-minilm-l6-v2",
    "negatives_from": "bm25,base,teacher",
    "depth": 6,
    "queries_from": "judgments,passages",
    "rows": ROWS,
    "negatives": 8,
    "held_out": HELD_OUT,
}
"""Those of the recipe, with fewer rows, held-out queries, and candidates."""


def data(**changes):
    return f"data={json.dumps(DATA | changes)}"


def adapt(*arguments, changes=("epochs=1",), **distilled):
    """Return the command that adapts to the folder; few rows, once through them, unless told otherwise."""
    return ["repro.train", "--adapt", "part", "--set", data(**distilled), *changes, *arguments, *THREADS]


def again(output, *changes):
    """Return the command of another training on the rows that are distilled, by the same recipe."""
    rows = f"data={{parquet: work/distilled/{FOLDER}}}"
    return ["repro.train", "--recipe", "adapt", "--set", rows, *changes, "--output", output, *THREADS]


THREADS = ["--threads", "2"]
SMALL = ["rows=32", "batch_size=8", "max_length=48", "epochs=3"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A working folder with a part of the sample: its first passages, and the queries that they answer."""
    folder = tmp_path_factory.mktemp("adapting")
    write_part_of_sample(folder / "part", DOCUMENTS, "train")
    return folder


@pytest.fixture(scope="module")
def adapted(folder):
    """The folder of the model, and what was told on stderr."""
    done = run_here(*adapt(), cwd=folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "work/trained/splade-adapt-part"
    return folder / "work/trained/splade-adapt-part", done.stderr


def weights(model):
    return load_file(model / "model.safetensors")


def are_the_bases(model):
    """Tell whether a model's weights are splade-tiny's, to the bit."""
    base, found = load_file(resolve(find_system("splade-tiny")).path / "model.safetensors"), weights(model)
    shared = base.keys() & found.keys()
    assert len(shared) > 30
    return all(torch.equal(base[name].view(torch.int32), found[name].view(torch.int32)) for name in shared)


def manifest(model):
    return json.loads(model.with_name(f"{model.name}.manifest.json").read_text())


def log(model):
    return [json.loads(line) for line in (model / "training-log.jsonl").read_text().splitlines()]


def test_a_folder_is_adapted_to_with_nothing_set(adapted):
    model, errors = adapted
    made = manifest(model)
    settings = made["settings"]
    assert made["rows"] == ROWS and made["steps"] == 4
    assert settings["margin_scale"] > 5 and settings["max_length"] % 16 == 0
    assert 5 < settings["query_terms"] < 50 < settings["document_terms"] < 500
    shares = [(entry["share"], "factors" in entry) for entry in made["choice"]]
    assert shares == [(0, False), (0, True), (0.33, False), (0.67, False), (1, False)]
    assert (made["kept"], made["factors"]) in shares
    assert f"on {HELD_OUT} held-out queries" in made["why"] and made["why"] in errors
    assert are_the_bases(model) is (made["kept"] == 0 and not made["factors"])
    assert any("document_regularizer_weight" in line for line in log(model))


def test_the_card_has_the_figures_that_chose_and_the_settings(adapted):
    model, _ = adapted
    made, card = manifest(model), (model / "README.md").read_text()
    assert "active_terms: base" in card and f"Trained on {ROWS} rows in 4 steps" in card
    assert str(made["settings"]["margin_scale"]) in card
    assert f"{made['why'][1:]}." in card
    names = ("base", "base, terms with factors", "33% of the way", "67% of the way", "trained")
    for entry, name in zip(made["choice"], names):
        begins = f"| {name} |", f"| {name} (kept) |"
        (row,) = [line for line in card.splitlines() if line.startswith(begins)]
        is_kept = (entry["share"], "factors" in entry) == (made["kept"], made["factors"])
        assert ("(kept)" in row) is is_kept
        cells = [cell.strip() for cell in row.strip("|").split("|")[1:]]
        shown = [value for key, value in entry.items() if key not in ("share", "factors")]
        assert cells == ["–" if value is None else str(value) for value in shown]


def test_the_model_loads(adapted):
    from sentence_transformers import SparseEncoder

    model = SparseEncoder(str(adapted[0]), device="cpu")
    scores = model.similarity(
        model.encode_query(["what makes bread rise"]),
        model.encode_document(["Bread rises because of yeast.", "The moon is far away."]),
    )
    assert scores[0, 0] > scores[0, 1]


def test_rows_and_held_out_queries_are_of_different_queries(folder, adapted):
    import pandas

    distilled = folder / "work/distilled" / FOLDER
    held_out = open_collection(str(distilled / "held-out"))
    rows = pandas.concat(pandas.read_parquet(path) for path in distilled.glob("*.parquet"))
    texts = {document.id: document.text for document in held_out.documents()}
    asked = {query.id for query in held_out.queries()}
    assert len(asked) == HELD_OUT and len(rows) == ROWS and asked.isdisjoint(rows.query_id)
    relevant = {texts[d] for judged in held_out.qrels().values() for d, grade in judged.items() if grade > 0}
    assert relevant.isdisjoint(rows.positive)


def test_what_chose_is_what_the_table_measures(folder, adapted):
    """Of the base: its impacts, in Lucene, over the folder of what is held out."""
    collection = ["--collection", f"work/distilled/{FOLDER}/held-out", "--systems", "splade-tiny", *THREADS]
    succeed("repro.table", *collection, cwd=folder, by=run_here)
    (path,) = (folder / "tables").glob("*.json")
    (row,) = json.loads(path.read_text())["rows"]
    base = manifest(adapted[0])["choice"][0]
    for name in ("nDCG@10", "RR@10"):
        assert row["figures"][name] == pytest.approx(base[name], abs=5e-5)
    assert row["document_terms"] == pytest.approx(base["terms/doc"], abs=5e-3)
    assert row["query_terms"] == pytest.approx(base["terms/query"], abs=5e-3)


def test_a_repeated_command_does_nothing(folder, adapted):
    model, _ = adapted
    before = {path: path.stat().st_mtime_ns for path in model.iterdir()}
    done = run_here(*adapt(), cwd=folder)
    assert done.returncode == 0 and done.stdout.strip() == "work/trained/splade-adapt-part"
    assert "step " not in done.stderr and "rows of 8 margins" not in done.stderr, done.stderr
    assert {path: path.stat().st_mtime_ns for path in model.iterdir()} == before


def test_factors_are_fitted_to_all_negatives_of_a_row(folder, adapted, monkeypatch):
    """Of which training takes four."""
    seen, fit = [], TermFactors.fit

    def fitted(self, *arguments):
        seen.append(self.rows)
        return fit(self, *arguments)

    monkeypatch.setattr(TermFactors, "fit", fitted)
    succeed(*again("factored", *SMALL), cwd=folder, by=run_here)
    assert len(seen) == 4 and all(rows is seen[0] for rows in seen)
    assert passages_of(seen[0]) == ["positive", *(f"negative_{n}" for n in range(1, 9))]
    assert all(len(label) == 8 for label in seen[0]["label"])


def test_a_bad_recipe_leaves_the_base_as_it_is_and_says_so(folder, adapted):
    """A hundred times the scale that the data have, learned fast: the trained weights are worse, all are."""
    scale = 100 * manifest(adapted[0])["settings"]["margin_scale"]
    bad = again("bad", f"margin_scale={scale}", "teacher_share=1", "learning_rate=2e-3", *SMALL)
    done = run_here(*bad, cwd=folder)
    assert done.returncode == 0, done.stderr
    made = manifest(folder / "bad")
    assert are_the_bases(folder / "bad") and made["kept"] == 0 and not made["factors"]
    base, *_, trained = made["choice"]
    assert trained["nDCG@10"] < base["nDCG@10"] - 0.05
    sentence = "nothing beats the base significantly, so its weights are kept as they are"
    assert made["why"].startswith(sentence) and sentence in done.stderr
    card = (folder / "bad/README.md").read_text()
    assert sentence[1:] in card and "| base (kept) |" in card


def test_interrupted_and_resumed_is_the_uninterrupted_model(folder, adapted):
    """kill -9 after the first checkpoint; the weights that hold active terms must come back, too."""
    changes = ["averages=[]", "evaluations=4", "learning_rate=5e-4", *SMALL]
    succeed(*again("whole", *changes), "--log-every", "1", cwd=folder, by=run_here)
    command = again("broken", *changes)
    checkpoints = folder / "broken.checkpoints"
    kill_when(
        lambda: list(checkpoints.glob("checkpoint-*/trainer_state.json")),
        *(*command, "--log-every", "1"),
        cwd=folder,
    )
    done = run_here(*command, "--log-every", "1", cwd=folder)
    assert done.returncode == 0 and "going on from step" in done.stderr, done.stderr
    expected, found = weights(folder / "whole"), weights(folder / "broken")
    assert not are_the_bases(folder / "whole")
    assert all(torch.allclose(expected[name], found[name], rtol=0, atol=1e-6) for name in expected)
    for part in ("query", "document"):
        name = f"{part}_regularizer_weight"
        moved, resumed = (
            [line[name] for line in log(folder / model) if name in line] for model in ("whole", "broken")
        )
        assert resumed == pytest.approx(moved, rel=1e-4) and len(moved) >= 12
        assert max(moved) > 1.5 * min(moved)
    assert not checkpoints.exists()


def test_texts_alone_are_enough_and_the_card_says_that_nothing_was_measured(folder):
    (folder / "bare").mkdir()
    shutil.copy(folder / "part/corpus.jsonl", folder / "bare/corpus.jsonl")
    command = ["repro.train", "--adapt", "bare", "--queries-from", "passages"]
    changes = ["--set", data(negatives_from="bm25", rows=40), "epochs=1", *THREADS]
    done = run_here(*command, *changes, cwd=folder)
    assert done.returncode == 0, done.stderr
    model = folder / "work/trained/splade-adapt-bare"
    made, card = manifest(model), (model / "README.md").read_text()
    assert made["rows"] == 40 and "choice" not in made
    assert made["kept"] == 0.67 and not are_the_bases(model)
    assert "unmeasured" in made["why"] and made["why"] in done.stderr
    assert "unmeasured: no judged queries are held out to choose by" in card and "| weights |" not in card


def test_judged_queries_alone_are_enough(folder):
    """The rows that drawn queries would fill up to are not asked for."""
    command = adapt("--queries-from", "judgments", "--output", "judged", negatives_from="bm25")
    done = run_here(*command, cwd=folder)
    assert done.returncode == 0, done.stderr
    made = manifest(folder / "judged")
    assert 0 < made["rows"] <= 50 - HELD_OUT and f"on {HELD_OUT} held-out queries" in made["why"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (
            ["--recipe", "splade-tiny", "--queries-from", "passages"],
            "--queries-from: recipe splade-tiny distils",
        ),
        (["--recipe", "splade-tiny", "--adapt", "part"], "--adapt: recipe splade-tiny distils no collection"),
        (["--adapt", "part", "--mlm", "sample"], "expected either --recipe or --adapt"),
        (["--adapt", "part", "--queries-from", "guesses"], "--queries-from guesses: expected one or more of"),
        (
            ["--adapt", "part", "--split", "dev"],
            "no split 'dev'; choose --split from: train; or draw queries",
        ),
        (["--adapt", "nowhere/"], "nowhere"),
    ],
)
def test_what_cannot_be_adapted_to_is_refused(arguments, expected, folder):
    assert expected in refused("repro.train", *arguments, cwd=folder, by=run_here)
