"""The ir_metadata of a run as text: what is completed by hand, a sidecar, a header.

It is a YAML document, in a file of its own or, each line behind a "#", between ``# ir_metadata.start`` and
``# ir_metadata.end`` before the lines of the run, as repro_eval reads and writes it.
"""

from pathlib import Path
from typing import Any

import yaml

from repro.base.errors import InputError
from repro.submission.files import HEADER_END, HEADER_START
from repro.submission.schema import problems


def read_details(path: Path | None) -> dict[str, Any]:
    """Return the metadata in a YAML file; none without a file.

    InputError if there is no such file, if it is not YAML, or has keys that are not ir_metadata's.
    """
    if path is None:
        return {}
    try:
        details = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, IsADirectoryError):
        raise InputError(f"--details {path}: there is no such file") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"--details {path}: not YAML ({_first_line(error)})") from None
    if found := problems(details, whole=False):
        raise InputError(f"--details {path}: {'; '.join(found[:3])}")
    return details


def as_yaml(metadata: dict[str, Any]) -> str:
    """Return metadata as a YAML document."""
    return yaml.safe_dump(metadata, sort_keys=False, allow_unicode=True, width=4096)


def as_header(metadata: dict[str, Any]) -> bytes:
    """Return metadata as the commented header of a run."""
    lines = [f"# {line}".encode() for line in as_yaml(metadata).splitlines()]
    return b"\n".join([HEADER_START, *lines, HEADER_END]) + b"\n"


def header_problems(header: list[bytes]) -> list[tuple[int, str]]:
    """Return what is wrong with a run's header, with the line: not ended, no YAML, not the schema's keys."""
    if header[-1].rstrip() != HEADER_END:
        return [(len(header), f"the header does not end with {HEADER_END.decode()}")]
    try:
        text = b"".join(line.removeprefix(b"#").removeprefix(b" ") for line in header[1:-1]).decode()
        metadata = yaml.safe_load(text)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        return [(1, f"the header is not YAML ({_first_line(error)})")]
    return [(1, f"the header's {problem}") for problem in problems(metadata)]


def _first_line(error: Exception) -> str:
    return str(error).split("\n")[0]
