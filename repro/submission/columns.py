"""The lines of a run in columns, many at a time; what is wrong with a line by itself is told where it is."""

import math
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol

from repro.base.errors import InputError
from repro.submission.faults import Faults
from repro.submission.profiles import Profile

BATCH = 1 << 16
"""Bytes that are split into lines at a time."""
LONGEST_LINE = 1 << 20
FLOAT32_MAX = 3.4028234663852886e38
LONGEST_RANK = 9
"""Digits."""
LONGEST_SHOWN = 60
"""Letters of a field in a message."""
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class Block(NamedTuple):
    """Documents of one topic in lines from ``number`` on; a rank or score that cannot be read is None."""

    number: int
    query: bytes
    docids: list[bytes]
    ranks: list[int | None]
    scores: list[float | None]


class Tagged(Protocol):
    """What keeps a run's tag, that of its first line."""

    tag: str | None


def shown(field: bytes) -> str:
    """Return a field for a message: cut if it is long, what is not UTF-8 marked."""
    text = field.decode(errors="backslashreplace")
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}..."


def blocks(
    file: BinaryIO, path: Path, number: int, profile: Profile, faults: Faults, run: Tagged
) -> Iterator[Block]:
    """Yield the documents of an open run, whose next line is line ``number``.

    Where nothing is wrong with the lines of a batch, they are taken apart together, else one by one, without
    those that have no document. InputError if a line is longer than any of a run.
    """
    read_together = _msmarco_columns if profile.tabular else _trec_columns
    read_line = _msmarco_line if profile.tabular else _trec_line
    while batch := file.read(BATCH):
        if not batch.endswith(b"\n"):
            batch += file.readline(LONGEST_LINE)
        lines = batch.removesuffix(b"\n").split(b"\n")
        if len(lines[-1]) >= LONGEST_LINE:
            raise InputError(f"{path}, line {number + len(lines) - 1}: longer than any line of a run")
        columns = read_together(batch, lines, run) if _is_text(batch) else None
        if columns is not None:
            yield from _together(number, *columns)
        else:
            for at, line in enumerate(lines, number):
                yield from read_line(at, _checked_text(at, line, faults), profile, faults, run)
        number += len(lines)


Columns = tuple[list[bytes], list[bytes], list[int], list[float] | None]
"""Of a batch: topics, docids, ranks, scores if the form has some."""


def _is_text(batch: bytes) -> bool:
    """Tell whether a batch is UTF-8 without a byte-order mark and NUL."""
    if b"\0" in batch or batch.startswith(BYTE_ORDER_MARK):
        return False
    try:
        return batch.isascii() or bool(batch.decode())
    except UnicodeDecodeError:
        return False


def _trec_columns(batch: bytes, lines: list[bytes], run: Tagged) -> Columns | None:
    """Return the columns of TREC lines with nothing wrong in any; None if there is.

    Every line has six columns, since every sixth word is the tag, no other is, and every line ends with it.
    """
    words, tag, documents = batch.split(), (run.tag or "").encode(), len(lines)
    if len(words) != 6 * documents or batch.count(b" %b\n" % tag) != documents:
        return None
    if words[5::6].count(tag) != documents or words.count(tag) != documents:
        return None
    ranks, scores = words[3::6], words[4::6]
    if words[1::6].count(b"Q0") != documents or not _are_ranks(ranks) or b"_" in b"".join(scores):
        return None
    try:
        values = list(map(float, scores))
    except ValueError:
        return None
    if any(map(math.isnan, values)) or not -FLOAT32_MAX <= min(values) <= max(values) <= FLOAT32_MAX:
        return None
    return words[::6], words[2::6], list(map(int, ranks)), values


def _are_ranks(ranks: list[bytes]) -> bool:
    return b"".join(ranks).isdigit() and all(ranks) and max(map(len, ranks)) <= LONGEST_RANK


def _msmarco_columns(batch: bytes, lines: list[bytes], run: Tagged) -> Columns | None:
    """Return the columns of MS MARCO's lines with nothing wrong in any; None if there is."""
    rows = [line.split(b"\t") for line in lines]
    if set(map(len, rows)) != {3}:
        return None
    queries, docids, ranks = map(list, zip(*rows))
    one_word_each = len(b"".join([*queries, *docids]).split()) == 1 and all(queries) and all(docids)
    return (queries, docids, list(map(int, ranks)), None) if one_word_each and _are_ranks(ranks) else None


def _together(
    number: int, queries: list[bytes], docids: list[bytes], ranks: list[int], scores: list[float] | None
) -> Iterator[Block]:
    """Yield a batch by topics."""
    start = 0
    for query, group in groupby(queries):
        end = start + len(list(group))
        values = [None] * (end - start) if scores is None else scores[start:end]
        yield Block(number + start, query, docids[start:end], [*ranks[start:end]], [*values])
        start = end


def _trec_line(number: int, line: bytes, profile: Profile, faults: Faults, run: Tagged) -> Iterator[Block]:
    """Yield the document of a TREC line (``qid Q0 docid rank score tag``); none unless it has six columns."""
    fields = line.split()
    if len(fields) != 6:
        faults.add(*_wrong_columns(number, line, len(fields), profile))
        return
    query, literal, docid, rank, score, tag = fields
    if literal != b"Q0":
        faults.add("Q0", number, f"the second column is {shown(literal)!r}; expected Q0")
    name = tag.decode(errors="backslashreplace")
    if run.tag is None:
        run.tag = name
        if profile.tag is not None and not profile.tag.fullmatch(tag):
            faults.add("tag", number, f"tag {shown(tag)!r}; expected {profile.tag_form}")
    elif name != run.tag:
        faults.add("tag", number, f"tag {shown(tag)!r}; the lines before have {run.tag!r}")
    yield Block(number, query, [docid], [_rank(number, rank, faults)], [_score(number, score, faults)])


def _msmarco_line(number: int, line: bytes, profile: Profile, faults: Faults, run: Tagged) -> Iterator[Block]:
    """Yield the document of a line of qid, pid, rank between tabs; none if it has others."""
    fields = line.strip().split(b"\t")
    if len(fields) == 3 and all(fields):
        query, docid, rank = fields
        yield Block(number, query, [docid], [_rank(number, rank, faults)], [None])
    elif len(line.split()) == 3:
        faults.add("columns", number, f"columns separated by blanks; expected {profile.columns}")
    else:
        faults.add(*_wrong_columns(number, line, len(line.split()), profile))


def _checked_text(number: int, line: bytes, faults: Faults) -> bytes:
    """Return a line without a byte-order mark; a fault for that, for NUL, and for what is not UTF-8."""
    if number == 1 and line.startswith(BYTE_ORDER_MARK):
        faults.add("text", number, "a byte-order mark before the first column; save it as UTF-8 without one")
        line = line[len(BYTE_ORDER_MARK) :]
    if b"\0" in line:
        faults.add("text", number, "a NUL character")
    if not line.isascii():
        try:
            line.decode()
        except UnicodeDecodeError:
            faults.add("text", number, "not UTF-8 text")
    return line


def _wrong_columns(number: int, line: bytes, found: int, profile: Profile) -> tuple[str, int, str]:
    """Return the fault of a line with a wrong number of columns, with what it looks like."""
    start, tabular = line.lstrip()[:1], profile.tabular
    if found == 0:
        return "columns", number, "a blank line; leave it out"
    if start == b"#":
        return "comment", number, "a comment, which is no line of a run; leave it out"
    if start in (b"{", b"["):
        return "columns", number, "JSON; make a run of it with python -m repro.submit convert"
    if found < 3 and line.count(b",") >= (2 if tabular else 5):
        return "columns", number, f"columns separated by commas; expected {profile.columns}"
    looks = ""
    if not tabular:
        looks = {3: ", as MS MARCO's form (--profile msmarco)", 4: ", as judgments"}.get(found, "")
    elif found == 6:
        looks = ", as a TREC run (python -m repro.submit convert makes MS MARCO's form)"
    return "columns", number, f"{found} column{'s' if found > 1 else ''}{looks}; expected {profile.columns}"


def _rank(number: int, rank: bytes, faults: Faults) -> int | None:
    if rank.isdigit() and len(rank) <= LONGEST_RANK:
        return int(rank)
    faults.add("rank", number, f"rank {shown(rank)!r}; expected a whole number from 1 up")
    return None


def _score(number: int, score: bytes, faults: Faults) -> float | None:
    """Return a score; a fault for what is no finite 32-bit float, or no number in C."""
    try:
        value = float(score)
    except ValueError:
        value = math.nan
    if -FLOAT32_MAX <= value <= FLOAT32_MAX and b"_" not in score:
        return value
    faults.add("score", number, f"score {shown(score)!r}; expected a finite number, as 12.5")
    return None
