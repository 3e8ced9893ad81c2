"""Queries drawn from a collection's own texts: titles, or spans of passages; each text is its query's answer.

As in the inverse cloze task (Lee et al. 2019, arXiv:1906.00300), for collections where nobody has asked or
judged anything. A draw is decided by the seed and the documents' ids and texts, whatever their order.
"""

import hashlib
import heapq
import itertools
import random
import re
from collections.abc import Callable, Iterable, Iterator, Set
from dataclasses import dataclass

from repro.collections.model import LONGEST_ID, Document, Query

SHORTEST, LONGEST = 4, 12
"""Words of a span."""
SENTENCE = 16
"""Words of a first sentence that are taken, at most."""
SPARE = 1000
"""Documents that stand by where others have a query that was drawn before."""
TRIES = 8
"""Spans of a document that are looked at for one that was not drawn before."""

TitledDocuments = Callable[[], Iterable[tuple[str, Document]]]
"""Reads a corpus through: each document with its title, which may be empty."""


@dataclass(frozen=True)
class Drawn:
    """A query and the id of the document that it was drawn from."""

    query: Query
    document: str


def draw(
    documents: TitledDocuments,
    sources: Iterable[str],
    number: int,
    seed: int,
    excluded: Set[str],
    known: Iterable[Query],
) -> list[Drawn]:
    """Return up to ``number`` queries drawn from ``sources``: ``titles``, ``passages``, or both.

    Both give half of them; spans of passages make up for titles that are missing. No text is drawn twice,
    nor that of a ``known`` query, and nothing is drawn from ``excluded`` documents. A document gives several
    spans only where there are fewer documents than queries. Memory is that of the texts that are drawn from.
    """
    known = list(known)
    seen = {""} | {_plain(query.text) for query in known}
    ids = {query.id for query in known}
    names = sorted(set(sources), key=list(MATERIAL).index)
    drawn: list[Drawn] = []
    for left, source in zip(range(len(names), 0, -1), names):
        share = (number - len(drawn)) // left
        if share:
            sampled = _sample(documents(), source, share + SPARE, seed, excluded)
            drawn += _distinct(sampled, source, share, seed, seen, ids)
    return drawn


def title_query(title: str, text: str) -> str:
    """Return a document's title as a query, else its first sentence; empty if that is too short."""
    if bare := _bare(title):
        return bare
    words = re.split(r"(?<=[.!?])\s", text, maxsplit=1)[0].split()
    return _bare(" ".join(words[:SENTENCE])) if len(words) >= SHORTEST else ""


def spans(text: str, rng: random.Random) -> Iterator[str]:
    """Yield spans of SHORTEST to LONGEST words of a text, at random places, without end.

    They have no punctuation at their ends; of a text with fewer words there is none.
    """
    words = _words(text)
    while len(words) >= SHORTEST:
        length = rng.randint(SHORTEST, min(LONGEST, len(words)))
        start = rng.randrange(len(words) - length + 1)
        yield _bare(" ".join(words[start : start + length]))


def _passage(title: str, text: str) -> str:
    return text if len(_words(text)) >= SHORTEST else ""


MATERIAL: dict[str, Callable[[str, str], str]] = {"titles": title_query, "passages": _passage}
"""What is kept of a document (its title, its text) to draw queries from; titles first, which may lack."""


def _sample(
    documents: Iterable[tuple[str, Document]], source: str, size: int, seed: int, excluded: Set[str]
) -> list[tuple[str, str]]:
    """Return ``size`` documents, drawn evenly from those that have material, each with that.

    They are those of the smallest hashes: a sample that one pass finds, in whatever order they come.
    """
    smallest: list[tuple[int, str, str]] = []  # a heap with the greatest hash, negated, on top
    for title, document in documents:
        if document.id in excluded or not (material := MATERIAL[source](title, document.text)):
            continue
        digest = hashlib.blake2b(f"{seed}.{source}.{document.id}".encode(), digest_size=8).digest()
        entry = (-int.from_bytes(digest, "little"), document.id, material)
        if len(smallest) < size:
            heapq.heappush(smallest, entry)
        else:
            heapq.heappushpop(smallest, entry)
    return [(docid, material) for _, docid, material in sorted(smallest, reverse=True)]


def _distinct(
    sampled: list[tuple[str, str]], source: str, number: int, seed: int, seen: set[str], ids: set[str]
) -> list[Drawn]:
    """Return up to ``number`` queries, one of each document in turn, whose texts and ids are new.

    Both are added to ``seen`` and ``ids``.
    """
    found: list[Drawn] = []
    waiting = [(docid, _queries(source, docid, material, seed)) for docid, material in sampled]
    for turn in itertools.count(1):
        served = []
        for docid, texts in waiting:
            if len(found) == number:
                return found
            identifier = f"from.{source}.{docid}" + (f".{turn}" if turn > 1 else "")
            text = next((t for t in itertools.islice(texts, TRIES) if _plain(t) not in seen), None)
            if text is None or identifier in ids or len(identifier.encode()) > LONGEST_ID:
                continue
            seen.add(_plain(text))
            ids.add(identifier)
            found.append(Drawn(Query(identifier, text), docid))
            served.append((docid, texts))
        if not served:
            return found
        waiting = served
    return found


def _queries(source: str, docid: str, material: str, seed: int) -> Iterator[str]:
    if source == "titles":
        return iter([material])
    return spans(material, random.Random(f"{seed}.{docid}"))


def _words(text: str) -> list[str]:
    """Return a text's words with their punctuation, but none that is nothing else."""
    return [word for word in text.split() if re.search(r"[^\W_]", word)]


def _bare(text: str) -> str:
    """Return a text without punctuation at its ends."""
    return re.sub(r"^[\W_]+|[\W_]+$", "", text)


def _plain(text: str) -> str:
    """Return what two queries have in common that are the same but for capitals and blanks."""
    return " ".join(text.lower().split())
