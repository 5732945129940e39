"""A simulated Stripe: an account that can be changed as the real one changes, and its API over HTTP.

Shapes follow API version 2026-10-28.endive. What the real one does that matters here, and where that is written,
is said beside the code that does it too.
"""
