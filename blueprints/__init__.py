"""HTTP: parse, one call into makegood, commit, render. No rules."""
