"""Names of collections: each stands for one source, so that no two share artifacts or figures."""

import gzip
import shutil
from concurrent.futures import ThreadPoolExecutor

import pytest
from conftest import write_beir

from repro.collections.labels import label
from repro.collections.opening import SAMPLE, corpus_file, open_collection


def link_corpus(folder, target, name="corpus.jsonl"):
    """Write a collection whose corpus is a link to ``target``; return its folder."""
    write_beir(folder)
    (folder / "corpus.jsonl").unlink()
    (folder / name).symlink_to(target)
    return folder


@pytest.fixture
def work(tmp_path):
    return tmp_path / "work"


def names(folder, work, split=None):
    collection = open_collection(str(folder), split, work)
    return collection.corpus, collection.name


def test_folders_of_one_name_have_labels_of_their_own(tmp_path, work):
    a, b = write_beir(tmp_path / "a" / "nq"), write_beir(tmp_path / "b" / "nq")
    assert names(a, work) == ("nq", "nq-test")
    corpus, name = names(b, work)
    assert corpus.startswith("nq-") and len(corpus) == len("nq-") + 6 and name == f"{corpus}-test"
    assert names(b, work) == (corpus, name)  # and so it stays
    assert names(a, work) == ("nq", "nq-test")
    assert names(b, tmp_path / "other") == ("nq", "nq-test")


def test_a_link_to_a_folder_is_that_folder(tmp_path, work):
    folder = write_beir(tmp_path / "a" / "nq")
    (tmp_path / "link").symlink_to(folder)
    assert names(folder, work) == names(tmp_path / "link", work) == ("nq", "nq-test")


def test_a_folder_called_sample_is_not_the_sample(tmp_path, work):
    corpus, name = names(write_beir(tmp_path / "sample"), work)
    assert corpus != "sample" and corpus.startswith("sample-") and name == f"{corpus}-test"
    sample = open_collection("sample", None, work)
    assert (sample.corpus, sample.name) == ("sample", "sample")
    train = open_collection("sample", "train", work).name
    assert train == "sample-train"
    assert train not in names(write_beir(tmp_path / "sample-train"), work)


def test_an_ir_datasets_id_and_a_folder_of_its_name_differ(tmp_path, work):
    assert open_collection("vaswani", None, work).corpus == "vaswani"
    assert names(write_beir(tmp_path / "vaswani"), work)[0].startswith("vaswani-")
    folder = write_beir(tmp_path / "beir-nfcorpus")
    assert names(folder, work)[0] == "beir-nfcorpus"
    dataset = open_collection("beir/nfcorpus/test", None, work)
    assert (
        dataset.corpus.startswith("beir-nfcorpus-")
        and dataset.name == "beir-nfcorpus-test-" + dataset.name[-6:]
    )


def test_splits_and_corpora_whose_names_meet_differ(tmp_path, work):
    folder = write_beir(tmp_path / "nq")
    (folder / "qrels" / "dev").mkdir()
    for split in ("dev/small", "dev-small", "test-x"):
        shutil.copy(folder / "qrels" / "test.tsv", folder / "qrels" / f"{split}.tsv")
    other = write_beir(tmp_path / "nq-test")
    shutil.copy(other / "qrels" / "test.tsv", other / "qrels" / "x.tsv")
    found = [names(folder, work, split)[1] for split in ("dev/small", "dev-small", "test-x", "test")]
    found += [names(other, work, split)[1] for split in ("x", "test")]
    assert len(set(found)) == 6


def test_a_moved_folder_keeps_its_label(tmp_path, work):
    folder = write_beir(tmp_path / "a" / "nq")
    assert names(folder, work) == ("nq", "nq-test")
    (tmp_path / "c").mkdir()
    folder.rename(tmp_path / "c" / "nq")
    assert names(tmp_path / "c" / "nq", work) == ("nq", "nq-test")


def test_looking_without_a_claim_writes_nothing(tmp_path, work):
    a, b = write_beir(tmp_path / "a" / "nq"), write_beir(tmp_path / "b" / "nq")
    assert open_collection(str(a), None, work, claim=False).corpus == "nq"
    assert not work.exists()
    names(a, work)
    looked = open_collection(str(b), None, work, claim=False).corpus
    assert looked == names(b, work)[0] != "nq"


def test_labels_claimed_at_once_differ(tmp_path, work):
    folders = [write_beir(tmp_path / str(i) / "nq") for i in range(8)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda folder: names(folder, work), folders))
    assert len({corpus for corpus, _ in found}) == len({name for _, name in found}) == 8
    assert [names(folder, work) for folder in folders] == found


@pytest.mark.parametrize(
    ("name", "plain"), [("???", "collection"), ("日本 語", "日本-語"), ("x" * 300, "x" * 100)]
)
def test_labels_are_fit_for_file_names(tmp_path, work, name, plain):
    assert label(name, {"folder": str(tmp_path)}, work) == plain


@pytest.mark.parametrize("content", ["", "[]", "{", "\xff", '{"folder": 5}'])
def test_a_damaged_record_frees_its_label(tmp_path, work, content):
    folder = write_beir(tmp_path / "nq")
    names(folder, work)
    (work / "collections" / "nq" / "source.json").write_text(content, encoding="latin-1")
    assert names(folder, work) == ("nq", "nq-test")


def test_a_linked_corpus_has_the_label_of_the_folder_where_it_lies(tmp_path, work):
    owner = write_beir(tmp_path / "nq")
    linked = link_corpus(tmp_path / "mine", owner / "corpus.jsonl")
    assert names(linked, work) == ("nq", "mine-test")
    assert names(owner, work) == ("nq", "nq-test")
    assert names(linked, None) == ("nq", "mine-test")


def test_the_label_of_a_linked_corpus_is_claimed_for_its_owner(tmp_path, work):
    """Another folder of the owner's name does not get it, though only the link was opened so far."""
    owner, other = write_beir(tmp_path / "a" / "nq"), write_beir(tmp_path / "b" / "nq")
    linked = link_corpus(tmp_path / "mine", owner / "corpus.jsonl")
    assert names(linked, work)[0] == "nq"
    assert names(other, work)[0].startswith("nq-")
    assert names(owner, work)[0] == "nq"
    second = link_corpus(tmp_path / "c" / "mine", other / "corpus.jsonl")
    assert names(second, work)[0] == names(other, work)[0]
    assert names(second, work)[1].startswith("mine-") and names(second, work)[1] != "mine-test"


def test_links_are_followed_from_corpus_to_corpus(tmp_path, work):
    owner = write_beir(tmp_path / "nq")
    first = link_corpus(tmp_path / "first", owner / "corpus.jsonl")
    second = link_corpus(tmp_path / "second", "../first/corpus.jsonl")  # relative
    (tmp_path / "alias").symlink_to(second)
    third = link_corpus(tmp_path / "third", "../alias/corpus.jsonl")  # through a link to a folder
    assert {names(folder, work)[0] for folder in (first, second, third)} == {"nq"}


def test_a_linked_gzipped_corpus_has_its_owners_label(tmp_path, work):
    owner = write_beir(tmp_path / "nq")
    packed = owner / "corpus.jsonl.gz"
    packed.write_bytes(gzip.compress((owner / "corpus.jsonl").read_bytes()))
    linked = link_corpus(tmp_path / "mine", packed, packed.name)
    assert names(linked, work)[0] == "mine"  # the owner's corpus is the plain file, which goes first
    (owner / "corpus.jsonl").unlink()
    assert names(linked, work)[0] == "nq"


def test_a_link_to_a_blob_shares_no_label_and_a_link_to_that_link_its_folder_s(tmp_path, work):
    blob = write_beir(tmp_path / "blobs") / "corpus.jsonl"
    blob = blob.rename(tmp_path / "blobs" / "0a1b2c")
    folder = link_corpus(tmp_path / "nq", blob)
    assert names(folder, work) == ("nq", "nq-test")
    assert names(link_corpus(tmp_path / "mine", folder / "corpus.jsonl"), work) == ("nq", "mine-test")


def test_a_file_linked_under_another_name_is_its_own(tmp_path, work):
    """Plain text and gzip are told apart by the name: what one may be read as is not what the other is."""
    owner = write_beir(tmp_path / "nq")
    linked = link_corpus(tmp_path / "mine", owner / "corpus.jsonl", "corpus.jsonl.gz")
    assert names(linked, work)[0] == "mine"


def test_the_sample_s_corpus_is_the_sample_s_wherever_it_is_linked(tmp_path, work):
    linked = link_corpus(tmp_path / "mine", SAMPLE / "corpus.jsonl")
    assert names(linked, work) == ("sample", "mine-test")
    assert open_collection("sample", None, work).corpus == "sample"


def test_a_folder_without_a_corpus_has_its_own_label(tmp_path, work):
    folder = link_corpus(tmp_path / "mine", tmp_path / "gone" / "corpus.jsonl")
    assert corpus_file(folder) is None and names(folder, work) == ("mine", "mine-test")


def test_looking_at_a_linked_corpus_claims_nothing(tmp_path, work):
    linked = link_corpus(tmp_path / "mine", write_beir(tmp_path / "nq") / "corpus.jsonl")
    assert open_collection(str(linked), None, work, claim=False).corpus == "nq"
    assert not work.exists()
