"""A teacher's scores of (query, passage) pairs: each text is encoded once, each pair judged once, and what
was computed for another run, or for the table, is taken from the disk.
"""

import contextlib
import functools
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from repro.artifacts.graph import SystemArtifacts
from repro.base.errors import InputError
from repro.base.files import canonical
from repro.base.progress import note
from repro.cli.options import RunsOptions, SystemOptions, WorkOptions
from repro.cli.share_options import Share
from repro.distillation.teacher_store import MappedRows, TeacherStore, open_store
from repro.distillation.teachers import Teacher, bi_encoder, cross_encoder
from repro.formats.embeddings import read_embeddings
from repro.models.systems import MAX_LENGTH
from repro.pipeline.opening import Corpus

Pair = tuple[str, str]
"""The ids of a query and a document."""
Score = Callable[[Sequence[Pair]], np.ndarray]
"""Pairs -> scores, float32."""
Vectors = Callable[[Sequence[str]], np.ndarray]
"""Ids -> vectors (float32, ids x dimensions)."""
Encode = Callable[[list[str]], np.ndarray]
"""Texts -> vectors (float32, texts x dimensions)."""


@dataclass(frozen=True)
class Material:
    """What a teacher scores: texts by id. ``encoded`` is the corpus as it encoded it before, if it did.

    With ``share``, only that of what is missing is computed; what was computed below ``others`` (as --work)
    is taken over.
    """

    teacher: Teacher
    queries: Mapping[str, str]
    texts: Mapping[str, str]
    encoded: Path | None
    work: WorkOptions
    share: Share | None = None
    others: Sequence[Path] = ()

    @property
    def folder(self) -> Path:
        """The folder, below --work, of all that the teacher computes."""
        return Path("teachers", self.teacher.system.name)

    @contextlib.contextmanager
    def store(self, kind: str, **settings: object) -> Iterator[TeacherStore]:
        """Open the store of what the teacher computes of a ``kind`` of texts with ``settings``.

        InputError if one of ``others`` has none.
        """
        inputs = {"weights": self.teacher.weights.sha256, **settings}
        digest = hashlib.sha256(canonical(inputs).encode()).hexdigest()[:12]
        name = self.folder / f"{kind}-{digest}"
        for other in self.others:
            if not (other / name).is_dir():
                raise InputError(
                    f"--merge {other}: {name} is not there; expected what was --work of python -m "
                    f"repro.distill --shard I/N (same options) with the same {self.teacher.name}"
                )
        with open_store(self.work.work / name, [other / name for other in self.others]) as store:
            yield store


@contextlib.contextmanager
def encoded_corpus(teacher: Teacher, corpus: Corpus, work: WorkOptions) -> Iterator[Path | None]:
    """Keep others from replacing the corpus as ``teacher`` encoded it; None if it is not current."""
    documents = None
    if teacher.system.kind == "dense":
        runs = RunsOptions().runs  # of no concern to documents
        documents = SystemArtifacts(
            corpus.collection,
            corpus.summary,
            teacher.system,
            teacher.weights,
            work.work,
            runs,
            SystemOptions(),
        ).documents
    if documents is None or not documents.path.is_dir():
        yield None
        return
    with documents.reading(work.wait):
        yield documents.path if documents.is_current() else None


@contextlib.contextmanager
def scoring(of: Material, pairs: Sequence[Pair]) -> Iterator[Score]:
    """Compute what is missing for ``pairs``, and yield what scores them.

    InputError if the teacher does not load, or its scores are not finite.
    """
    with contextlib.ExitStack() as stores:
        make = _bi_encoders if of.teacher.system.kind == "dense" else _cross_encoders
        yield make(of, pairs, stores)


def _cross_encoders(of: Material, pairs: Sequence[Pair], stores: contextlib.ExitStack) -> Score:
    store = stores.enter_context(of.store("pairs", tokens=MAX_LENGTH))
    load = functools.cache(lambda: cross_encoder(of.teacher, of.work.threads))

    def texts(pair: Pair) -> tuple[str, str]:
        return of.queries[pair[0]], of.texts[pair[1]]

    def compute(asked: Sequence[Pair]) -> np.ndarray:
        return _finite(asked, load()([texts(pair) for pair in asked]))[:, None]

    store.complete(pairs, texts, compute, f"scoring with {of.teacher.name}", "pairs", of.share)
    return lambda asked: store.get(map(texts, asked))[:, 0]


def _bi_encoders(of: Material, pairs: Sequence[Pair], stores: contextlib.ExitStack) -> Score:
    system = of.teacher.system
    load = functools.cache(lambda: bi_encoder(of.teacher, of.work.threads))

    def computed(
        kind: str, texts: Mapping[str, str], ids: list[str], encode: Encode, **settings: object
    ) -> Vectors:
        settings |= {"pooling": system.pooling, "normalise": system.normalise}
        store = stores.enter_context(of.store(kind, **settings))
        store.complete(
            ids,
            lambda item: (texts[item],),
            lambda asked: encode([texts[item] for item in asked]),
            f"encoding with {of.teacher.name}",
            kind,
            of.share,
        )
        return lambda asked: store.get((texts[item],) for item in asked)

    queries = computed(
        "queries",
        of.queries,
        list(dict.fromkeys(query for query, _ in pairs)),
        lambda texts: load().encode_queries(texts),
        max_length=system.query_max_length,
        prefix=system.query_prefix,
    )
    docids = list(dict.fromkeys(docid for _, docid in pairs))
    passages = (
        _read(of.encoded, docids)
        if of.encoded
        else computed(
            "passages",
            of.texts,
            docids,
            lambda texts: load().encode_documents(texts),
            max_length=system.max_length,
            prefix=system.passage_prefix,
        )
    )

    def score(asked: Sequence[Pair]) -> np.ndarray:
        vectors = queries([query for query, _ in asked]), passages([docid for _, docid in asked])
        return _finite(asked, np.einsum("ij,ij->i", *vectors))

    return score


def _read(encoded: Path, docids: list[str]) -> Vectors:
    """Return what finds the vectors of ``docids`` in an encoded corpus; InputError if it is damaged."""
    note(f"the passages' vectors are those of {encoded}")
    asked, rows, vectors = set(docids), dict[str, int](), MappedRows()
    for ids, shard in read_embeddings(encoded):
        rows |= {docid: vectors.rows + row for row, docid in enumerate(ids) if docid in asked}
        vectors.append(shard)
    return lambda docids: vectors.take(np.array([rows[docid] for docid in docids]))


def _finite(pairs: Sequence[Pair], scores: np.ndarray) -> np.ndarray:
    """Return ``scores``; InputError, which names the first query that has others, if not all are finite."""
    finite = np.isfinite(scores)
    if not finite.all():
        query = pairs[int(finite.argmin())][0]
        raise InputError(f"query {query}: the teacher's scores are not all finite; take another teacher")
    return scores
