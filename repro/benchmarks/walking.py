"""The way of a SPLADE row at MS MARCO's size: each stage is measured on as many documents, then added up.

Encoding takes hours at that size, so a part of the passages is encoded: real ones with their words in another
order, made as they are read. All other stages work on as many documents and queries as there are, whose
vectors are drawn (``formats.drawn_vectors``). Each stage is a process of its own.
"""

import itertools
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from repro.artifacts.store import Artifact
from repro.base.files import folder_bytes, remove, write_text
from repro.base.progress import bar, track
from repro.benchmarks.contest import Contestant
from repro.benchmarks.evaluating import MEASURES, timed
from repro.benchmarks.worker import PEAK, SECONDS, Figures, Work, measure
from repro.cli.options import EncodingOptions, MeasureOptions
from repro.cli.stages import stage
from repro.collections.model import Document
from repro.collections.opening import open_collection
from repro.formats.drawn_vectors import KEPT, draw_vectors
from repro.formats.impact_vectors import read_vectors, write_shards
from repro.formats.runs import write_run
from repro.models.systems import find_system
from repro.models.weights import resolve

if TYPE_CHECKING:
    from repro.engines.protocol import Text

Walked = tuple[Work, int, Path | None]
"""A stage's work, the items that are all of it, and the folder of what it makes, if that stays."""
ALL, DISK = "seconds for all", "GB for all"
"""Of each stage: how long it takes, and what it leaves on the disk."""


@dataclass(frozen=True)
class Way:
    """What is walked: so many documents and queries, with so many hits each. ``folder`` holds all of it.

    ``passages`` are encoded, of the collection's split.
    """

    folder: str
    system: str
    collection: str
    split: str | None
    passages: int
    documents: int
    queries: int
    hits: int
    threads: int
    memory: int

    @property
    def drawn(self) -> Path:
        """The folder of drawn vectors, of documents and queries, and judgments."""
        return Path(self.folder) / f"drawn-{self.documents}-{self.queries}"

    def made(self, stage: str) -> Path:
        """Return where a stage leaves what it makes."""
        return Path(self.folder) / f"{stage}-{self.documents}"

    def emptied(self, stage: str) -> Path:
        """Return the same, as an empty folder."""
        remove(folder := self.made(stage))
        folder.mkdir(parents=True)
        return folder


def contestants(way: Way) -> list[Contestant]:
    """Return the stages, in their order."""
    settings = asdict(way)
    function = f"{__name__}:walk"
    return [Contestant(name, function, {"stage": name, "way": settings}, rival=False) for name in STAGES]


def walk(stage: str, way: dict[str, Any]) -> Work:
    """Load what a stage needs; its work tells also what the stage takes for all, if that does a part."""
    of = Way(**way)
    work, of_all, folder = STAGES[stage](of)

    def measured() -> tuple[int, Figures]:
        turn = measure(work)
        share, size = of_all / turn.items, folder_bytes(folder) if folder else 0
        return turn.items, {
            SECONDS: turn.seconds,
            PEAK: turn.peak_memory_mb,
            "done": turn.items,
            ALL: round(share * turn.seconds),
            DISK: round(share * size / 1e9, 2),
        }

    return measured


def draw(way: Way, vectors: Path, queries: Sequence[Path], fingerprints: Sequence[str]) -> None:
    """Draw the vectors from encoded documents and queries, and a judgment a query, unless that was done.

    ``fingerprints`` are those of what ``vectors`` and ``queries`` hold.
    """
    inputs = {"encoded": list(fingerprints), "documents": way.documents, "queries": way.queries, "kept": KEPT}
    artifact = Artifact(way.drawn, inputs)
    with artifact.making():
        if artifact.is_current():
            return
        folder, text = artifact.begin(), next(read_vectors(vectors)).contents
        _write(folder / "documents", [vectors], way.documents, text)
        _write(folder / "queries", queries, way.queries, "")
        rng = random.Random(0)
        judgments = (f"{query} 0 {rng.randrange(way.documents)} 1\n" for query in range(way.queries))
        write_text(folder / "qrels.trec", "".join(judgments))
        artifact.finish(folder)


def _write(folder: Path, sources: Sequence[Path], count: int, text: str) -> None:
    folder.mkdir()
    real = [list(vector.vector.items()) for source in sources for vector in read_vectors(source)]
    drawn = track(draw_vectors(real, count, text), count, f"drawing {folder.name}", folder.name)
    write_shards(folder, drawn)


def encode(way: Way) -> Walked:
    """Encode so many passages into shards, as ``repro.encode`` does."""
    from repro.engines.splade import SpladeWriter

    system = find_system(way.system)
    writer = SpladeWriter(system, resolve(system), EncodingOptions(), way.threads)
    texts = [document.text for document in open_collection(way.collection, way.split).documents()]
    folder = way.emptied("encoded")

    def chunks() -> "Iterator[list[Text]]":
        reordered = _reordered(texts, way.passages)
        with bar(way.passages, "encoding", "passages") as progress:
            while chunk := list(itertools.islice(reordered, writer.window)):
                yield chunk
                progress.update(len(chunk))

    def work() -> int:
        return writer.write(folder, 0, chunks(), "documents")["texts"]

    return work, way.documents, folder


def _reordered(texts: Sequence[str], count: int) -> "Iterator[Text]":
    rng = random.Random(0)
    for number in range(count):
        words = rng.choice(texts).split()
        rng.shuffle(words)
        yield Document(str(number), " ".join(words))


def index(way: Way) -> Walked:
    """Index all documents, as ``repro.index`` does."""
    from repro.lucene.indexing import Indexing, build_impact_index

    folder, building = way.emptied("index"), Indexing(way.threads, way.memory)

    def work() -> int:
        vectors = way.drawn / "documents"
        return sum(build_impact_index(vectors, folder, way.documents, building, {}).values())

    return work, way.documents, folder


def lay_out(way: Way) -> Walked:
    """Lay the index's postings out, as ``repro.index --postings`` does."""
    from repro.postings.building import build_postings

    folder = way.emptied("postings")

    def work() -> int:
        return build_postings(way.made("index"), folder)["documents"]

    return work, way.documents, folder


def search(way: Way) -> Walked:
    """Search with all queries and write the run, as ``repro.search`` does."""
    from repro.lucene.searching import impact_query
    from repro.postings.searching import PostingsSearcher

    folder = way.emptied("run")

    def work() -> int:
        queries = ((v.id, impact_query(v.vector)) for v in read_vectors(way.drawn / "queries"))
        with PostingsSearcher(way.made("postings"), way.threads) as searcher:
            results = track(searcher.search_all(queries, way.hits), way.queries, "searching", "queries")
            write_run(folder / "run.trec", results, "walk")
        return way.queries

    return work, way.queries, folder


def evaluate(way: Way) -> Walked:
    """Evaluate the run: ``python -m repro.evaluate``."""
    measures = MeasureOptions(measures=list(MEASURES))
    run, qrels = way.made("run") / "run.trec", way.drawn / "qrels.trec"
    described = stage("repro.evaluate", str(run), "--qrels", str(qrels), measures)
    return timed(described, way.queries), way.queries, None


STAGES: dict[str, Callable[[Way], Walked]] = {
    "encoding": encode,
    "indexing": index,
    "laying postings out": lay_out,
    "searching": search,
    "evaluating": evaluate,
}


def check(way: Way, every: int) -> str:
    """Search each ``every``-th query in the Lucene index as well; return a sentence on both.

    RuntimeError if a ranking is not the same.
    """
    from repro.benchmarks.scaling import compare
    from repro.lucene.searching import BatchSearcher, impact_query
    from repro.postings.searching import PostingsSearcher

    vectors = itertools.islice(read_vectors(way.drawn / "queries"), 0, None, every)
    queries = [impact_query(vector.vector) for vector in vectors]
    with (
        BatchSearcher(way.made("index"), way.threads) as lucene,
        PostingsSearcher(way.made("postings"), way.threads) as compiled,
    ):
        found = compare(lucene, compiled, queries, way.hits)
    told = ", ".join(f"{name}: {value:,}" for name, value in found.items())
    return (
        f"{len(queries):,} queries were searched in the Lucene index, too, with the same rankings ({told})."
    )


def total(record: dict[str, Any]) -> str:
    """Return what all stages of a race's record take together, as a sentence."""
    figures = [of["figures"] for of in (record["ours"], *record["peers"]) if "figures" in of]
    seconds, disk = (sum(of[name] for of in figures) for name in (ALL, DISK))
    parts = " + ".join(f"{of[ALL]:,}" for of in figures)
    return (
        f"{record['documents']:,} documents, {record['queries']:,} queries, {record['hits']:,} hits each: "
        f"{parts} = {seconds:,} s, **{seconds / 3600:.1f} hours**, with {disk:.1f} GB on the disk."
    )
