"""Reading Stripe, never writing to it: the client, what Stripe has told us, and when it is asked again."""
