"""What each stage of ``python -m repro.bench`` measures: its contestants, and the check of their results.

A stage takes a request and returns what ``--json`` writes; ``differing`` in it counts wrong results.
"""

import itertools
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict

from repro.base.errors import InputError
from repro.base.files import write_json
from repro.base.progress import bar, note
from repro.benchmarks.racing import Record, race
from repro.benchmarks.request import BenchRequest, make_request
from repro.benchmarks.stages_at_size import killed, memory, scale, walk
from repro.cli.bench_options import BenchOptions
from repro.cli.options import FAISS_KINDS, CollectionOptions, DenseOptions, WorkOptions
from repro.collections.opening import open_collection
from repro.models.systems import find_system
from repro.report.readme import pages, update_block


def benchmark(stage: str, collection: CollectionOptions, work: WorkOptions, options: BenchOptions) -> Record:
    """Run a stage, print its table, write what the options ask for, and return what was found."""
    with ExitStack() as locks:
        request = make_request(stage, collection, work, options, locks)
        result, text = STAGES[stage](request)
    print(text)
    if options.json is not None:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        write_json(options.json, result)
    if options.readme:
        _write_block(_block(request), text)
    return result


def _block(request: BenchRequest) -> str:
    """Return the name of a stage's block, with what else is of influence: the model, as a rule."""
    options = request.options
    of = {"sparsity": options.recipe[0], "adapt": ",".join(options.queries_from or ())}.get(
        request.stage, request.label
    )
    return f"bench {request.stage} {of}" if of else f"bench {request.stage}"


def _write_block(name: str, text: str) -> None:
    wrote = [str(page) for page in pages() if update_block(page, name, text)]
    missing = f"neither README.md nor a page in docs/ has a whole block <!-- {name} -->; nothing was written"
    note(f"wrote {' and '.join(wrote)}" if wrote else missing)


def exactness(request: BenchRequest) -> tuple[Record, str]:
    """Compare every posting with the plain float32 formula."""
    from repro.benchmarks.exactness import Comparison, compare

    limit = request.options.limit
    documents = open_collection(request.collection.collection, request.collection.split).documents()
    texts = (document.text for document in itertools.islice(documents, limit))
    found = Comparison()
    with bar(limit, "comparing", "passages") as progress:
        for found in compare(request.weights(), texts, request.work.threads):
            progress.update(found.texts - progress.n)
    result = asdict(found)
    return result, "\n".join(f"{name.replace('_', ' '):<20} {value:>14,}" for name, value in result.items())


def encode(request: BenchRequest) -> tuple[Record, str]:
    """Race the encoders; vectors of dense ones are compared first."""
    from repro.benchmarks import dense_encoding, encoding

    options, collection = request.options, request.collection
    if find_system(request.system).kind == "dense":
        what = request.system, request.weights(), collection, options.limit
        racers = dense_encoding.contestants(*what, options.every, request.work.threads)
        request.check_names([one.name for one in racers])
        found = dense_encoding.compare(*what, request.work.threads)
        return race(request, racers, "passages a second", lambda: found, passages=options.limit)
    racers = encoding.contestants(
        request.weights(), collection, options.limit, options.every, request.work.threads
    )
    return race(request, racers, "passages a second", passages=options.limit)


def index(request: BenchRequest) -> tuple[Record, str]:
    """Race the indexers, then compare what they built."""
    from repro.benchmarks import indexing
    from repro.lucene.indexing import compare_indexes

    documents = request.artifacts(request.collection.split).documents
    vectors = request.reading(documents, "encode")
    count = (documents.manifest() or {})["counts"]["texts"]
    threads, memory = request.work.threads, request.options.memory
    racers = indexing.contestants(vectors, count, request.folder, threads, memory)

    def compare() -> Record:
        postings, differences = compare_indexes(*(indexing.folder(request.folder, n) for n in indexing.NAMES))
        same = f"The two indexes hold the same {postings:,} postings, documents, fields and norms."
        check = "; ".join(differences) or same
        return {"postings": postings, "differing": differences, "check": check}

    return race(request, racers, "documents a second", compare)


def search(request: BenchRequest) -> tuple[Record, str]:
    """Race the searchers over the encoded queries of all splits, then compare the rankings with the exact
    product.
    """
    from repro.benchmarks import searching

    queries, first = request.encoded_queries(), request.artifacts(request.splits[0])
    where, vectors = request.reading(first.index, "index"), request.reading(first.documents, "encode")
    hits, threads = request.options.hits, request.work.threads
    racers = searching.contestants(where, vectors, queries, hits, threads, request.options.every)

    def compare() -> Record:
        total, wrong = searching.check(where, vectors, queries, hits, threads)
        equal = f"{total - wrong:,} of {total:,} rankings equal the exact product's"
        return {"queries": total, "differing": wrong, "check": f"{equal}: documents, order and scores."}

    return race(request, racers, "queries a second", compare, hits=hits)


def retrieve(request: BenchRequest) -> tuple[Record, str]:
    """Race query encoding and searching together."""
    from repro.benchmarks import retrieving

    of = request.artifacts(request.collection.split)
    where, hits = request.reading(of.index, "index"), request.options.hits
    racers = retrieving.contestants(of.model.path, where, request.collection, hits, request.work.threads)
    return race(request, racers, "queries a second", hits=hits)


def terms(request: BenchRequest) -> tuple[Record, str]:
    """Search with fewer and fewer terms."""
    from repro.benchmarks import query_terms

    queries = request.encoded_queries()
    where = request.reading(request.artifacts(request.splits[0]).index, "index")
    collection, hits = request.collection.collection, request.options.hits
    racers = query_terms.contestants(where, queries, collection, request.splits, hits, request.work.threads)
    return race(request, racers, "queries a second", hits=hits)


def train(request: BenchRequest) -> tuple[Record, str]:
    """Race training steps."""
    from repro.benchmarks import training_steps

    data, batch = request.options.data, request.options.batch
    if data is None or not list(data.glob("*.parquet")):
        raise InputError("--data: expected a folder of parquet files that python -m repro.distill made")
    rows = training_steps.count_rows(data)
    if rows < batch:
        raise InputError(f"--data {data}: {rows} rows are fewer than one batch of {batch} (--batch)")
    racers = training_steps.contestants(request.weights(), data, batch, request.work.threads)
    return race(request, racers, "rows a second", alone=True)


def sparsity(request: BenchRequest) -> tuple[Record, str]:
    """Train a recipe with several weights of its regularisers."""
    from repro.benchmarks.sparsity import sparsity_table, sweep

    name, *changes = request.options.recipe
    collections = [CollectionOptions(request.collection.collection, split) for split in request.splits]
    trained = sweep(name, changes, request.options.weights, collections, request.work)
    models = [asdict(one) for one in trained]
    record = {"stage": "sparsity", "recipe": request.options.recipe, "models": models}
    return record, sparsity_table(trained)


def adapt(request: BenchRequest) -> tuple[Record, str]:
    """Adapt the base to collections, and compare both on each."""
    from repro.benchmarks.adapted import adapted_tables, record
    from repro.benchmarks.adapting import adapt_all

    options = request.options
    if not options.collections:
        raise InputError("adapt: name the collections, --collections FOLDER:TRAIN:TEST,...")
    if options.system is not None:
        raise InputError("--system: adapt has the base of its recipe; another one is --variants base=...")
    if len(options.variants) > 1 and len(options.collections) == 1:
        raise InputError(
            "--variants: a collection gets the variant that is best on the others, so name two collections "
            "or more, or one variant"
        )
    found = adapt_all(options.collections, options.variants, options.queries_from, request.work)
    variants = [asdict(variant) for variant in options.variants]
    facts = {"stage": "adapt", "queries_from": list(options.queries_from or ()), "variants": variants}
    return facts | record(found), adapted_tables(found)


def dense(request: BenchRequest) -> tuple[Record, str]:
    """Race the kinds of dense indexes."""
    from repro.benchmarks import dense as racing

    split, hits = request.collection.split, request.options.hits
    indexes = {
        kind: request.reading(request.artifacts(split, DenseOptions(kind)).index, f"index --faiss {kind}")
        for kind in FAISS_KINDS
    }
    queries = request.reading(request.artifacts(split).queries, "encode --only queries")
    racers = racing.contestants(indexes, queries, hits, request.work.threads)
    return race(request, racers, "queries a second", hits=hits)


STAGES: dict[str, Callable[[BenchRequest], tuple[Record, str]]] = {
    "encode": encode,
    "exactness": exactness,
    "index": index,
    "search": search,
    "retrieve": retrieve,
    "terms": terms,
    "train": train,
    "dense": dense,
    "sparsity": sparsity,
    "adapt": adapt,
    "scale": scale,
    "walk": walk,
    "memory": memory,
    "killed": killed,
}
