"""Which captions take part, and which stages a trial needs."""

from __future__ import annotations

from retrieval_trials import make_trial

from tasks.retrieval import stages


def test_num_captions_takes_the_first_of_each_image() -> None:
    captions = [["b", "a", "b"], ["a"], ["long one", "c"]]
    every = stages.index_captions(captions)
    assert [every[0][row] for row in every[1]] == ["b", "a", "b", "a", "long one", "c"]
    assert every[2].tolist() == [0, 0, 0, 1, 2, 2]
    distinct, row, owner = stages.index_captions(captions, 1)
    assert [distinct[each] for each in row] == ["b", "a", "long one"]
    assert owner.tolist() == [0, 1, 2]
    assert stages.index_captions(captions, 2)[2].tolist() == [0, 0, 1, 2, 2]


def test_stages_depend_on_num_captions_but_not_on_ties() -> None:
    plain = make_trial(augment=True)
    keys = {s.key for s in stages.needed(plain)}
    assert {s.key for s in stages.needed(make_trial(augment=True, ties="strict"))} == keys
    fewer = {
        s for s in stages.needed(make_trial(augment=True, num_captions=1)) if s.key not in keys
    }
    assert {(s.function.__name__, s.args["split"]) for s in fewer} == {
        ("encode_texts", "train"),
        ("encode_texts", "val"),
    }
    images = [s for s in stages.needed(plain) if s.function is stages.encode_images]
    versions = {(s.args["draw"] is None, s.version) for s in images}
    assert versions == {(True, "1"), (False, "2")}  # augmented stages have version 2
