"""The tests of leakscope."""
