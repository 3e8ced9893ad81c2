"""From a command's options to the plan of one system's artifacts, and to other stages, run as processes of their own."""

import argparse
import subprocess
import sys

from repro.artifacts.graph import Plan
from repro.base.errors import InputError
from repro.collections.model import Collection
from repro.collections.opening import open_collection
from repro.collections.scan import CorpusSummary, scan_corpus
from repro.models.systems import System, find_system
from repro.models.weights import resolve


def open_corpus(args: argparse.Namespace) -> tuple[Collection, CorpusSummary]:
    """Open ``--collection`` and read its corpus through once, if that was not done before."""
    collection = open_collection(args.collection, args.split)
    return collection, scan_corpus(collection, args.work)


def plan(args: argparse.Namespace, system: System | None = None) -> Plan:
    """Return the plan for ``system`` (default: ``--system``) on ``--collection``; options a stage lacks are defaults."""
    system = system or find_system(args.system)
    return plan_for(args, system, *open_corpus(args))


def plan_for(args: argparse.Namespace, system: System, collection: Collection, corpus: CorpusSummary) -> Plan:
    """Return the plan for ``system`` on a collection that is open; NoWeights if its model is nowhere to be found."""
    return Plan(
        collection,
        corpus,
        system,
        weights=None if system.kind == "bm25" else resolve(system),
        work=args.work,
        runs=getattr(args, "runs", args.work),
        scale=getattr(args, "scale", 256 / 5),
        precision=getattr(args, "precision", "exact"),
        k1=getattr(args, "k1", 0.9),
        b=getattr(args, "b", 0.4),
        hits=getattr(args, "hits", 1000),
        judged_only=not getattr(args, "all_queries", False),
        faiss=getattr(args, "faiss", "flat"),
        max_query_terms=getattr(args, "max_query_terms", None),
    )


def run_stage(module: str, *arguments: str) -> str:
    """Run ``python -m module`` with ``arguments`` and return what it prints; InputError if it fails, having said why."""
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        raise InputError(f"{module} ended with exit code {done.returncode} (see above)")
    return done.stdout.strip()
