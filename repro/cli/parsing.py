"""From dataclasses to argparse and back: a group of options declared, read, and turned into a command line.

A group of options is a frozen dataclass whose fields are made by ``option``. ``add_options`` declares groups
to a parser, ``read_options`` makes the typed value of what was parsed, ``arguments`` returns the command line
that would give it. Below the commands' ``main``, nothing reads an argparse namespace.
"""

import argparse
import dataclasses
import math
from collections.abc import Callable
from dataclasses import field
from typing import TYPE_CHECKING, Any, TypeVar

from repro.base.errors import InputError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Group = TypeVar("Group", bound="DataclassInstance")
Parse = Callable[[str], Any]


def positive(name: str, least: int = 1) -> Parse:
    """Return a parser of integers from ``least`` up for the option ``--name``; it raises InputError."""

    def parse(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = least - 1
        if value < least:
            raise InputError(f"--{name} {text}: expected a whole number from {least} up")
        return value

    return parse


def number(name: str, least: float, most: float, above: bool = False) -> Parse:
    """Return a parser of finite numbers from ``least`` to ``most``; it raises InputError.

    With ``above``, ``least`` itself is out of range.
    """

    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not (least < value if above else least <= value) or value > most or math.isinf(value):
            bound = f"greater than {least:g}" if above else f"from {least:g} up"
            limit = "" if math.isinf(most) else f", at most {most:,.10g}"
            raise InputError(f"--{name} {text}: expected a number {bound}{limit}")
        return value

    return parse


def share(name: str) -> Parse:
    """Return a parser of numbers between 0 and 1, both excluded, for ``--name``; it raises InputError."""

    def parse(text: str) -> float:
        value = number(name, 0, 1, above=True)(text)
        if value == 1:
            raise InputError(f"--{name} {text}: expected a number between 0 and 1")
        return value

    return parse


def listed(parse: Parse) -> Callable[[str], tuple[Any, ...]]:
    """Return a parser of values between commas, each parsed by ``parse``."""
    return lambda text: tuple(parse(part) for part in text.split(","))


def tag(text: str) -> str:
    """Parse a run's tag: one word, since it is a column of the run file."""
    if not text or any(c.isspace() or not c.isprintable() for c in text):
        raise InputError(
            f"--tag {text!r}: expected one word without blanks; it is the last column of the run"
        )
    return text


def option(default: Any, help: str, **settings: Any) -> Any:
    """Return a dataclass field that is an option: its default, its help, and argparse's settings."""
    return field(default=default, metadata={"help": help, **settings})


def add_options(parser: argparse.ArgumentParser, *groups: "type[DataclassInstance]") -> None:
    """Declare the options of each group to a parser."""
    for group in groups:
        for entry in dataclasses.fields(group):
            settings = dict(entry.metadata)
            flag = settings.pop("flag", _flag(entry))
            default = _default(entry)
            if default is dataclasses.MISSING:
                parser.add_argument(flag, required=True, **settings)
            elif isinstance(default, bool):
                parser.add_argument(
                    flag,
                    dest=entry.name,
                    action="store_const",
                    const=not default,
                    default=default,
                    **settings,
                )
            elif "const" in settings:
                parser.add_argument(flag, dest=entry.name, action="store_const", default=default, **settings)
            else:
                parser.add_argument(flag, default=default, **settings)


def read_options(group: type[Group], parsed: argparse.Namespace) -> Group:
    """Return a group's typed value from what a parser made of the command line."""
    return group(**{entry.name: getattr(parsed, entry.name) for entry in dataclasses.fields(group)})


def arguments(*options: "DataclassInstance") -> list[str]:
    """Return the command line of groups of options: of each, those that are not the default."""
    line: list[str] = []
    for group in options:
        for entry in dataclasses.fields(group):
            value = getattr(group, entry.name)
            if value == _default(entry):
                continue
            line.append(entry.metadata.get("flag", _flag(entry)))
            if isinstance(value, list):
                line += value
            elif isinstance(value, tuple):
                line.append(",".join(map(str, value)))
            elif not isinstance(value, bool):
                line.append(repr(value) if isinstance(value, float) else str(value))
    return line


def _flag(entry: dataclasses.Field[Any]) -> str:
    name = entry.name.replace("_", "-")
    return f"--no-{name}" if entry.default is True else f"--{name}"


def _default(entry: dataclasses.Field[Any]) -> Any:
    if entry.default_factory is not dataclasses.MISSING:
        return entry.default_factory()
    return entry.default
