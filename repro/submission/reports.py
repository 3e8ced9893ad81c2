"""What checking a run has found, as data and in words."""

from dataclasses import dataclass, field
from pathlib import Path

from repro.submission.faults import Faults
from repro.submission.profiles import DocidForm, Profile
from repro.submission.topics import Topics


@dataclass
class Report:
    """What checking a run has found. ``warnings`` are what its venue accepts and may still be a mistake."""

    path: Path
    profile: Profile
    topics: Topics | None
    faults: Faults = field(default_factory=Faults)
    warnings: list[str] = field(default_factory=list)
    lines: int = 0
    tag: str | None = None
    docids: DocidForm | None = None
    documents: list[int] = field(default_factory=list)
    """Documents of each topic."""

    def sentences(self) -> list[str]:
        """Return the first faults, the warnings, and what it comes to."""
        warnings = [f"{self.path}: warning: {warning}" for warning in self.warnings]
        return [*self.faults.sentences(str(self.path)), *warnings, self._summary()]

    def _summary(self) -> str:
        profile = self.profile
        if self.faults.total:
            return f"FAULTY: {self.path} does not meet {profile.name}: {self.faults.summary()}"
        least, most = min(self.documents), max(self.documents)
        each = f"{most:,}" if least == most else f"{least:,} to {most:,}"
        parts = [f"{len(self.documents):,} topics", f"{self.lines:,} lines", f"{each} documents a topic"]
        if self.docids is not None and len(profile.docids) > 1:
            parts.append(self.docids.name)
        if self.tag is not None:
            parts.append(f"tag {self.tag}")
        if self.topics is None:
            answered = "topics not compared (no --collection)"
        else:
            answered = f"all {len(self.topics.required):,} topics of {self.topics.collection} answered"
        return f"OK: {self.path} meets {profile.name}: {', '.join(parts)}; {answered}"
