"""What must hold between balances, ledger rows, movements and grants."""

from __future__ import annotations

CHECKS = {
    "a balance is the sum of its ledger rows and of its grants' remainders": """
        SELECT customer_id AS subject,
               format('balance %s after %s entries, ledger %s in %s, grants %s',
                      b.balance, b.entries, l.credits, l.entries, g.credits) AS found
          FROM customers c
          LEFT JOIN balances b ON b.customer_id = c.id
          LEFT JOIN (SELECT customer_id, sum(amount) AS credits, count(*) AS entries
                       FROM credit_transactions GROUP BY 1) AS l USING (customer_id)
          LEFT JOIN (SELECT customer_id, sum(remaining) AS credits FROM grants GROUP BY 1) AS g USING (customer_id)
         WHERE b.balance IS NULL OR b.balance < 0 OR b.balance <> coalesce(l.credits, 0)
            OR b.entries <> coalesce(l.entries, 0) OR b.balance <> coalesce(g.credits, 0)""",
    "ledger rows are numbered without gaps, and each continues the one before": """
        SELECT id::text, format('%s entry %s: %s, %s, %s', customer_id, entry, before, amount, balance_after)
          FROM (SELECT *, row_number() OVER history AS number,
                       lag(balance_after, 1, 0::bigint) OVER history AS before
                  FROM credit_transactions WINDOW history AS (PARTITION BY customer_id ORDER BY entry)) AS t
         WHERE entry <> number OR before + amount <> balance_after OR balance_after < 0""",
    "a ledger row's movements add up to it, in grants of the same customer": """
        SELECT t.id::text, format('amount %s, movements %s', t.amount, sum(m.credits))
          FROM credit_transactions t
          LEFT JOIN movements m ON m.transaction_id = t.id
          LEFT JOIN grants g ON g.id = m.grant_id
         GROUP BY t.id
        HAVING sum(m.credits) IS DISTINCT FROM t.amount OR bool_or(g.customer_id <> t.customer_id)
            OR bool_or(sign(m.credits) <> sign(t.amount))""",
    "a grant holds what was put into it less what was taken": """
        SELECT g.id::text, format('%s of %s left, movements %s, given %s',
                                  g.remaining, g.credits, m.credits, m.given)
          FROM grants g
          LEFT JOIN (SELECT grant_id, sum(credits) AS credits,
                            sum(credits) FILTER (WHERE kind = 'grant' OR (kind = 'adjustment' AND credits > 0)
                                                    OR (kind IN ('refund', 'restoration')
                                                        AND origin_grant_id IS NOT NULL)) AS given
                       FROM movements JOIN credit_transactions t ON t.id = transaction_id GROUP BY 1) AS m
            ON m.grant_id = g.id
         WHERE g.remaining <> coalesce(m.credits, 0) OR g.credits IS DISTINCT FROM m.given
            OR g.remaining NOT BETWEEN 0 AND g.credits""",
    "an expired grant is neither spent nor refilled, and none expires early": """
        SELECT m.grant_id::text, format('%s at %s, expiry %s', t.kind, t.occurred_at, g.expires_at)
          FROM movements m
          JOIN credit_transactions t ON t.id = m.transaction_id
          JOIN grants g ON g.id = m.grant_id
         WHERE (t.kind IN ('charge', 'refund', 'reversal', 'adjustment', 'clawback', 'restoration')
                AND g.expires_at <= t.occurred_at)
            OR (t.kind = 'expiry' AND g.expires_at > t.occurred_at)""",
}
"""Each rule as a sentence, and the query that finds what breaks it: subject, and what was found."""
