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
from repro.benchmarks.request import DEFAULT_SYSTEMS, BenchRequest, make_request
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


def scale(request: BenchRequest) -> tuple[Record, str]:
    """Index and search drawn collections of growing size, and race the compiled search with block-max pruning
    on them; evaluate a run as long as that of MS MARCO's dev set.
    """
    from repro.benchmarks import block_max, evaluating, scaling

    options, folder = request.options, request.folder.resolve()
    drawn = evaluating.DrawnRun(str(folder / "evaluation"), options.queries, options.hits)
    evaluators = evaluating.contestants(drawn)
    sized = [scaling.name(size) for size in options.sizes]
    pruners = [block_max.name(block) for block in options.blocks]
    request.check_names([*sized, *pruners, *(one.name for one in evaluators)])
    record: Record = {"stage": "scale"}
    texts = []
    if any(map(request.takes, [*sized, *pruners])):
        queries, documents = request.encoded_queries(), request.artifacts(request.splits[0]).documents
        vectors = request.reading(documents, "encode")
        collection = scaling.draw(vectors, documents.fingerprint, folder / "scale", options.sizes)
    if any(map(request.takes, sized)):
        racers = scaling.contestants(
            folder / "scale", options.sizes, queries, options.hits, request.work.threads, options.memory
        )
        hits, memory = options.hits, options.memory
        record, text = race(request, racers, "documents a second", hits=hits, memory=memory)
        texts.append(text)
    if any(map(request.takes, pruners)):
        pruned, text = block_max.race_sizes(request, collection, queries)
        record |= pruned
        texts.append(text)
    if any(request.takes(one.name) for one in evaluators):
        evaluating.make(drawn)
        record["evaluation"], text = race(
            request,
            evaluators,
            "run lines a second",
            warm=False,
            queries=options.queries,
            hits=options.hits,
        )
        texts += [f"A run of {options.queries:,} queries x {options.hits:,} hits, evaluated:", text]
    return record, "\n\n".join(texts)


def walk(request: BenchRequest) -> tuple[Record, str]:
    """Walk the way of a SPLADE row at a size that is not at hand, and add up what its stages take."""
    from repro.benchmarks import walking

    options, of = request.options, request.artifacts(request.splits[0])
    way = walking.Way(
        str((request.folder / "walk").resolve()),
        request.system,
        request.collection.collection,
        request.splits[0],
        options.limit,
        options.documents,
        options.queries,
        options.hits,
        request.work.threads,
        options.memory,
    )
    vectors, queries = request.reading(of.documents, "encode"), request.encoded_queries()
    sources = [of.documents, *(request.artifacts(split).queries for split in request.splits)]
    walking.draw(way, vectors, queries, [source.fingerprint for source in sources])
    stages = walking.contestants(way)
    facts = {"documents": options.documents, "queries": options.queries, "hits": options.hits}

    whole = options.only is None

    def compared() -> Record:
        return {"check": walking.check(way, options.every)} if whole else {}

    record, text = race(
        request, stages, "items a second", compared, alone=True, warm=False, rounds=1, **facts
    )
    return record, f"{text}\n\n{walking.total(record)}" if whole else text


def memory(request: BenchRequest) -> tuple[Record, str]:
    """Encode, and index and search dense vectors, at growing sizes: a process each, once."""
    from repro.benchmarks import memory as measuring

    options, threads = request.options, request.work.threads
    folder = request.folder.resolve() / "memory"
    systems = (request.system, DEFAULT_SYSTEMS["dense"])
    measured = measuring.dense(options.sizes, folder, options.hits, threads)
    encoders = measuring.encoders(systems, request.collection, options.limit, folder, threads)
    request.check_names([one.name for one in (*encoders, *measured)])
    if any(request.takes(one.name) for one in measured):
        measuring.draw(folder, options.sizes)
    return race(request, [*encoders, *measured], "items a second", alone=True, warm=False, hits=options.hits)


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
}
