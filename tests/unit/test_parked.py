"""What is said of how threads wait, and what is not, because the kernel can't tell."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leakscope.facts import Stay
from leakscope.model import Parking
from leakscope.parked import waiting_evidence
from leakscope.pools import is_held_by_clients
from tests.builders import stay

FOREVER, POLLS = Parking(202, deadline=False), Parking(202, deadline=True)
ONE_LOCK = "All wait at one and the same place"
NOT_SHOWN = "Python 3.14 and newer do not show"


def waiting(*parkings: Parking, wait: str | None = "queue.get") -> list[Stay]:
    """A thread parked at each of these."""
    return [stay(number, parking=at, wait=wait) for number, at in enumerate(parkings, 1)]


def said(*parkings: Parking, wait: str | None = "queue.get", python: str | None = "3.11.7") -> str:
    """All sentences on these threads."""
    return " ".join(waiting_evidence(waiting(*parkings, wait=wait), python))


def test_nothing_is_said_where_nothing_is_known():
    assert waiting_evidence([], "3.11.7") == ()
    assert said(Parking(), Parking()) == ""
    assert said(Parking(202, "futex_do_wait", None, 0x7F00)) == ""


@pytest.mark.parametrize(
    ("parkings", "sentence"),
    [
        ([FOREVER] * 3, "They wait without a deadline: by themselves they will never wake up."),
        ([POLLS] * 3, "They wait with a deadline: each will wake up by itself."),
        ([FOREVER, POLLS, POLLS], "1 of 3 wait without a deadline, the others with one."),
        ([FOREVER, POLLS, Parking()], "1 of 2 wait without a deadline, the others with one."),
        ([FOREVER, Parking()], "They wait without a deadline: by themselves they will never "
                               "wake up."),
    ],
)  # fmt: skip
def test_deadlines(parkings, sentence):
    assert said(*parkings) == sentence


def at_peer(peer: str, *, accepted: bool | None = False) -> Parking:
    """Parked at a socket."""
    return Parking(45, peer=peer, accepted=accepted)


def test_the_peer_of_all():
    assert said(*[at_peer("10.0.0.5:5432")] * 4) == "4 wait for what 10.0.0.5:5432 sends."


def test_the_commonest_peer_and_the_number_of_others():
    parkings = [at_peer(peer) for peer in ("b:1", "a:1", "b:1", "c:1", "c:1", "b:1")]
    assert said(*parkings) == "3 wait for what b:1 sends, 3 for 2 other peers."


def test_of_peers_as_common_the_first_by_name():
    assert said(at_peer("b:1"), at_peer("a:1")) == (
        "1 wait for what a:1 sends, 1 for 1 other peers."
    )


@pytest.mark.parametrize(("clients", "others", "held"), [(3, 0, True), (2, 1, True), (2, 2, False)])
def test_peers_that_are_clients(clients, others, held):
    parkings = [
        *[at_peer("10.0.0.9:5000", accepted=True)] * clients,
        *[at_peer("10.0.0.9:5000")] * others,
    ]
    assert is_held_by_clients(waiting(*parkings)) is held
    assert ("Their peers are clients of this process." in said(*parkings)) is held


def test_threads_of_which_nothing_is_known_are_held_by_no_client():
    assert not is_held_by_clients([])
    assert not is_held_by_clients(waiting(Parking(), at_peer("a:1", accepted=None)))


@pytest.mark.parametrize(
    ("children", "named"),
    [
        ([33], "33"),
        ([33, 33, 7], "7, 33"),
        ([5, 4, 3, 2, 1], "1, 2, 3 and 2 more"),
    ],
)
def test_children(children, named):
    sentence = f"They wait for child processes to end: {named}."
    assert said(*(Parking(61, child=child) for child in children)) == sentence


# --- locks ----------------------------------------------------------------------------------------


def at_lock(*addresses: int | None, python: str | None = "3.11.7") -> str:
    """What is said of threads at locks at these addresses."""
    return said(*(Parking(202, futex=at) for at in addresses), wait="lock", python=python)


@pytest.mark.parametrize("python", ["3.8.18", "3.11.7", "3.13.0"])
def test_a_lock_that_all_wait_for(python):
    assert at_lock(0x7F00, 0x7F00, 0x7F00, python=python).startswith(ONE_LOCK)


@pytest.mark.parametrize("python", ["3.14.0", "3.15.0b1", "4.0"])
def test_from_3_14_on_it_is_said_that_locks_cannot_be_told_apart(python):
    text = at_lock(0x7F00, 0x7F00, python=python)
    assert ONE_LOCK not in text
    assert NOT_SHOWN in text


@pytest.mark.parametrize("python", ["3.11.7", None, ""])
def test_of_locks_of_their_own_nothing_is_said(python):
    assert at_lock(0x7F00, 0x7F10, python=python) == ""


@pytest.mark.parametrize("python", [None, "", "unknown"])
def test_of_an_unknown_python_nothing_is_said(python):
    assert at_lock(0x7F00, 0x7F00, python=python) == ""


def test_one_thread_at_a_lock_is_no_queue():
    assert at_lock(0x7F00) == ""


def test_locks_of_unknown_address_are_not_called_one():
    assert at_lock(None, None) == ""


def test_one_known_lock_of_many_is_not_said_to_be_that_of_all():
    assert ONE_LOCK not in at_lock(0x7F00, None, None, None)


@pytest.mark.parametrize("wait", ["queue.get", "condition", "event", "future", "semaphore"])
def test_private_locks_of_condition_waits_are_never_compared(wait):
    """Each waiter has a lock of its own; its address says nothing, even when it is the same."""
    parkings = [Parking(202, deadline=False, futex=0x7F00)] * 5
    assert ONE_LOCK not in said(*parkings, wait=wait)
    assert NOT_SHOWN not in said(*parkings, wait=wait, python="3.14.0")


def test_a_group_of_which_few_are_at_locks_is_no_queue():
    at = [stay(n, wait="lock", parking=Parking(202, futex=0x7F00)) for n in (1, 2)]
    others = [stay(n, wait=None) for n in (3, 4)]
    assert waiting_evidence([*at, *others], "3.11.7") == ()


PARKING = st.builds(
    Parking,
    deadline=st.none() | st.booleans(),
    futex=st.none() | st.integers(1, 3),
    child=st.none() | st.integers(1, 5),
    peer=st.none() | st.sampled_from(["a:1", "b:1"]),
    accepted=st.none() | st.booleans(),
)


@given(
    st.lists(PARKING, max_size=8),
    st.sampled_from(["lock", "queue.get", None]),
    st.none() | st.text(max_size=6),
)
def test_whatever_is_said_is_whole_sentences(parkings, wait, python):
    for sentence in waiting_evidence(waiting(*parkings, wait=wait), python):
        assert sentence.endswith(".")
        assert sentence[0].isupper() or sentence[0].isdigit()


@given(st.permutations([FOREVER, POLLS, at_peer("a:1"), at_peer("b:1"), Parking(61, child=3)]))
def test_the_order_of_threads_does_not_matter(parkings):
    in_order = [FOREVER, POLLS, at_peer("a:1"), at_peer("b:1"), Parking(61, child=3)]
    assert said(*parkings) == said(*in_order)
