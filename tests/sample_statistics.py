"""What the embedded sample looks like to a ranker, beside genuine MS MARCO passages.

    python tests/sample_statistics.py --readme [path/to/msmarco-mini]

prints the tables, and with --readme writes them to the pages that have their blocks.
"""

import argparse
import json
import re
import statistics
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from repro.collections.model import Collection, Qrels
from repro.collections.opening import SAMPLE, open_collection
from repro.lucene.java import start_jvm
from repro.report.markdown import table
from repro.report.readme import pages, update_block

BLOCK = "statistics sample"
SHOWN = (0, 1, 6, 7, 8)
"""Lines of the table that README has."""
MSMARCO = Path("../shared/collections/msmarco-mini")
DEFINITION = re.compile(
    r"(what('?s| is| are| was| were)\b|what does .* mean|define\b|meaning of\b)|.*\b(definition|meaning)$"
)
"""Queries that ask what something is."""


@dataclass(frozen=True)
class Statistics:
    """Of a corpus and one split's queries. Shares are between 0 and 1.

    ``lengths`` are words at 10, 50 and 90 % of the passages; ``type_token`` the mean share of different terms
    among a passage's analysed terms; ``coverage`` the mean share of a query's analysed terms that stand in
    its best passage; ``apart`` the share of queries that share no term with it. ``grades`` counts judgments.
    """

    passages: int
    lengths: tuple[int, int, int]
    type_token: float
    semicolons: float
    queries: int
    words: float
    definitions: float
    coverage: float
    apart: float
    relevant: float
    grades: dict[int, int]


def analyser() -> Callable[[str], list[str]]:
    """Return a function from a text to its terms: Anserini's default analyser, stop words out, stemmed."""
    start_jvm()
    from jnius import autoclass

    analyse = autoclass("io.anserini.analysis.AnalyzerUtils").analyze
    english = autoclass("io.anserini.analysis.DefaultEnglishAnalyzer").newDefaultInstance()
    return lambda text: [str(term) for term in analyse(english, text)]


def best_passages(qrels: Qrels) -> dict[str, str]:
    """Return each query's first passage of the highest grade, if that is above 0."""
    best = {query: max(judged, key=lambda document: judged[document]) for query, judged in qrels.items()}
    return {query: document for query, document in best.items() if qrels[query][document] > 0}


def look_at(collection: Collection, terms: Callable[[str], list[str]]) -> Statistics:
    """Return the statistics of a corpus and its split; of a large corpus, those of some 4,000 passages."""
    qrels = collection.qrels()
    best = best_passages(qrels)
    texts = {document.id: document.text for document in collection.documents()}
    seen = list(texts.values())[:: max(1, len(texts) // 4000)]
    lengths = sorted(len(text.split()) for text in seen)
    analysed = [found for found in map(terms, seen) if found]
    queries = [query for query in collection.queries() if query.id in best]
    covered = []
    for query in queries:
        asked = set(terms(query.text))
        if asked:
            covered.append(len(asked & set(terms(texts[best[query.id]]))) / len(asked))
    relevant = [sum(grade > 0 for grade in judged.values()) for judged in qrels.values()]
    counted = [grade for judged in qrels.values() for grade in judged.values()]
    return Statistics(
        passages=len(texts),
        lengths=tuple(lengths[round(share * (len(lengths) - 1))] for share in (0.1, 0.5, 0.9)),
        type_token=statistics.mean(len(set(found)) / len(found) for found in analysed),
        semicolons=statistics.mean(";" in text for text in seen),
        queries=len(queries),
        words=statistics.mean(len(query.text.split()) for query in queries),
        definitions=statistics.mean(bool(DEFINITION.match(query.text.lower())) for query in queries),
        coverage=statistics.mean(covered),
        apart=statistics.mean(share == 0 for share in covered),
        relevant=statistics.mean(relevant),
        grades={grade: counted.count(grade) for grade in sorted(set(counted))},
    )


def styles() -> Iterator[tuple[str, int, int]]:
    """Yield each style of the sample's passages, their number, and how many are relevant to no query."""
    found = {
        document
        for split in ("train", "test")
        for judged in open_collection("sample", split).qrels().values()
        for document, grade in judged.items()
        if grade >= 2
    }
    with open(SAMPLE / "corpus.jsonl", encoding="utf-8") as file:
        of = {record["_id"]: record["metadata"]["style"] for record in map(json.loads, file)}
    for style in sorted(set(of.values())):
        documents = {document for document, its in of.items() if its == style}
        yield style, len(documents), len(documents - found)


def rows(columns: Iterable[Statistics]) -> list[list[str]]:
    """Return the table's lines, without the first cell's header, a cell a column."""
    columns = list(columns)
    show: dict[str, Callable[[Statistics], str]] = {
        "passages": lambda s: f"{s.passages:,}",
        "words of a passage at 10, 50, 90 %": lambda s: ", ".join(map(str, s.lengths)),
        "different terms of a passage's": lambda s: f"{s.type_token:.2f}",
        "passages with a semicolon": lambda s: f"{s.semicolons:.1%}",
        "queries": lambda s: f"{s.queries:,}",
        "words of a query": lambda s: f"{s.words:.1f}",
        "queries that ask what something is": lambda s: f"{s.definitions:.0%}",
        "a query's terms in its best passage": lambda s: f"{s.coverage:.2f}",
        "queries without a term in it": lambda s: f"{s.apart:.1%}",
        "relevant passages of a query": lambda s: f"{s.relevant:.2f}",
        "judgments of grade 0, 1, 2, 3": lambda s: ", ".join(f"{s.grades.get(g, 0):,}" for g in range(4)),
    }
    return [[name, *(cell(of) for of in columns)] for name, cell in show.items()]


def main() -> None:
    """Print the statistics; write them to their page if asked for."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("msmarco", nargs="?", type=Path, default=MSMARCO)
    parser.add_argument("--readme", action="store_true")
    options = parser.parse_args()
    terms = analyser()
    columns = {
        "sample, test": look_at(open_collection("sample", "test"), terms),
        "sample, train": look_at(open_collection("sample", "train"), terms),
        "msmarco-mini, train": look_at(open_collection(str(options.msmarco), "train"), terms),
    }
    lines = rows(columns.values())
    text, some = (table(["", *columns], of) for of in (lines, [lines[i] for i in SHOWN]))
    counts = [[style, str(count), str(idle)] for style, count, idle in styles()]
    by_style = table(["style", "passages", "best or good answer of no query"], counts)
    print(f"{text}\n\n{by_style}")
    if options.readme:
        for page in pages():
            update_block(page, f"{BLOCK}, some", some)
            update_block(page, BLOCK, text)
            update_block(page, f"{BLOCK}, styles", by_style)


if __name__ == "__main__":
    main()
