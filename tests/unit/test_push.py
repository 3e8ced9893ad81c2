"""A trained model is handed to the Hub, or the reason is calls in a sentence."""

import huggingface_hub
import pytest

from repro.base.errors import InputError
from repro.training.hub import push


class Hub:
    """Records what the client is asked for."""

    def __init__(self):
        self.calls = []

    def create_repo(self, name, exist_ok):
        self.calls.append(("create", name, exist_ok))

    def upload_folder(self, folder_path, repo_id):
        self.calls.append(("upload", folder_path, repo_id))


def test_push_creates_the_repository_and_uploads_the_folder(monkeypatch, tmp_path):
    hub = Hub()
    monkeypatch.setattr(huggingface_hub, "HfApi", lambda: hub)
    push(tmp_path, "me/splade-mine")
    assert hub.calls == [("create", "me/splade-mine", True), ("upload", str(tmp_path), "me/splade-mine")]


def test_a_hub_that_refuses_is_a_sentence(monkeypatch, tmp_path):
    def refuse(*_, **__):
        raise OSError("401 Unauthorized\nand a page of HTML")

    monkeypatch.setattr(Hub, "create_repo", refuse)
    monkeypatch.setattr(huggingface_hub, "HfApi", Hub)
    with pytest.raises(InputError, match=r"--push-to-hub me/x: 401 Unauthorized \(the model is at"):
        push(tmp_path, "me/x")
