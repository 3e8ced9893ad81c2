"""What a table takes at least, by what can be counted and need not be measured: dense rows' vectors, and the
memory that stages are given.
"""

from dataclasses import dataclass

from repro.cli.options import IndexingOptions
from repro.collections.irds import IrDataset
from repro.forecast.steps import dense_bytes, dense_memory
from repro.models.systems import System, table_systems

MSMARCO = "msmarco-passage/dev"
HITS = 1000


@dataclass(frozen=True)
class Least:
    """Bytes on the disk that ``dense`` systems' vectors take, once (a flat index is a link to them), and
    bytes of memory.
    """

    dense: list[str]
    disk: int
    memory: int


def least(collection: str = MSMARCO) -> Least:
    """Return what the table of an ir_datasets id takes at least, by the numbers that its metadata state."""
    source = IrDataset(collection)
    documents, queries = source.stated_documents() or 0, (source.stated_queries() or (0, False))[0]
    dense = [of for of in table_systems().values() if of.kind == "dense" and of.shape]
    disk = sum(dense_bytes(documents, _dimensions(of)) for of in dense)
    heap = IndexingOptions().memory * 2**20
    searches = [dense_memory(documents, queries, _dimensions(of), HITS, 0) for of in dense]
    return Least([of.name for of in dense], disk, max([heap, *searches]))


def _dimensions(system: System) -> int:
    return system.shape.hidden if system.shape else 0
