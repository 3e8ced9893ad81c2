"""Options: each default once, from a command line to a typed value and back."""

import argparse
import re

import pytest

from repro.base.errors import InputError
from repro.cli.options import (
    Bm25Options,
    CollectionOptions,
    EncodingOptions,
    IndexingOptions,
    SearchOptions,
    SystemOption,
    SystemOptions,
    TagOption,
    WorkOptions,
    read_system_options,
)
from repro.cli.parsing import add_options, arguments, read_options
from repro.cli.stages import stage

GROUPS = [CollectionOptions, EncodingOptions, Bm25Options, SearchOptions, IndexingOptions, WorkOptions]


def parse(line, *groups):
    parser = argparse.ArgumentParser()
    add_options(parser, *groups)
    return parser.parse_args(line)


@pytest.mark.parametrize("group", GROUPS)
def test_an_empty_command_line_gives_the_defaults_and_these_give_it_back(group):
    options = read_options(group, parse([], group))
    assert options == group() and arguments(options) == []


@pytest.mark.parametrize(
    ("group", "line"),
    [
        (CollectionOptions, ["--collection", "nq", "--split", "dev"]),
        (EncodingOptions, ["--scale", "100.0", "--precision", "bf16"]),
        (SearchOptions, ["--hits", "10", "--max-query-terms", "8", "--ties", "trec_eval"]),
        (IndexingOptions, ["--indexer", "anserini", "--store-raw", "--no-merge", "--memory", "512"]),
        (WorkOptions, ["--work", "w", "--force", "--no-wait", "--threads", "1"]),
        (SystemOption, ["--system", "bm25"]),
        (TagOption, ["--tag", "mine"]),
    ],
)
def test_a_command_line_survives_being_read_and_written(group, line):
    assert arguments(read_options(group, parse(line, group))) == line


def test_a_stage_has_the_options_of_its_groups_that_are_not_defaults():
    described = stage(
        "repro.search", "--system", "bm25", Bm25Options(k1=0.82), SearchOptions(), WorkOptions()
    )
    assert str(described) == "python -m repro.search --system bm25 --k1 0.82"


def test_groups_that_a_command_does_not_declare_have_their_defaults():
    parsed = parse(["--k1", "1.2"], Bm25Options)
    assert read_system_options(parsed) == SystemOptions(bm25=Bm25Options(k1=1.2))


@pytest.mark.parametrize(
    ("group", "line", "sentence"),
    [
        (EncodingOptions, ["--scale", "0"], "--scale 0: expected a number greater than 0"),
        (EncodingOptions, ["--scale", "-1"], "--scale -1: expected a number greater than 0"),
        (EncodingOptions, ["--scale", "nan"], "--scale nan: expected a number greater than 0"),
        (EncodingOptions, ["--scale", "inf"], "--scale inf: expected a number greater than 0"),
        (EncodingOptions, ["--scale", "1e7"], "at most 1,000,000"),
        (Bm25Options, ["--k1", "nan"], "--k1 nan: expected a number from 0 up"),
        (Bm25Options, ["--b", "1.5"], "--b 1.5: expected a number from 0 up, at most 1"),
        (SearchOptions, ["--hits", "0"], "--hits 0: expected a whole number from 1 up"),
        (TagOption, ["--tag", "my run"], "expected one word without blanks"),
        (TagOption, ["--tag", ""], "expected one word without blanks"),
    ],
)
def test_values_out_of_range_are_refused_in_a_sentence(group, line, sentence):
    with pytest.raises(InputError, match=re.escape(sentence)):
        parse([line[0] + "=" + line[1]], group)
