"""Train a SPLADE model from a recipe; or, as a base for one, a masked language model on a collection's texts.

    python -m repro.train --recipe sample
    python -m repro.train --mlm msmarco-passage --shape tiny --minutes 10

Recipes are in repro/recipes (splade-tiny, splade-mini, splade-small, sample) or a file of one's own; --set changes an entry. The
same command goes on where an interrupted training left its last checkpoint. Several processes: torchrun -m repro.train ...
"""

import argparse
import contextlib
import os
import sys
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path

from repro.artifacts.provenance import provenance
from repro.artifacts.store import Artifact
from repro.base.errors import InputError
from repro.base.files import read_json, remove, write_json
from repro.base.progress import note
from repro.cli.guard import guarded
from repro.cli.options import add_work, refuse_foreign
from repro.cli.stages import run_stage
from repro.models.systems import System, table_systems
from repro.models.weights import Weights, resolve
from repro.training.recipe import Recipe, read_recipe

FORMAT = 1


def main(argv: list[str] | None = None) -> int:
    """Parse, train unless the model is there, tell where it lies."""
    parser = argparse.ArgumentParser(prog="python -m repro.train", description=__doc__.split("\n")[0])
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--recipe", help="splade-tiny, splade-mini, splade-small, sample, or a file")
    what.add_argument(
        "--mlm",
        metavar="C",
        help="pretrain a masked language model from random weights on this collection's texts",
    )
    parser.add_argument(
        "--shape", choices=["tiny", "mini", "small"], default="tiny", help="of --mlm: BERT's (default: tiny)"
    )
    parser.add_argument("--minutes", type=float, default=5, help="of --mlm (default: 5)")
    parser.add_argument(
        "--set", nargs="+", default=[], metavar="KEY=VALUE", help="change entries of the recipe"
    )
    parser.add_argument("--output", type=Path, help="the model's folder (default: <work>/trained/<recipe>)")
    parser.add_argument(
        "--stock", action="store_true", help="with Sentence Transformers' own modules, slower"
    )
    parser.add_argument(
        "--report-to", default="none", help="a tracker that transformers knows: tensorboard, wandb, ..."
    )
    parser.add_argument("--log-every", type=int, metavar="STEPS", help="steps between two lines of the log")
    parser.add_argument("--push-to-hub", metavar="OWNER/NAME", help="hand the model to the Hub")
    add_work(parser)
    args = parser.parse_args(argv)
    if args.mlm and not args.minutes > 0:
        raise InputError(f"--minutes {args.minutes:g}: expected a positive number")
    if args.mlm:
        return pretrain(args)
    recipe = read_recipe(args.recipe, _changes(args.set))
    _check_tracker(args.report_to)
    base = resolve(_base(recipe.base))
    with _first_process_first():
        parquet = _data(recipe, args)
    inputs = {
        "stage": "train",
        "format": FORMAT,
        "recipe": asdict(recipe),
        "base": base.sha256,
        "data": _fingerprint(parquet) if parquet else recipe.data["hub"],
        "stock": args.stock,
    }
    name = recipe.name if recipe.name.startswith("splade") else f"splade-{recipe.name}"
    refuse_foreign(args.output)
    model = Artifact(args.output or args.work / "trained" / name, inputs)
    if args.force or not model.is_current():
        if model.manifest() and not args.force:
            raise InputError(
                f"{model.path} is a model trained with other settings, data or base; name another --output, "
                "or replace it with --force"
            )
        train(recipe, base, parquet, model, args)
    if _first_process():
        if args.push_to_hub:
            _push(model.path, args.push_to_hub)
        print(model.path)
    return 0


def pretrain(args: argparse.Namespace) -> int:
    """Train a masked language model on a collection's texts, with splade-tiny's vocabulary."""
    from repro.collections.opening import open_collection
    from repro.collections.scan import scan_corpus
    from repro.training.pretraining import pretrain as train_masked

    collection = open_collection(args.mlm, None)
    vocabulary = resolve(table_systems()["splade-tiny"])
    inputs = {
        "stage": "pretrain",
        "format": FORMAT,
        "corpus": scan_corpus(collection, args.work).sha256,
        "vocabulary": vocabulary.sha256,
        "shape": args.shape,
        "minutes": args.minutes,
    }
    refuse_foreign(args.output)
    model = Artifact(args.output or args.work / "trained" / f"mlm-{args.shape}.{collection.corpus}", inputs)
    if args.force or not model.is_current():
        folder = model.begin()
        texts = (document.text for document in collection.documents() if document.text)
        facts = train_masked(texts, vocabulary.path, args.shape, args.minutes, folder, args.threads)
        model.finish(folder, **facts)
    print(model.path)
    return 0


def train(
    recipe: Recipe, base: Weights, parquet: Path | None, model: Artifact, args: argparse.Namespace
) -> None:
    """Train, keep the best checkpoint, and leave the model with its card in ``model``'s folder."""
    import datasets
    import torch
    import transformers

    from repro.training import rows as data
    from repro.training.card import model_card
    from repro.training.trainer import HELD_OUT, LOG, make_trainer, open_model, read_log

    datasets.disable_progress_bars()
    transformers.utils.logging.disable_progress_bar()
    torch.set_num_threads(args.threads)
    rows = data.read_rows(recipe, parquet)
    kept, aside = data.split(rows, recipe.held_out)
    task = data.retrieval_task(aside) if len(aside) else None
    checkpoints = model.path.with_name(f"{model.path.name}.checkpoints")
    os.environ.setdefault(
        "TENSORBOARD_LOGGING_DIR", str(model.path.with_name(f"{model.path.name}.tensorboard"))
    )
    with _first_process_first():
        resume = _resume(checkpoints, model.inputs, args.force)
    torch.manual_seed(recipe.seed)
    encoder = open_model(base.path, recipe.max_length, args.stock, args.threads)
    trainer = make_trainer(
        encoder,
        recipe,
        data.training_rows(kept, recipe),
        task,
        checkpoints,
        args.report_to,
        args.log_every,
    )
    if _first_process():
        note(
            f"{recipe.name} ({recipe.origin}): {len(kept):,} rows, {len(aside):,} held out, from {base.source}"
        )
    trainer.train(resume_from_checkpoint=resume)
    measured = trainer.evaluator(encoder) if task else {}
    if not _first_process():
        return
    seconds = read_log(checkpoints / LOG)[-1]["seconds"]
    folder = model.begin()
    encoder.save_pretrained(str(folder), create_model_card=False)
    wanted = {
        "dot_mrr@10": "RR@10",
        "query_active_dims": "active terms a query",
        "corpus_active_dims": "active terms a document",
    }
    held_out = {
        label: round(float(measured[f"{HELD_OUT}_{key}"]), 4)
        for key, label in wanted.items()
        if f"{HELD_OUT}_{key}" in measured
    }
    facts = {
        "command": provenance()["command"],
        "rows": len(kept),
        "steps": trainer.state.global_step,
        "seconds": round(seconds, 1),
        "queries": len(task[0]) if task else 0,
        "passages": len(task[1]) if task else 0,
        "held_out": held_out,
    }
    (folder / "README.md").write_text(model_card(model.path.name, recipe, facts), encoding="utf-8")
    (checkpoints / LOG).replace(folder / "training-log.jsonl")
    model.finish(folder, **facts)
    remove(checkpoints)
    note(f"{model.path}: {trainer.state.global_step:,} steps in {seconds:,.0f} s; {held_out}")


def _check_tracker(name: str) -> None:
    """Raise InputError if transformers does not know a tracker, or its library is not installed."""
    if name == "none":
        return
    from transformers.integrations import get_reporting_integration_callbacks

    try:
        for callback in get_reporting_integration_callbacks([name]):
            callback()
    except (ValueError, RuntimeError, ImportError) as error:
        raise InputError(f"--report-to {name}: {error}") from error


def _base(name: str) -> System:
    """Return the base model's system: one of the table, a folder, or a Hub name."""
    if name in table_systems() and table_systems()[name].kind == "splade":
        return table_systems()[name]
    local = Path(name).expanduser()
    if local.is_dir():
        return System(local.resolve().name, "splade", local=local)
    if name.count("/") != 1:
        raise InputError(f"base: {name} is no system of the table, no folder and no Hub name (owner/model)")
    return System(name, "splade", hub=name)


def _data(recipe: Recipe, args: argparse.Namespace) -> Path | None:
    """Return the parquet file or folder that the recipe names, made first if it is a collection's; None for the Hub."""
    if "hub" in recipe.data:
        return None
    if "parquet" in recipe.data:
        path = Path(recipe.data["parquet"])
        if not path.exists():
            raise InputError(f"data: there is no {path}; make it with python -m repro.distill")
        return path
    options = {name.replace("_", "-"): value for name, value in recipe.data.items()}
    common = ["--work", str(args.work), "--threads", str(args.threads)]
    return Path(
        run_stage(
            "repro.distill", *common, *(text for k, v in options.items() for text in (f"--{k}", str(v)))
        )
    )


def _fingerprint(path: Path) -> str:
    from repro.base.files import sha256_file

    files = sorted(path.glob("*.parquet")) if path.is_dir() else [path]
    return " ".join(sha256_file(file) for file in files)


def _resume(checkpoints: Path, inputs: dict, force: bool) -> bool:
    """Prepare the folder of checkpoints; tell whether it has one of the same training to go on from."""
    if not _first_process():
        return any(checkpoints.glob("checkpoint-*"))
    begun = checkpoints / "inputs.json"
    if not force and read_json(begun) != inputs and any(checkpoints.glob("checkpoint-*")):
        raise InputError(
            f"{checkpoints} holds an interrupted training with other settings, data or base; name another --output, "
            "or throw it away with --force"
        )
    if force or read_json(begun) != inputs:
        remove(checkpoints)
    checkpoints.mkdir(parents=True, exist_ok=True)
    write_json(begun, inputs)
    for path in checkpoints.glob("checkpoint-*"):  # one that was being written when the process died
        if not (path / "trainer_state.json").is_file():
            remove(path)
    found = list(checkpoints.glob("checkpoint-*"))
    if found:
        note(f"going on from {max(found, key=lambda path: path.stat().st_mtime).name}")
    return bool(found)


def _first_process() -> bool:
    return os.environ.get("RANK", "0") == "0"


def _first_process_first() -> contextlib.AbstractContextManager:
    """Return a context that the other processes of torchrun enter when the first has left it, be it after days."""
    if os.environ.get("WORLD_SIZE", "1") == "1":
        return contextlib.nullcontext()
    import torch
    from accelerate import PartialState

    return PartialState(cpu=not torch.cuda.is_available(), timeout=timedelta(days=30)).main_process_first()


def _push(folder: Path, name: str) -> None:
    from huggingface_hub import HfApi

    try:
        HfApi().create_repo(name, exist_ok=True)
        HfApi().upload_folder(folder_path=str(folder), repo_id=name)
    except Exception as error:  # the hub's client raises many unrelated kinds
        raise InputError(
            f"--push-to-hub {name}: {str(error).splitlines()[0]} (the model is at {folder})"
        ) from error
    note(f"pushed {folder} to {name}")


def _changes(pairs: list[str]) -> dict[str, str]:
    changes = {}
    for pair in pairs:
        key, separator, value = pair.partition("=")
        if not separator:
            raise InputError(f"--set {pair}: expected key=value")
        changes[key] = value
    return changes


if __name__ == "__main__":
    sys.exit(guarded(main))
