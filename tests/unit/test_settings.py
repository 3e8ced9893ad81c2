"""What a recipe leaves to the data, measured on a few rows."""

import math
from dataclasses import replace

import datasets
import numpy as np
import pytest

from repro.base.errors import InputError
from repro.models.systems import find_system
from repro.models.weights import resolve
from repro.splade.encoder import SpladeEncoder
from repro.splade.loading import load_masked_lm
from repro.training.base_margins import base_margins
from repro.training.recipe import read_recipe
from repro.training.rows import training_rows
from repro.training.settings import LEARNING_RATE, LEAST_ROWS, LONGEST, STEP, fitted_scale, settle, spread

TEXTS = [
    "The moon's gravity pulls the oceans, so the sea rises and falls twice a day.",
    "Bread rises because yeast turns sugar into carbon dioxide.",
    "A falling barometer means that a storm is on its way.",
    "Sea salt is made by letting the ocean's water dry in the sun.",
    "Sourdough keeps for a week; freeze sliced bread to keep it longer.",
]
QUERIES = ["why does the sea rise and fall", "what makes bread rise", "is a storm coming"]
LABEL = [[0.5, 0.25, 0.75], [0.5, -0.25, 1.0], [0.125, 0.5, 0.25]]


def data(texts=TEXTS, times=1):
    """Three rows of three negatives, each ``times`` times."""
    columns = {"query_id": ["0", "1", "2"], "query": QUERIES, "positive": texts[:3], "label": LABEL}
    columns |= {f"negative_{n}": [texts[(row + n) % len(texts)] for row in range(3)] for n in (1, 2, 3)}
    return datasets.Dataset.from_dict({name: values * times for name, values in columns.items()})


@pytest.fixture(scope="module")
def base():
    return resolve(find_system("splade-tiny")).path


@pytest.fixture(scope="module")
def weights(base):
    """The weights that splade-tiny gives the queries and the texts."""
    encoder = SpladeEncoder(base, 1)
    return encoder.encode(QUERIES, 64).toarray(), encoder.encode(TEXTS, 64).toarray()


@pytest.fixture(scope="module")
def own(weights):
    """The base's margins on ``data``."""
    queries, texts = weights
    return np.array([[queries[r] @ (texts[r] - texts[(r + n) % 5]) for n in (1, 2, 3)] for r in range(3)])


def recipe(**changes):
    found = read_recipe("sample", {"negatives": "[0, 1]"})
    return replace(found, **{"max_length": 64, "margin_scale": 2.0, **changes})


def test_the_scale_is_the_root_of_the_squares():
    teacher, own = np.array([[1.0, 2.0], [-2.0, 4.0]]), np.array([[6.0, 0.0], [-8.0, 0.0]])
    assert fitted_scale(teacher, own) == 2.0  # sqrt((36 + 64) / (1 + 4 + 4 + 16))


@pytest.mark.parametrize("factor", [0.01, 7.0])
def test_a_scaled_teacher_has_the_scale_divided(factor):
    rng = np.random.default_rng(1)
    teacher, own = rng.normal(0.3, 0.2, (50, 8)), rng.normal(5, 6, (50, 8))
    scale = fitted_scale(teacher, own)
    assert fitted_scale(factor * teacher, own) == pytest.approx(scale / factor)
    assert ((scale * teacher) ** 2).mean() == pytest.approx((own**2).mean())
    assert fitted_scale(own * 0.02, own) == pytest.approx(50)  # of a teacher that agrees: the very factor
    assert fitted_scale(rng.permutation(teacher.ravel()).reshape(50, 8), own) == pytest.approx(scale)


@pytest.mark.parametrize(
    ("teacher", "own", "which"), [(0, 1, "teacher's"), (1, 0, "base's"), (0, 0, "base's")]
)
def test_margins_that_are_all_zero_have_no_scale(teacher, own, which):
    with pytest.raises(InputError, match=f"margin_scale: auto: the {which} margins are all zero"):
        fitted_scale(np.full((2, 3), float(teacher)), np.full((2, 3), float(own)))


def test_the_spread_is_the_deviation_within_a_rows_candidates():
    """Scores 0, -3, -3 and 0, 0, 0: variances 2 and 0, on average 1."""
    assert spread(np.array([[3.0, 3.0], [0.0, 0.0]])) == 1.0
    margins = np.random.default_rng(2).normal(1, 2, (30, 8))
    assert spread(5 * margins) == pytest.approx(5 * spread(margins))
    assert spread(np.zeros((4, 8))) == 1.0  # nothing to divide by


def test_margins_of_the_base_are_dot_products_of_what_it_encodes(base, weights):
    queries, texts = weights
    found = base_margins(data(), base, 64, 1)
    scores = queries @ texts.T
    expected = [[scores[row, row] - scores[row, (row + n) % 5] for n in (1, 2, 3)] for row in range(3)]
    assert np.allclose(found.margins, expected, rtol=1e-5, atol=1e-4)
    assert found.margins.shape == (3, 3) and found.margins.dtype == np.float32
    assert found.query_terms == pytest.approx((queries > 0).sum() / 3)
    assert found.document_terms == pytest.approx((texts > 0).sum() / 5)


def test_margins_of_the_base_do_not_depend_on_how_many_rows_are_held(base, monkeypatch):
    whole = base_margins(data(times=3), base, 64, 1)
    monkeypatch.setattr("repro.training.base_margins.CHUNK", 2)
    parts = base_margins(data(times=3), base, 64, 1)
    assert np.allclose(parts.margins, whole.margins, rtol=1e-5, atol=1e-4)
    assert np.allclose(parts.margins[:3], parts.margins[6:], rtol=1e-5, atol=1e-4)


def test_margins_of_the_base_are_of_texts_cut_as_in_training(base):
    short, long = base_margins(data(), base, 4, 1), base_margins(data(), base, 64, 1)
    assert short.document_terms < long.document_terms and not np.allclose(short.margins, long.margins)


def test_a_recipe_that_states_its_numbers_is_taken_at_its_word(base):
    settings, rows = settle(recipe(epochs=3.0, learning_rate=2e-5), data(), base, 1)
    assert (settings.max_length, settings.epochs, settings.learning_rate) == (64, 3.0, 2e-5)
    assert settings.margin_scale == 2.0 and settings.temperature == 1.0
    assert settings.query_terms is None and settings.document_terms is None
    assert "base" not in rows.column_names
    assert settings.record() == {
        "max_length": 64,
        "epochs": 3.0,
        "learning_rate": 2e-5,
        "margin_scale": 2.0,
        "temperature": 1.0,
    }


def test_epochs_and_learning_rate_follow_from_the_number_of_rows(base):
    auto = recipe(epochs="auto", learning_rate="auto")
    settings, _ = settle(auto, data(times=200), base, 1)
    assert settings.epochs == LEAST_ROWS / 600 and settings.learning_rate == LEARNING_RATE
    settings, _ = settle(auto, data(times=LEAST_ROWS * 4 // 3), base, 1)
    assert settings.epochs == 1 and settings.learning_rate == pytest.approx(LEARNING_RATE / 2)


def test_the_length_is_that_of_the_passages(base):
    """At 95 %, [CLS] and [SEP] among the tokens, in steps of 16, at most 128."""
    tokenizer, _ = load_masked_lm(base)
    words = {count: " ".join(["sea"] * count) for count in (13, 15, 60, 400)}
    assert [len(tokenizer(text)["input_ids"]) for text in words.values()] == [15, 17, 62, 402]

    def length(*counts, times=1):
        texts = [words[count] for count in counts]
        return settle(recipe(max_length="auto"), data(texts, times), base, 1)[0].max_length

    assert length(13, 13, 13, 13, 13) == STEP
    assert length(15, 15, 15, 15, 15) == 2 * STEP
    assert length(13, 13, 13, 13, 60) == 4 * STEP
    assert length(400, 400, 400, 400, 400) == LONGEST
    settings, _ = settle(recipe(max_length="auto"), rare(words[13], words[400]), base, 1)
    assert settings.max_length == STEP


def rare(usual, long):
    """Rows of which one text in 40 is long."""
    columns = {"query_id": [str(i) for i in range(10)], "query": ["q"] * 10, "label": [LABEL[0]] * 10}
    passages = {name: [usual] * 10 for name in ("positive", "negative_1", "negative_2", "negative_3")}
    passages["negative_3"] = [long, *[usual] * 9]
    return datasets.Dataset.from_dict(columns | passages)


def test_the_scale_that_is_measured_brings_the_teacher_to_the_base(base, own):
    settings, rows = settle(recipe(margin_scale="auto"), data(), base, 1)
    teacher = np.array(LABEL)
    assert settings.margin_scale == pytest.approx(fitted_scale(teacher, own))
    assert settings.temperature == pytest.approx(spread(settings.margin_scale * teacher))
    assert not np.any(rows["rest"])


def test_what_is_learned_is_a_mixture_of_the_teachers_margins_and_the_bases(base, own):
    mixed = recipe(margin_scale=20.0, teacher_share=0.25, margin_floor=None, negatives=[0, 2])
    settings, rows = settle(mixed, data(), base, 1)
    learned = 0.25 * 20 * np.array(LABEL) + 0.75 * own
    assert settings.margin_scale == 20 and settings.temperature == pytest.approx(spread(learned))
    chosen = training_rows(rows, mixed, settings.margin_scale)
    ordered = np.sort(learned, axis=1)
    assert np.allclose(chosen["label"], ordered[:, [0, 2]], rtol=1e-5)
    hardest = [f"negative_{n + 1}" for n in learned.argmin(axis=1)]
    assert list(chosen["negative_1"]) == [rows[row][name] for row, name in enumerate(hardest)]


def test_bm25_has_its_share_and_the_models_what_it_leaves(base, own):
    mixed = recipe(margin_scale=20.0, teacher_share=0.25, bm25_share=0.4, margin_floor=None, negatives=[0, 1])
    bm25 = [[float(row + i * i) for i in range(1, 4)] for row in range(len(LABEL))]
    settings, rows = settle(mixed, data().add_column("bm25", bm25), base, 1)
    models = 0.25 * 20 * np.array(LABEL) + 0.75 * own
    learned = 0.4 * fitted_scale(np.array(bm25), own) * np.array(bm25) + 0.6 * models
    assert settings.temperature == pytest.approx(spread(learned))
    chosen = training_rows(rows, mixed, settings.margin_scale)
    assert np.allclose(chosen["label"], np.sort(learned, axis=1)[:, :2], rtol=1e-5)
    nothing = data().add_column("bm25", np.zeros_like(LABEL).tolist())
    with pytest.raises(InputError, match="bm25_share: BM25's margins are all zero; set it to 0"):
        settle(mixed, nothing, base, 1)


@pytest.mark.parametrize("terms", ["base", 80.0])
def test_terms_are_held_to_the_bases_or_to_a_number_of_a_documents(terms, base, weights):
    settings, _ = settle(recipe(active_terms=terms), data(), base, 1)
    queries, texts = weights
    assert settings.query_terms == pytest.approx((queries > 0).sum() / 3)
    assert settings.document_terms == pytest.approx((texts > 0).sum() / 5 if terms == "base" else 80)
    assert settings.margin_scale == 2.0
    assert set(settings.record()) >= {"query_terms", "document_terms"}
    assert settle(recipe(teacher_share=0.5), data(), base, 1)[0].query_terms is None


def test_the_record_is_rounded(base):
    settings, _ = settle(recipe(learning_rate=1e-4 / 3, epochs=math.pi), data(), base, 1)
    assert settings.record()["learning_rate"] == 3.333e-5 and settings.record()["epochs"] == 3.142


@pytest.mark.parametrize("change", [{"loss": "kl"}, {"loss": "both"}, {"in_batch": True}])
def test_losses_that_have_a_temperature_get_one_that_fits_the_scores(base, change):
    settings, rows = settle(recipe(margin_scale=3.0, **change), data(), base, 1)
    learned = 3.0 * np.array(rows["label"])  # the teacher's alone
    assert settings.temperature == pytest.approx(spread(learned)) != 1.0
    assert settings.margin_scale == 3.0 and settings.query_terms is None
