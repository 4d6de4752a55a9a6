"""Tests of the whole program, on real processes."""
