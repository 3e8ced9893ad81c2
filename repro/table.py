"""Measure systems on a collection: encode, index, search, evaluate what is missing or outdated, and print the table.

    python -m repro.table
    python -m repro.table --collection msmarco-passage/dev --systems bm25,splade-tiny,splade-mini,splade-small

Each stage runs as a process of its own. Results go to <tables>/<collection>.md, .csv and .json, and into README's block
for that collection, if the README here has one, the options are the defaults and no system that it shows would go.
"""

import argparse
import shlex
import subprocess
import sys
from pathlib import Path

from repro.artifacts.graph import Plan
from repro.artifacts.provenance import provenance
from repro.base.errors import InputError
from repro.base.files import read_json, write_json
from repro.base.progress import note
from repro.cli.guard import guarded
from repro.cli.options import (
    add_bm25,
    add_collection,
    add_encoding,
    add_faiss,
    add_query_terms,
    add_runs,
    add_work,
)
from repro.cli.stages import open_corpus, plan_for
from repro.collections.scan import warn_of_unknown
from repro.models.systems import System, find_system, table_systems
from repro.models.weights import NoWeights


def main(argv: list[str] | None = None) -> int:
    """Parse, run the stages that are needed, print and write the table."""
    parser = argparse.ArgumentParser(prog="python -m repro.table", description=__doc__.split("\n")[0])
    add_collection(parser)
    parser.add_argument(
        "--systems",
        metavar="A,B,C",
        help="systems of the table, splade:<model>, dense:<model> (default: the table's, and what repro.train made of this collection)",
    )
    parser.add_argument(
        "--tables", type=Path, default=Path("tables"), help="where tables go (default: ./tables)"
    )
    parser.add_argument("--dry-run", action="store_true", help="print the commands that would run, and stop")
    parser.add_argument(
        "--keep-going", action="store_true", help="if a stage fails, go on with the other systems"
    )
    add_query_terms(parser)
    add_bm25(parser)
    add_faiss(parser)
    add_encoding(parser)
    add_runs(parser)
    add_work(parser)
    args = parser.parse_args(argv)
    figures = (
        "k1",
        "b",
        "scale",
        "precision",
        "faiss",
        "max_query_terms",
    )  # README has the figures for the defaults of these
    args.own_options = any(getattr(args, name) != parser.get_default(name) for name in figures)
    names = args.systems.split(",") if args.systems else list(table_systems())
    args.own_rows = [] if args.systems else trained_on(args.collection, args.split, args.work)
    systems = [find_system(name.strip()) for name in [*names, *args.own_rows]]
    return tabulate(args, dict(zip([*names, *args.own_rows], systems)))


def trained_on(collection: str, split: str | None, work: Path) -> list[str]:
    """Return the models in ``work`` that a recipe trained on this collection, though not on this very split."""
    manifests = {path: read_json(path) for path in sorted((work / "trained").glob("*.manifest.json"))}
    models = []
    for path, manifest in manifests.items():
        model = path.with_name(path.name.removesuffix(".manifest.json"))
        data = (manifest or {}).get("inputs", {}).get("recipe", {}).get("data", {})
        same = _normal(data.get("collection", "")) == _normal(collection)
        if model.is_dir() and same and data.get("split") != split:
            models.append(f"splade:{model}")
    return models


def _normal(collection: str) -> str:
    """Return a folder's full path, however it is written, and any other name as it is."""
    return str(Path(collection).resolve()) if Path(collection).is_dir() else collection


def tabulate(args: argparse.Namespace, systems: dict[str, System]) -> int:
    """Bring the systems' runs up to date, then write the table; 1 if a system that could be run failed."""
    collection, corpus = open_corpus(args)
    qrels = collection.qrels()
    warn_of_unknown(collection, qrels, args.work)
    plans: dict[str, Plan] = {}
    failures: dict[str, str] = {}
    for name, system in systems.items():
        try:
            plans[name] = plan_for(args, system, collection, corpus)
        except NoWeights as error:
            failures[name] = str(error)
    broken = []
    for name, plan in plans.items():
        for command in stage_commands(args, name, plan):
            if args.dry_run:
                print(shlex.join(["python", *command]))
            elif (
                code := subprocess.run(
                    [sys.executable, *command], stdout=subprocess.DEVNULL, check=False
                ).returncode
            ) != 0:
                failures[name] = f"{command[1]} ended with exit code {code}"
                if not args.keep_going:
                    raise InputError(
                        f"{failures[name]} (see above); with --keep-going the other systems would go on"
                    )
                broken.append(name)
                note(f"{name}: {failures[name]}; going on with the others")
                break
    if args.dry_run:
        return 0
    _report(args, collection.name, qrels, systems, plans, failures)
    return 1 if broken else 0


def stage_commands(args: argparse.Namespace, name: str, plan: Plan) -> list[list[str]]:
    """Return the stages' commands (without the interpreter) that bring a plan's run up to date, in order."""
    common = [
        "--collection",
        args.collection,
        *(["--split", args.split] if args.split else []),
        "--system",
        name,
    ]
    common += ["--work", str(args.work), "--threads", str(args.threads), *(["--force"] if args.force else [])]
    quantised = (
        ["--scale", repr(args.scale), "--precision", args.precision] if plan.system.kind == "splade" else []
    )
    dense = ["--faiss", args.faiss] if plan.system.kind == "dense" else []
    commands = []
    learned = plan.weights is not None
    new_documents = learned and (args.force or not plan.documents.is_current())
    new_queries = learned and (args.force or not plan.queries.is_current())
    if new_documents or new_queries:  # one process, so that the model is loaded once
        commands.append(["-m", "repro.encode", *common, *quantised])
    if args.force or new_documents or not plan.index.is_current():
        commands.append(["-m", "repro.index", *common, *quantised, *dense])
    if args.force or commands or not plan.run.is_current():
        own = ["--k1", repr(args.k1), "--b", repr(args.b)] if plan.system.kind == "bm25" else dense
        if plan.system.kind == "splade" and args.max_query_terms:
            own = ["--max-query-terms", str(args.max_query_terms)]
        commands.append(["-m", "repro.search", *common, *quantised, *own, "--runs", str(args.runs)])
    return commands


def _report(
    args: argparse.Namespace,
    collection: str,
    qrels: dict,
    systems: dict[str, System],
    plans: dict[str, Plan],
    failures: dict[str, str],
) -> None:
    """Print the table and write it as Markdown, CSV and JSON, and into README."""
    import pandas

    from repro.report import markdown, results
    from repro.report.readme import shown_systems, update_block

    rows = [
        results.not_run(system, failures[name]) if name in failures else results.measure(plans[name], qrels)
        for name, system in systems.items()
    ]
    text = f"{collection}, {len(qrels):,} judged queries\n\n{markdown.measured_table(rows)}"
    if not_run := markdown.not_run_list(rows):
        text += f"\n\n{not_run}"
    print(text)
    published = [system for system in systems.values() if system.published]
    if published:
        text += f"\n\nPublished on MS MARCO passage dev, not measured here:\n\n{markdown.published_table(published)}"
    args.tables.mkdir(parents=True, exist_ok=True)
    path = args.tables / collection
    Path(f"{path}.md").write_text(text + "\n", encoding="utf-8")
    records = results.as_records(rows)
    pandas.DataFrame.from_records(records, columns=results.COLUMNS).to_csv(f"{path}.csv", index=False)
    write_json(Path(f"{path}.json"), {"collection": collection, "rows": records, "made": provenance()})
    wrote = [f"{path}.md, .csv, .json"]
    readme, block = Path("README.md"), f"table {collection}"
    shown = rows[: len(rows) - len(args.own_rows)]  # README's table is the same on every machine
    whole = shown_systems(readme, block) <= {row.system for row in shown}
    if (
        whole
        and not args.own_options
        and update_block(readme, block, markdown.measured_table(shown, machine=False))
    ):
        wrote.append("README.md")
    update_block(readme, "published", markdown.published_table(table_systems().values()))
    note(f"wrote {' and '.join(wrote)}")


if __name__ == "__main__":
    sys.exit(guarded(main))
