"""Where the README's figures come from: `make bench`. Ratios of things measured side by side, medians of rounds."""
