"""A provider of our own for demos and tests: WaveSpeed's protocol on this machine, misbehaving on demand."""
