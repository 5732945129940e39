"""What the README's figures come from: `make bench`. Things measured side by side, medians of rounds."""
