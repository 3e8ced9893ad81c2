"""Fixtures that several tests share: small collections, the shared real ones, and commands run as a user runs
them.
"""

import argparse
import contextlib
import importlib
import importlib.util
import io
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from unittest import mock

import pytest
from huggingface_hub import constants

from repro.base.locks import locked
from repro.cli.guard import guarded
from repro.cli.stages import Stage
from repro.collections.opening import open_collection
from repro.compiled import native
from repro.models.systems import find_system

# Two test files run at a time, and threads that wait for each other actively would take the other's
# processor.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

REPOSITORY = Path(__file__).resolve().parent.parent
COLLECTIONS = Path(os.environ.get("REPRO_COLLECTIONS", REPOSITORY.parent / "shared" / "collections"))

IN_A_PROCESS = Stage.run
LONG = pytest.mark.skipif(
    not os.environ.get("REPRO_LONG"), reason="takes a minute or more: REPRO_LONG=1 runs it"
)

DOCUMENTS = [
    ("d1", "Tides", "The moon's gravity pulls the oceans, so the sea rises and falls twice a day."),
    ("d2", "", "Bread rises because yeast turns sugar into carbon dioxide."),
    ("d3", "", "A falling barometer means that a storm is on its way."),
    ("d4", "", "Sea salt is made by letting the ocean's water dry in the sun."),
    ("d5", "", "The moon takes 27.3 days to go round the Earth."),
    ("d6", "", "Sourdough keeps for a week; freeze sliced bread to keep it longer."),
]
QUERIES = [
    ("q1", "why does the sea rise and fall"),
    ("q2", "what makes bread rise"),
    ("q3", "how to store a loaf"),
]
QRELS = [("q1", "d1", 3), ("q2", "d2", 2), ("q3", "d6", 1)]


def write_beir(folder: Path, documents=DOCUMENTS, queries=QUERIES, qrels=QRELS) -> Path:
    """Write a BEIR folder from tuples and return it."""
    (folder / "qrels").mkdir(parents=True)
    with open(folder / "corpus.jsonl", "w", encoding="utf-8") as file:
        file.writelines(
            json.dumps({"_id": identifier, "title": title, "text": text}) + "\n"
            for identifier, title, text in documents
        )
    with open(folder / "queries.jsonl", "w", encoding="utf-8") as file:
        file.writelines(json.dumps({"_id": identifier, "text": text}) + "\n" for identifier, text in queries)
    lines = ["query-id\tcorpus-id\tscore", *("\t".join(map(str, judgment)) for judgment in qrels)]
    (folder / "qrels" / "test.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def write_part_of_sample(folder: Path, documents: int, split: str = "test") -> Path:
    """Write the sample's first passages, and the queries that they answer as that split."""
    sample, qrels = open_collection("sample", split), []
    kept = {document.id: document.text for document, _ in zip(sample.documents(), range(documents))}
    for query, judged in sample.qrels().items():
        judged = {docid: grade for docid, grade in judged.items() if docid in kept}
        if any(grade > 0 for grade in judged.values()):
            qrels += [(query, docid, grade) for docid, grade in judged.items()]
    asked = {query for query, *_ in qrels}
    queries = [(query.id, query.text) for query in sample.queries() if query.id in asked]
    write_beir(folder, [(docid, "", text) for docid, text in kept.items()], queries, qrels)
    (folder / "qrels/test.tsv").rename(folder / f"qrels/{split}.tsv")
    return folder


@pytest.fixture
def beir(tmp_path: Path) -> Path:
    """A BEIR folder of six passages and three queries."""
    return write_beir(tmp_path / "tiny")


def real_collection(name: str) -> Path:
    """Return one of the shared real collections; skip the test where they are not at hand."""
    folder = COLLECTIONS / name
    if not folder.is_dir():
        pytest.skip(f"no real collection at {folder} (set REPRO_COLLECTIONS)")
    return folder


def run(*arguments: object, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess:
    """Run ``python -m ARGUMENTS`` as a user would; ``environment`` adds variables.

    ``repro.table`` writes no page here, since drawing its plots takes a second; ``repro table`` writes it.
    """
    return subprocess.run(
        [sys.executable, "-m", *map(str, without_page(arguments))],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), **environment},
        check=False,
    )


def without_page(arguments: Sequence[object]) -> list[object]:
    """Return a command's arguments, with --no-report for ``repro.table``."""
    module, *others = arguments
    return [module, *(["--no-report"] if module == "repro.table" else []), *others]


def run_here(
    module: str, *arguments: object, cwd: Path | None = None, **environment: str
) -> subprocess.CompletedProcess:
    """Do as ``run``, but in this process, as every stage that the command starts, those with FAISS aside.

    For tests that are not about processes: torch, Sentence Transformers and a JVM take seconds to load in
    each. Not for a command that itself uses FAISS, which shares no process with torch.
    """
    as_it_is = Stage.run  # or as a test has replaced it

    def run_stage(stage: Stage) -> str:
        if as_it_is is not IN_A_PROCESS or not shares_this_process(stage):
            return as_it_is(stage)
        with contextlib.redirect_stdout(io.StringIO()) as printed, as_command(stage.module, stage.arguments):
            importlib.import_module(stage.module).main(list(stage.arguments))
        return printed.getvalue().strip()

    hub = {"HF_HUB_CACHE": str, "HF_HUB_OFFLINE": lambda value: value == "1"}  # which is read when imported
    read = {name: parse(environment[name]) for name, parse in hub.items() if name in environment}
    main = importlib.import_module(module).main
    line = [str(argument) for argument in without_page([module, *arguments])[1:]]
    with (
        as_command(module, line),
        contextlib.chdir(cwd or Path.cwd()),
        mock.patch.dict(os.environ, {"PYTHONPATH": str(REPOSITORY), **environment}),
        mock.patch.multiple(constants, **read) if read else contextlib.nullcontext(),
        mock.patch.object(Stage, "run", run_stage),
        contextlib.redirect_stdout(io.StringIO()) as out,
        contextlib.redirect_stderr(io.StringIO()) as err,
    ):
        try:
            code = guarded(lambda: main(line))
        except SystemExit as ended:  # as argparse ends
            code = ended.code
    return subprocess.CompletedProcess([module, *arguments], code, out.getvalue(), err.getvalue())


@contextlib.contextmanager
def as_command(module: str, line: Sequence[str]) -> Iterator[None]:
    """Let what is made inside the block record this command, as if ``python -m`` had started it."""
    spec = importlib.util.find_spec(module)
    with (
        mock.patch.object(sys, "argv", [spec.origin, *line]),
        mock.patch.object(sys.modules["__main__"], "__spec__", spec),
    ):
        yield


def shares_this_process(stage: Stage) -> bool:
    """Tell whether a stage may run where torch is loaded; the JVM may, as in the library."""
    if stage.module in ("repro.index", "repro.search"):
        parser = argparse.ArgumentParser()
        parser.add_argument("--system")
        return find_system(parser.parse_known_args(stage.arguments)[0].system).kind != "dense"
    return stage.module in ("repro.encode", "repro.distill", "repro.train")


def kill_when(reached: Callable[[], object], *arguments: object, cwd: Path) -> None:
    """Start a command and kill -9 it once ``reached`` holds, which must be before it ends."""
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-m", *map(str, arguments)]
    process = subprocess.Popen(command, cwd=cwd, env=environment, stderr=subprocess.DEVNULL)
    while not reached():
        assert process.poll() is None, "it ended before it could be killed"
        time.sleep(0.005)
    process.kill()
    process.wait()


def succeed(*arguments: object, cwd: Path | None = None, by=run, **environment: str) -> str:
    """Run a command that must succeed; return what it printed to stdout."""
    done = by(*arguments, cwd=cwd, **environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def refused(*arguments: object, cwd: Path | None = None, by=run, **environment: str) -> str:
    """Run a command that must end with exit code 2 and one sentence on stderr; return the sentence."""
    done = by(*arguments, cwd=cwd, **environment)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert errors, done.stderr
    return errors[0]


def made_once(temporary: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """Return a folder that ``make`` fills once for all processes of the tests; no test may change it."""
    base = temporary.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / name
    with locked(folder.with_suffix(".lock")):
        if not folder.with_suffix(".made").exists():
            shutil.rmtree(folder, ignore_errors=True)  # what another process has begun, and failed over
            folder.mkdir()
            make(folder)
            folder.with_suffix(".made").touch()
    return folder


@pytest.fixture
def measured_sample(tmp_path_factory, tmp_path) -> Path:
    """A folder of the test's own in which BM25 and splade-tiny were measured on the sample."""
    return copy_measured_sample(tmp_path_factory, tmp_path / "sample")


def copy_measured_sample(temporary: pytest.TempPathFactory, copy: Path) -> Path:
    """Return ``copy``, made a copy of a folder with the work, runs and table of the sample."""

    def measure(folder: Path) -> None:
        succeed("repro.table", "--systems", "bm25,splade-tiny", cwd=folder, by=run_here)

    return shutil.copytree(made_once(temporary, "measured-sample", measure), copy, symlinks=True)


@contextlib.contextmanager
def kernels_of(level: str) -> Iterator[None]:
    """Use the compiled kernels of one level (or "none") inside the block; skip where they cannot run."""
    kernels = None if level == "none" else native.open_kernels(level)
    if level != "none" and kernels is None:
        pytest.skip(f"no compiled kernels, or a processor without {level.upper()}")
    with mock.patch.object(native, "kernels", return_value=kernels):
        yield
