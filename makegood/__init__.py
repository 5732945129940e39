"""The rules of Makegood: credits, generations, refunds, callbacks, cost and figures.

Imports no Flask and reads no environment. Functions take a SQLAlchemy session first and never commit:
the route, command or task that calls them does.
"""
