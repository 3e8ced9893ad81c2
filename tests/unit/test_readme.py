"""README says what the code does: its two commands, its generated blocks, and every command line that it shows."""

import argparse
import importlib
import re
import shlex

import pytest
from conftest import REPOSITORY

from repro.models.systems import table_systems
from repro.report.markdown import published_table

README = (REPOSITORY / "README.md").read_text(encoding="utf-8")


def block(name):
    return README.split(f"<!-- {name} -->")[1].split(f"<!-- /{name} -->")[0].strip()


def test_the_two_commands_are_single_lines():
    assert block("command table") == "pip install '.[offline]' && python -m repro.table"
    assert block("command tests") == "pip install '.[offline,test]' && python -m pytest"


def test_published_block_is_generated_from_systems_yaml():
    assert block("published") == published_table(table_systems().values())


def test_every_generated_table_is_filled():
    names = re.findall(r"<!-- (table [\w.-]+) -->", README)
    assert "table sample" in names and "table msmarco-mini-dl19" in names
    for name in names:
        assert "| splade-tiny " in block(name), name


def commands():
    joined = README.replace("\\\n", " ")
    return sorted(
        set(re.findall(r"^    (python -m repro\.[^#\n]+?)\s*(?:#.*)?$", joined, flags=re.MULTILINE))
    )


class Parsed(Exception):
    """Raised in the place of a stage's work, once its parser has accepted the arguments."""


@pytest.mark.parametrize("command", commands())
def test_every_shown_command_line_is_understood(command, monkeypatch):
    """Parsed by the stage's own parser: no option that does not exist."""
    _, _, module, *arguments = shlex.split(command)
    if module == "repro.pyserini":
        arguments = arguments[:1]
        assert arguments[0] in ("search.lucene", "index.lucene", "MODULE"), arguments
        return
    original = argparse.ArgumentParser.parse_args

    def parse_args(self, argv=None):
        original(self, argv)
        raise Parsed

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parse_args)
    with pytest.raises(Parsed):
        importlib.import_module(module).main(arguments)
