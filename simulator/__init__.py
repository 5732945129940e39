"""Providers of our own for demos and tests: their protocols on this machine, misbehaving on demand."""
