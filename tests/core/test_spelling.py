"""Words that were most likely meant."""

import pytest

from geocr.core.spelling import likely

KNOWN = ("sen12", "sen12mscr", "sen12mscr_flat", "lr", "name")


@pytest.mark.parametrize(
    ("word", "added"),
    [("sen12mcsr", "; did you mean 'sen12mscr'?"), ("lrr", "; did you mean 'lr'?"), ("resnet", ""), ("", "")],
)
def test_a_near_word_is_offered_and_no_far_one(word: str, added: str) -> None:
    assert likely(word, KNOWN) == added
    assert likely(word, ()) == ""
