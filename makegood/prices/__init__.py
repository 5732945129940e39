"""The price book: what providers charge us per unit, by date.

`lines` and `reading` say what a price is, `book` reads them, `changes` changes them, `sheet` is CSV, `recompute`
brings past costs in line; `credits` is what customers pay.
"""
