"""What it costs to watch, beside what else is there to look at threads: `make bench`.

`run` is the program; it asks `slots` (watches), `starts` (commands that end at once) and
`recordings` (replays), holds the numbers against the bar of `bar`, and `table` writes them down.
"""
