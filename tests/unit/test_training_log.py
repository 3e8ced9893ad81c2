"""The log of a training: lines on disk, and a warning when active terms leave the sane band."""

import json
from types import SimpleNamespace

from repro.training.trainer import TrainingLog


def test_active_terms_outside_the_band_are_warned_of_once(tmp_path, capsys):
    log = TrainingLog(tmp_path / "log.jsonl")
    state = SimpleNamespace(is_world_process_zero=True, global_step=3, max_steps=9)
    parts = {"base_loss": 1.0, "query_regularizer_loss": 0.1, "document_regularizer_loss": 0.1}
    for documents, queries in ((150, 20), (3000, 20), (3000, 0.5), (150, 0.5)):
        said = {"query_active_terms": queries, "document_active_terms": documents}
        log.on_log(None, state, None, logs={**parts, **said})
    warnings = [line for line in capsys.readouterr().err.splitlines() if "warning" in line]
    assert len(warnings) == 2
    assert "3000 active terms a document" in warnings[0] and "raise document_regularizer" in warnings[0]
    assert "active terms a query" in warnings[1] and "lower query_regularizer_weight" in warnings[1]
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["document_active_terms"] for line in lines] == [150, 3000, 3000, 150]
