"""The crash test: traffic through several providers while web process and worker are killed, again and again.

`make crash ARGS="--kills 300 --seed 7"`, or a short one in tests/test_crashes_everywhere.py.
"""
