"""What came in, by Stripe's own books: figures of a range, what they mean, and the rates between currencies."""
