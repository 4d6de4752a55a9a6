"""Tests that attach to no process and never sleep.

Some run leakscope, a hook or a stand-in for py-spy, and wait for its end.
"""
