"""README and the pages behind it say what the code does: commands, links, generated blocks."""

import argparse
import importlib
import importlib.util
import re
import shlex
from pathlib import Path

import pytest
from conftest import REPOSITORY

from repro.__main__ import commands
from repro.collections.subsets import read_subset
from repro.models.systems import part_names, table_systems
from repro.report.markdown import published_table
from repro.training.recipe import read_recipe

README = REPOSITORY / "README.md"
DOCS = sorted((REPOSITORY / "docs").glob("*.md"))
PAGES = [
    README,
    *DOCS,
    REPOSITORY / "CONTRIBUTING.md",
    REPOSITORY / "CHANGELOG.md",
    REPOSITORY / "tests/README.md",
]
TEXTS = {page: page.read_text(encoding="utf-8") for page in PAGES}
MARKER = re.compile(r"^<!-- (/?)(.+?) -->$", flags=re.MULTILINE)


def block(name, text=None):
    """Return what stands between a block's markers, on whatever page."""
    text = "\n".join(TEXTS.values()) if text is None else text
    return text.split(f"<!-- {name} -->")[1].split(f"<!-- /{name} -->")[0].strip()


def test_readme_is_short_and_leads_to_every_page():
    assert len(TEXTS[README].splitlines()) <= 150
    linked = {(README.parent / target).resolve() for target, _ in links(README)}
    assert not set(PAGES) - {README} - linked


def links(page):
    """Return the (file, heading) of a page's links that are no addresses."""
    found = re.findall(r"\]\(([^)\s#]*)(?:#([^)\s]+))?\)", TEXTS[page])
    return [(target, heading) for target, heading in found if "://" not in target]


def anchors(text):
    """Return the names that a page's headings have in links."""
    headings = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_every_link_leads_somewhere(page):
    for target, heading in links(page):
        path = (page.parent / target).resolve() if target else page
        assert path.exists(), target
        assert not heading or heading in anchors(path.read_text(encoding="utf-8")), f"{target}#{heading}"


def test_the_two_commands_are_single_lines():
    assert block("command table", TEXTS[README]) == "pip install '.[offline]' && python -m repro.table"
    assert block("command tests", TEXTS[README]) == "pip install '.[offline,test]' && python -m pytest"


def test_every_block_stands_once_and_whole():
    """Else ``update_block`` would leave it alone, or two pages would differ."""
    names = []
    for text in TEXTS.values():
        markers = MARKER.findall(text)
        opened, closed = markers[::2], markers[1::2]
        assert all(not end for end, _ in opened) and all(end for end, _ in closed)
        assert [name for _, name in opened] == [name for _, name in closed]
        names += [name for _, name in opened]
    assert len(names) == len(set(names))
    assert {"table sample", "published"} <= set(names)


def test_published_block_is_generated_from_systems_yaml():
    assert block("published") == published_table(table_systems().values())


def test_every_generated_table_is_filled():
    names = re.findall(r"<!-- (table [\w.-]+) -->", "\n".join(TEXTS.values()))
    assert "table msmarco-mini-dl19" in names
    for name in names:
        assert "| splade-tiny " in block(name), name
    for name in re.findall(r"<!-- (bench .+?) -->", "\n".join(TEXTS.values())):
        assert block(name).startswith("| "), name


def shown_commands():
    """Return the command lines that stand by themselves, indented or between fences, on any page."""
    line = re.compile(r"^ *(?:\w+=\S+ )*(python -m repro\.[^#\n]+?)\s*(?:#.*)?$", flags=re.MULTILINE)
    return sorted({found for text in TEXTS.values() for found in line.findall(text.replace("\\\n", " "))})


class Parsed(Exception):
    """Raised in the place of a stage's work, once its parser has accepted the arguments."""


@pytest.mark.parametrize("command", shown_commands())
def test_every_shown_command_line_is_understood(command, monkeypatch):
    """Parsed by the stage's own parser: no option that does not exist, no system, no recipe."""
    _, _, module, *arguments = shlex.split(command)
    if module == "repro.pyserini":
        folder = Path(importlib.util.find_spec("pyserini").submodule_search_locations[0])
        path = folder.joinpath(*arguments[0].split("."))
        assert (path / "__main__.py").exists() or path.with_suffix(".py").exists()
        return
    original = argparse.ArgumentParser.parse_args

    def parse_args(self, argv=None):
        raise Parsed(original(self, argv))

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parse_args)
    with pytest.raises(Parsed) as parsed:
        importlib.import_module(module).main(arguments)
    options = vars(parsed.value.args[0])
    systems = [options.get("system"), *(options.get("systems") or "").split(",")]
    single = [part for name in systems if name and ":" not in name for part in part_names(name) or [name]]
    assert set(single) <= table_systems().keys()
    if module == "repro.subset":
        assert options["recipe"] is None or read_subset(options["recipe"])
    elif recipe := options.get("recipe"):
        name, *changes = recipe if isinstance(recipe, list) else [recipe, *options["set"]]
        read_recipe(name, dict(change.split("=", 1) for change in changes))


def test_every_command_named_exists_and_every_command_is_shown():
    named = {name for text in TEXTS.values() for name in re.findall(r"python -m repro\.(\w+)", text)}
    assert named == set(commands())


def test_the_design_draws_every_module():
    """Its tree names each package, and in its entry each module; races of the benchmarks aside."""
    design = (REPOSITORY / "docs/design.md").read_text(encoding="utf-8")
    tree = design.split("    repro/\n")[1].split("\n    native/")[0]
    entries = dict(re.findall(r"^      (\w+)/ (.*(?:\n {10,}.*)*)", tree, flags=re.MULTILINE))
    packages = {path.parent for path in (REPOSITORY / "repro").glob("*/__init__.py")}
    assert entries.keys() == {package.name for package in packages}
    for package in packages - {REPOSITORY / "repro" / "benchmarks"}:
        modules = {path.stem for path in package.glob("*.py")} - {"__init__"}
        assert modules <= set(re.findall(r"\w+", entries[package.name])), package.name


def test_readme_states_the_ratios_that_were_measured():
    """Its three numbers are those of the generated blocks, rounded."""
    sentence = " ".join(TEXTS[README].partition("## How fast is it?")[2].split())
    stated = re.findall(r"(\d+) times as fast", sentence)
    races = ("bench encode splade-tiny", "bench index splade-tiny", "bench search splade-tiny")
    measured = [re.search(r"\*\*([\d.]+) x\*\*", block(race))[1] for race in races]
    assert [int(number) for number in stated] == [round(float(ratio)) for ratio in measured]
