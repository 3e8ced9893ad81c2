"""One truth about versions: pyproject.toml; CI's matrices, constraints and what is installed follow it."""

import importlib.metadata
import re
import subprocess
import tomllib
from fnmatch import fnmatch

import pytest
import yaml
from conftest import REPOSITORY
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from test_readme import README, TEXTS, block

import repro

PYPROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
PROJECT = PYPROJECT["project"]
PYTHONS = [
    found[1]
    for classifier in PROJECT["classifiers"]
    if (found := re.fullmatch(r"Programming Language :: Python :: (3\.\d+)", classifier))
]
CONSTRAINTS = {path.name: path for path in (REPOSITORY / "constraints").glob("*.txt")}


def test_the_pythons_that_are_named_are_those_that_are_allowed():
    allowed = SpecifierSet(PROJECT["requires-python"])
    assert [f"3.{minor}" for minor in range(30) if f"3.{minor}.1" in allowed] == PYTHONS
    assert f"Python {PYTHONS[0]} to {PYTHONS[-1]}" in TEXTS[README]


def test_the_workflow_runs_readmes_commands_on_each():
    jobs = yaml.safe_load((REPOSITORY / ".github/workflows/tests.yml").read_text())["jobs"]
    assert jobs["readme"]["strategy"]["matrix"]["python"] == PYTHONS
    commands = [step["run"] for step in jobs["readme"]["steps"] if "run" in step]
    assert commands[:2] == [block(f"command {name}", TEXTS[README]) for name in ("tests", "table")]
    for job in jobs.values():
        for step in job["steps"]:
            if (script := step.get("run", "").split(" ")[0]).startswith("."):
                assert (REPOSITORY / script).stat().st_mode & 0o100, script


def test_each_python_has_constraints_within_the_limits():
    assert CONSTRAINTS.keys() == {f"python{python}.txt" for python in PYTHONS}
    extras = [line for lines in PROJECT["optional-dependencies"].values() for line in lines]
    requirements = [Requirement(line) for line in (*PROJECT["dependencies"], *extras)]
    for python in PYTHONS:
        lines = CONSTRAINTS[f"python{python}.txt"].read_text().splitlines()
        pins = [re.fullmatch(r"([\w.-]+)==([\w.]+)", line).groups() for line in lines]  # no address
        pinned = {canonicalize_name(name): version for name, version in pins}
        assert len(pinned) == len(lines)
        environment = {"python_version": python, "python_full_version": f"{python}.1"}
        for requirement in requirements:
            if requirement.marker is None or requirement.marker.evaluate(environment):
                assert pinned[canonicalize_name(requirement.name)] in requirement.specifier, requirement


def test_every_file_of_the_package_is_in_its_metadata():
    """.ci/wheel looks into a wheel, this at the patterns that it is made by."""
    tracked = subprocess.run(["git", "ls-files", "repro"], cwd=REPOSITORY, capture_output=True, text=True)
    if tracked.returncode != 0:
        pytest.skip("not a checkout of git")
    patterns = PYPROJECT["tool"]["setuptools"]["package-data"]["repro"]
    files = [name.removeprefix("repro/") for name in tracked.stdout.splitlines() if not name.endswith(".py")]
    assert len(files) > 5
    assert [name for name in files if not any(fnmatch(name, pattern) for pattern in patterns)] == []


def test_what_is_installed_is_what_is_stated():
    """If this fails after a change of pyproject.toml: install the package again."""
    installed = importlib.metadata.metadata(PROJECT["name"])
    assert installed["Version"] == repro.__version__
    assert SpecifierSet(installed["Requires-Python"]) == SpecifierSet(PROJECT["requires-python"])
    dependencies = {Requirement(line) for line in PROJECT["dependencies"]}
    assert {Requirement(line) for line in installed.get_all("Requires-Dist")} >= dependencies
