"""What must hold between purchases, the credits that they gave, and what was taken back of them."""

from __future__ import annotations

CHECKS = {
    "a purchase has the grant that it paid for, and credits that live on stay its own": """
        SELECT p.id::text, format('%s credits, grant %s of %s', p.credits, g.id, g.credits)
          FROM purchases p LEFT JOIN grants g ON g.id = p.grant_id
         WHERE (p.id, p.customer_id, p.credits) IS DISTINCT FROM (g.purchase_id, g.customer_id, g.credits)
            OR g.source NOT IN ('purchase', 'allowance')
         UNION ALL
        SELECT g.id::text, format('of purchase %s, carries on one of %s', g.purchase_id, origin.purchase_id)
          FROM movements m
          JOIN grants g ON g.id = m.grant_id
          JOIN grants origin ON origin.id = m.origin_grant_id
         WHERE g.purchase_id IS DISTINCT FROM origin.purchase_id""",
    "a purchase says what its claw-backs add up to, and they their ledger rows": """
        SELECT p.id::text, format('returned %s, clawed %s, owed %s, gone %s; rows %s, %s, %s, %s', p.returned,
                                  p.clawed, p.owed, p.gone, c.amount, c.clawed, c.owed, c.gone)
          FROM purchases p
          LEFT JOIN (SELECT c.purchase_id AS id, sum(c.amount) AS amount, sum(taken + owed + gone) AS clawed,
                            sum(owed) AS owed, sum(gone) AS gone, count(*) AS rows, max(number) AS number,
                            bool_or(c.taken <> coalesce(-t.amount, 0) OR c.customer_id <> t.customer_id
                                    OR t.kind NOT IN ('clawback', 'restoration')) AS strange
                       FROM clawbacks c LEFT JOIN credit_transactions t ON t.id = c.transaction_id
                      GROUP BY 1) AS c USING (id)
         WHERE (p.returned, p.clawed, p.owed, p.gone, coalesce(c.rows, 0)) IS DISTINCT FROM
               (coalesce(c.amount, 0), coalesce(c.clawed, 0), coalesce(c.owed, 0), coalesce(c.gone, 0),
                coalesce(c.number, 0))
            OR c.strange
         UNION ALL
        SELECT t.id::text, t.kind FROM credit_transactions t
         WHERE t.kind IN ('clawback', 'restoration')
           AND NOT EXISTS (SELECT FROM clawbacks WHERE transaction_id = t.id)""",
    "what is taken back of a purchase is in proportion to what went back of its money": """
        SELECT id::text, format('%s of %s credits for %s of %s', clawed, credits, returned, paid) FROM purchases
         WHERE returned <> least(refunded + disputed, paid)
            OR clawed <> CASE WHEN paid = 0 THEN 0 ELSE div(credits::numeric * returned, paid) END""",
    "claw-backs take purchased credits only, and what is restored goes back where it came from": """
        SELECT p.id::text, format('grant %s: taken %s, of %s outstanding', origin.id, -sum(m.credits),
                                  p.clawed - p.owed - p.gone)
          FROM purchases p
          JOIN clawbacks c ON c.purchase_id = p.id
          JOIN movements m ON m.transaction_id = c.transaction_id
          JOIN grants g ON g.id = m.grant_id
          JOIN grants origin ON origin.id = coalesce(m.origin_grant_id, m.grant_id)
         GROUP BY p.id, origin.id
        HAVING sum(m.credits) > 0 OR bool_or(g.source <> origin.source)
            OR bool_or(origin.source <> 'purchase' AND origin.purchase_id IS DISTINCT FROM p.id)""",
    "credits that count as gone had expired unspent": """
        SELECT p.id::text, format('%s gone, %s expired', p.gone, e.credits)
          FROM purchases p
          LEFT JOIN LATERAL (
                SELECT coalesce(-sum(m.credits), 0) AS credits
                  FROM grants g JOIN movements m ON m.grant_id = g.id
                  JOIN credit_transactions t ON t.id = m.transaction_id
                 WHERE g.purchase_id = p.id AND t.kind = 'expiry') AS e ON true
         WHERE p.gone > e.credits""",
}
"""Each rule as a sentence, and the query that finds what breaks it: subject, and what was found."""
