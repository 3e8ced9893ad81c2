"""Whether an interrupted training is gone on from, refused, or thrown away; and one that diverged."""

from types import SimpleNamespace

import pytest
import torch

from repro.base.errors import InputError
from repro.training.checkpoints import prepare
from repro.training.fitting import _refuse_diverged


def test_checkpoints_of_other_settings_are_not_thrown_away(tmp_path):
    checkpoint = tmp_path / "model.checkpoints/checkpoint-7"
    assert prepare(checkpoint.parent, {"epochs": 1}, force=False) is False
    checkpoint.mkdir()
    (checkpoint / "trainer_state.json").write_text("{}")
    with pytest.raises(InputError, match="holds an interrupted training with other settings"):
        prepare(checkpoint.parent, {"epochs": 2}, force=False)
    assert prepare(checkpoint.parent, {"epochs": 1}, force=False) is True and checkpoint.is_dir()
    assert prepare(checkpoint.parent, {"epochs": 2}, force=True) is False and not checkpoint.exists()


@pytest.mark.parametrize("state", [None, '{"global_step": 7, "log_hi'])
def test_a_checkpoint_that_was_being_written_is_removed(state, tmp_path, capsys):
    folder = tmp_path / "model.checkpoints"
    assert prepare(folder, {"epochs": 1}, force=False) is False
    for step, text in ((9, "{}"), (10, "{}"), (11, state)):
        (folder / f"checkpoint-{step}").mkdir()
        if text is not None:
            (folder / f"checkpoint-{step}/trainer_state.json").write_text(text)
    assert prepare(folder, {"epochs": 1}, force=False) is True
    assert sorted(path.name for path in folder.glob("checkpoint-*")) == ["checkpoint-10", "checkpoint-9"]
    assert "going on from step 10" in capsys.readouterr().err


def test_a_model_that_diverged_is_not_kept():
    model = torch.nn.Linear(2, 2)
    training = SimpleNamespace(recipe=SimpleNamespace(name="sample"))
    _refuse_diverged(model, training)
    model.bias.data[1] = float("nan")
    with pytest.raises(InputError, match="sample: the training diverged, the weights of bias are not finite"):
        _refuse_diverged(model, training)
