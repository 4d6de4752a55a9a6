"""Real servers under load, some of which leak: what `make score` judges leakscope by.

Each module `leak_*` or `ok_*` is one scenario and runs by itself: `python -m tests.scenarios.NAME`
starts a server and its load, prints `ready PID`, and goes on until its stdin is closed.
"""
