"""Sentences about figures: computed, whatever these are; the original's own are held against its table."""

import pytest
import yaml
from conftest import REPOSITORY

from repro.collections.scan import CorpusSummary
from repro.evaluation.measures import parse_measures
from repro.report.claims import Evidence, of_readme, of_table, original_sentences, sentences
from repro.report.markdown import claims_list, original_list
from repro.report.results import Row, Table

SHARED = REPOSITORY.parent / "shared" / "published.yaml"
REFERENCE = "splade-v3-distilbert"


def evidence(figures):
    systems = tuple(name for name in figures if name not in ("bm25", REFERENCE))
    return Evidence("here", "RR@10", systems, figures)


def test_sentences_of_published_figures_by_hand():
    """30.9 / 18.0 = 1.717, 35.2 / 18.0 = 1.956; 30.9 / 38.7 = .798; 1 - 106.5 / 192.3 = .446; 67 / 4.4."""
    assert sentences(of_readme("readme")) == [
        "splade-tiny, splade-mini and splade-small beat bm25 by 71.7–95.6 % (RR@10)",
        f"splade-tiny, splade-mini and splade-small retain 79.8–91.0 % of {REFERENCE}'s RR@10",
        f"splade-tiny, splade-mini and splade-small have 6.8–44.6 % fewer active dimensions than {REFERENCE}",
        f"splade-tiny, splade-mini and splade-small are 2.3–15.2 x smaller than {REFERENCE}",
    ]
    assert "71.7–96.7 %" in sentences(of_readme("later"))[0]  # small's newer checkpoint, tiny's only one


def test_sentences_turn_with_the_figures():
    reference = {"RR@10": 0.5, "parameters": 50.0, "active_dims": 100.0}
    figures = {
        "bm25": {"RR@10": 0.4},
        "worse": {"RR@10": 0.3, "parameters": 100.0, "active_dims": 150.0},
        "equal": {"RR@10": 0.4, "parameters": 50.0, "active_dims": 100.0},
        "better": {"RR@10": 0.6, "parameters": 10.0, "active_dims": 75.0},
        REFERENCE: reference,
    }
    assert sentences(evidence(figures)) == [
        "better beats bm25 by 50.0 % (RR@10)",
        "worse falls short of bm25 by 25.0 % (RR@10)",
        "equal equals bm25 (RR@10)",
        f"better reaches 120.0 % of {REFERENCE}'s RR@10",
        f"worse and equal retain 60.0–80.0 % of {REFERENCE}'s RR@10",
        f"better has 25.0 % fewer active dimensions than {REFERENCE}",
        f"worse has 50.0 % more active dimensions than {REFERENCE}",
        f"equal equals {REFERENCE} (active dimensions)",
        f"better is 5.0 x smaller than {REFERENCE}",
        f"worse is 2.0 x larger than {REFERENCE}",
        f"equal equals {REFERENCE} (number of parameters)",
    ]


def test_measured_figures_say_only_what_was_measured():
    rows = [
        Row("bm25", "bm25", "measured", figures={"nDCG@10": 0.5}),
        Row("splade-tiny", "splade", "measured", figures={"nDCG@10": 0.6}, parameters=4_400_000),
        Row("all-minilm-l6-v2", "dense", "measured", figures={"nDCG@10": 0.7}),
        Row(REFERENCE, "splade", "not run", "gated"),
    ]
    of = Table("dl", 43, parse_measures(["nDCG@10"]), rows, CorpusSummary(1, 0, ""))
    assert sentences(of_table(of)) == ["splade-tiny beats bm25 by 20.0 % (nDCG@10)"]
    assert claims_list(of_table(of)) == "Measured on dl:\n\n- splade-tiny beats bm25 by 20.0 % (nDCG@10)"
    assert claims_list(of_table(of.of(rows[1:]))) == ""  # nothing to compare with


@pytest.mark.parametrize(("revision", "follow"), [("readme", {"6–15 x", "34–45 %"}), ("later", {"6–15 x"})])
def test_which_of_the_originals_own_sentences_follow_from_its_table(revision, follow):
    readings = original_sentences(of_readme(revision))
    assert {reading.stated for reading in readings if reading.follows} == follow
    assert {reading.stated for reading in readings} == {"65.6–76.3 %", "6–15 x", "80–85 %", "34–45 %"}
    assert all(reading.follows is not None for reading in readings)


def test_the_originals_sentences_are_its_own():
    if not SHARED.is_file():
        pytest.skip("no published figures beside the repository")
    given = yaml.safe_load(SHARED.read_text(encoding="utf-8"))["seed_readme"]["claims"]
    readings = original_sentences(of_readme("readme"))
    assert list(dict.fromkeys(reading.sentence for reading in readings)) == given


def test_the_list_says_what_the_figures_give_instead():
    own = evidence({"bm25": {"RR@10": 0.2}, "splade-tiny": {"RR@10": 0.3}})
    text = original_list([of_readme("readme"), own])
    lines = [
        line
        for line in text.splitlines()
        if "65.6–76.3 %, read as RR@10 of splade-tiny and splade-mini" in line
    ]
    assert len(lines) == 1
    assert "does not follow from published (readme): 71.7–84.4 %" in lines[0]
    assert "cannot be told from here: –" in lines[0]
    assert text.count('- "34-45% fewer active dimensions"') == 1
