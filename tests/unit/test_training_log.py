"""The log of a training: lines on disk, and a warning when active terms leave the sane band."""

import json
from types import SimpleNamespace

from repro.training.trainer import TrainingLog, read_log


def test_active_terms_outside_the_band_are_warned_of_once(tmp_path, capsys):
    log = TrainingLog(tmp_path / "log.jsonl")
    state = SimpleNamespace(is_world_process_zero=True, global_step=3, max_steps=9)
    parts = {"base_loss": 1.0, "query_regularizer_loss": 0.1, "document_regularizer_loss": 0.1}
    for documents, queries in ((150, 20), (3000, 20), (3000, 0.5), (150, 0.5)):
        terms = {"query_active_terms": queries, "document_active_terms": documents}
        log.on_log(None, state, None, logs={**parts, **terms})
    warnings = [line for line in capsys.readouterr().err.splitlines() if "warning" in line]
    assert len(warnings) == 2
    assert "3000 active terms a document" in warnings[0] and "raise document_regularizer" in warnings[0]
    assert "active terms a query" in warnings[1] and "lower query_regularizer_weight" in warnings[1]
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["document_active_terms"] for line in lines] == [150, 3000, 3000, 150]


def test_the_log_of_a_resumed_training_has_each_step_once_and_counts_all_the_time(tmp_path):
    state = SimpleNamespace(is_world_process_zero=True, global_step=0, max_steps=9)
    log = TrainingLog(tmp_path / "log.jsonl")
    log.on_train_begin(None, state, None)
    for state.global_step in range(1, 6):  # a checkpoint at step 3, death after step 5
        log.started -= 100
        log.on_log(None, state, None, logs={"loss": 1.0})
    state.global_step = 3
    log = TrainingLog(tmp_path / "log.jsonl")
    log.on_train_begin(None, state, None)
    for state.global_step in range(4, 7):
        log.on_log(None, state, None, logs={"loss": 0.5})
    lines = read_log(tmp_path / "log.jsonl")
    assert [line["step"] for line in lines] == [1, 2, 3, 4, 5, 6]
    assert [line["loss"] for line in lines] == [1.0] * 3 + [0.5] * 3
    assert 300 <= lines[-1]["seconds"] < 350
    state.global_step = 0
    TrainingLog(tmp_path / "log.jsonl").on_train_begin(None, state, None)
    assert read_log(tmp_path / "log.jsonl") == []


def test_a_line_that_a_killed_process_wrote_half_of_is_left_out(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_text('{"step": 1, "seconds": 2.5}\n{"step": 2, "sec')
    assert read_log(path) == [{"step": 1, "seconds": 2.5}]
    state = SimpleNamespace(is_world_process_zero=True, global_step=1, max_steps=9)
    TrainingLog(path).on_train_begin(None, state, None)
    assert path.read_text() == '{"step": 1, "seconds": 2.5}\n'
