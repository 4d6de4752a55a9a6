"""Everything that can go wrong with a target, with the machine or with py-spy, made to happen.

Each test marked `fault(part, happens, does)` is a row of tests/FAULTS.md, which `make readme`
writes: what happens, and what leakscope then does. The marker may stand in any test file.
"""
