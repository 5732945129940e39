"""The demo: a believable account made in seconds, and traffic through the real API that keeps it moving."""
