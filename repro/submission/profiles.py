"""What each venue demands of a run, and where it says so."""

import re
from dataclasses import dataclass

from repro.base.errors import InputError

TREC_COLUMNS = "qid Q0 docid rank score tag"
MSMARCO_COLUMNS = "qid<TAB>pid<TAB>rank"


@dataclass(frozen=True)
class DocidForm:
    """A kind of document by the form of its ids; ``depth`` documents a topic may be handed in (None: any)."""

    name: str
    pattern: re.Pattern[bytes]
    example: str
    depth: int | None


@dataclass(frozen=True)
class Profile:
    """A venue's demands. All documents of a run have one of ``docids``, that of its first line.

    ``columns`` are those of a line. ``numbers``: whether topics' ids must be integers. ``tag`` is None where
    lines have none. ``header``: whether ir_metadata's commented header may stand before the lines.
    """

    name: str
    columns: str
    docids: tuple[DocidForm, ...]
    numbers: bool
    tag: re.Pattern[bytes] | None
    tag_form: str
    header: bool
    source: str

    @property
    def tabular(self) -> bool:
        """Whether lines are MS MARCO's three columns, instead of TREC's six."""
        return self.columns == MSMARCO_COLUMNS


ANY_WORD = re.compile(rb"[^\x00-\x20\x7f]+")
TREC_TAG = re.compile(rb"[A-Za-z0-9_-]{1,25}")
TREC_TAG_FORM = "1 to 25 letters, digits, '-' and '_'"

PASSAGES_V1 = DocidForm("passages of MS MARCO v1", re.compile(rb"[0-9]+"), "8412684", 1000)
DOCUMENTS_V1 = DocidForm("documents of MS MARCO v1", re.compile(rb"D[0-9]+"), "D1035797", 100)
PASSAGES_V2 = DocidForm(
    "passages of MS MARCO v2", re.compile(rb"msmarco_passage_\d\d_\d+"), "msmarco_passage_02_18566484", 100
)
DOCUMENTS_V2 = DocidForm(
    "documents of MS MARCO v2", re.compile(rb"msmarco_doc_\d\d_\d+"), "msmarco_doc_01_1673970458", 100
)
SEGMENTS_V21 = DocidForm(
    "segments of MS MARCO v2.1",
    re.compile(rb"msmarco_v2\.1_doc_\d\d_\d+#\d+_\d+"),
    "msmarco_v2.1_doc_51_766815931#2_1606878413",
    100,
)

GENERIC = Profile(
    name="generic",
    columns=TREC_COLUMNS,
    docids=(DocidForm("documents", ANY_WORD, "any word", None),),
    numbers=False,
    tag=ANY_WORD,
    tag_form="one word",
    header=True,
    source="NIST's checker of standard runs (check-stdtrec.py), without its limit of 1,000 documents a topic",
)
DEEP_LEARNING = Profile(
    name="dl",
    columns=TREC_COLUMNS,
    docids=(PASSAGES_V1, DOCUMENTS_V1, PASSAGES_V2, DOCUMENTS_V2),
    numbers=True,
    tag=TREC_TAG,
    tag_form=TREC_TAG_FORM,
    header=False,
    source="NIST's checkers of TREC's Deep Learning tracks of 2020 (MS MARCO v1) and 2022 (v2)",
)
RAG = Profile(
    name="rag",
    columns=TREC_COLUMNS,
    docids=(SEGMENTS_V21,),
    numbers=False,
    tag=TREC_TAG,
    tag_form=TREC_TAG_FORM,
    header=False,
    source="guidelines of TREC's RAG tracks of 2024 and 2025, retrieval task "
    "(https://trec-rag.github.io/annoucements/2025-track-guidelines)",
)
MSMARCO = Profile(
    name="msmarco",
    columns=MSMARCO_COLUMNS,
    docids=(PASSAGES_V1, DOCUMENTS_V1),
    numbers=True,
    tag=None,
    tag_form="",
    header=False,
    source="README and ms_marco_eval.py of https://github.com/microsoft/MSMARCO-Passage-Ranking-Submissions",
)
PROFILES = {profile.name: profile for profile in (GENERIC, DEEP_LEARNING, RAG, MSMARCO)}


def find_profile(name: str) -> Profile:
    """Return a profile by its name; InputError if there is none."""
    if name not in PROFILES:
        raise InputError(f"--profile {name}: expected one of {', '.join(PROFILES)}")
    return PROFILES[name]
