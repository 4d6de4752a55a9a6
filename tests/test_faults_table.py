"""The table of faults says what the tests are."""

from __future__ import annotations

from tests.faults.table import PARTS, TABLE, faults, table


def test_the_table_is_that_of_the_tests():
    assert TABLE.read_text(encoding="utf-8") == table(), "`make readme` writes it anew"


def test_each_fault_is_in_a_part_of_the_table():
    assert {fault.part for fault in faults()} <= set(PARTS)


def test_each_row_says_something_of_its_own():
    rows = list(faults())
    assert rows
    assert all(fault.happens and fault.does for fault in rows)
    assert len({fault.happens for fault in rows}) == len(rows)
