"""The queries and judgments of a table as Pyserini and Anserini take them: by their own keys, or as files."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from repro.collections.model import Qrels, Query
from repro.evaluation.measures import Measure
from repro.pipeline.opening import Corpus


@dataclass(frozen=True)
class Measured:
    """A row's figures on a query set, by measure, and how far each moves with ties the other way round."""

    figures: dict[str, float]
    ties: dict[str, float]


PYSERINI_KEYS = {
    "msmarco-passage/dev/small": ("msmarco-v1-passage.dev", "msmarco-v1-passage.dev"),
    "msmarco-passage/trec-dl-2019/judged": ("dl19-passage", "dl19-passage"),
    "msmarco-passage/trec-dl-2020/judged": ("dl20-passage", "dl20-passage"),
}
"""Of ir_datasets' ids, the topic_key and the eval_key of ``pyserini.2cr``."""


@dataclass(frozen=True)
class TopicSet:
    """A query set over the corpus, what is measured on it, and the folder in which its files lie.

    ``spec`` is what ``--collection`` named.
    """

    spec: str
    corpus: Corpus
    queries: list[Query]
    qrels: Qrels
    measures: list[Measure]
    folder: Path

    @property
    def name(self) -> str:
        """The name of the query set."""
        return self.corpus.collection.name

    @property
    def keys(self) -> tuple[str, str]:
        """Return Pyserini's topic_key and eval_key: its own names, or paths."""
        return PYSERINI_KEYS.get(
            self.spec, (f"{self.folder / self.topics_json}", f"{self.folder / self.qrels_txt}")
        )

    @property
    def topics_json(self) -> str:
        """The file that Pyserini reads. It guesses the form of other files from words in their path."""
        return f"topics.{self.name}.json"

    @property
    def topics_tsv(self) -> str:
        """The file that Anserini reads."""
        return f"topics.{self.name}.tsv"

    def encoded_topics(self, system: str, suffix: str) -> str:
        """Return the name of the file of queries that a system has encoded."""
        return f"topics.{self.name}.{system}.{suffix}"

    @property
    def qrels_txt(self) -> str:
        """The file of judgments in TREC's form."""
        return f"qrels.{self.name}.txt"

    def write(self, folder: Path) -> None:
        """Write queries and judgments to ``folder``, where they lie before it gets its name."""
        topics = {query.id: {"title": one_line(query.text)} for query in self.queries}
        _write(folder / self.topics_json, [json.dumps(topics, ensure_ascii=False, indent=1)])
        _write(folder / self.topics_tsv, (f"{query.id}\t{one_line(query.text)}" for query in self.queries))
        judgments = ((query, *entry) for query, judged in self.qrels.items() for entry in judged.items())
        _write(folder / self.qrels_txt, (f"{query} 0 {docid} {grade}" for query, docid, grade in judgments))

    def write_impacts(
        self,
        folder: Path,
        system: str,
        vectors: Iterable[tuple[str, Mapping[str, int]]],
        pyserini: bool = False,
    ) -> None:
        """Write encoded queries as Anserini's, each term as often as its impact says; with ``pyserini`` also
        in the form that Pyserini reads, whose searcher without an encoder counts each term.
        """
        repeated = {
            query: " ".join(" ".join([term] * impact) for term, impact in vector.items())
            for query, vector in vectors
        }
        path = folder / self.encoded_topics(system, "tsv")
        _write(path, (f"{query}\t{terms}" for query, terms in repeated.items()))
        if pyserini:
            topics = {query: {"title": terms} for query, terms in repeated.items()}
            _write(folder / self.encoded_topics(system, "json"), [json.dumps(topics, ensure_ascii=False)])

    def write_embeddings(self, folder: Path, system: str, vectors: Iterable[tuple[str, list[float]]]) -> None:
        """Write encoded queries as Anserini's JSON lines."""
        path = folder / self.encoded_topics(system, "jsonl")
        _write(path, (json.dumps({"qid": query, "vector": vector}) for query, vector in vectors))


def one_line(text: str) -> str:
    """Return a text without tabs and line ends, which would end a field of a TSV file."""
    return " ".join(text.split())


def _write(path: Path, lines: Iterable[str]) -> None:
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        file.writelines(f"{line}\n" for line in lines)
