"""What must hold between generations, their charges and refunds, and the audit entries and approvals of these."""

from __future__ import annotations

CHECKS = {
    "a generation is charged once, what it says": """
        SELECT g.id::text, format('charged %s, ledger %s in %s', g.credits_charged, sum(t.amount), count(t.id))
          FROM generations g
          LEFT JOIN credit_transactions t
            ON t.generation_id = g.id AND t.customer_id = g.customer_id AND t.kind = 'charge'
         GROUP BY g.id HAVING count(t.id) <> 1 OR sum(t.amount) <> -g.credits_charged""",
    "refunds, reversals, their ledger rows and the generation agree, and never exceed the charge": """
        SELECT g.id::text, format('charged %s, refunded %s, refunds %s, reversals %s, ledger %s',
                                  g.credits_charged, g.credits_refunded, sum(r.credits), sum(v.credits),
                                  sum(t.amount))
          FROM generations g
          LEFT JOIN credit_transactions t ON t.generation_id = g.id AND t.kind IN ('refund', 'reversal')
          LEFT JOIN refunds r ON r.transaction_id = t.id
          LEFT JOIN reversals v ON v.transaction_id = t.id
         GROUP BY g.id
        HAVING g.credits_refunded NOT BETWEEN 0 AND g.credits_charged
            OR coalesce(sum(t.amount), 0) <> g.credits_refunded
            OR coalesce(sum(r.credits), 0) - coalesce(sum(v.credits), 0) <> g.credits_refunded
            OR bool_or(t.amount IS DISTINCT FROM coalesce(r.credits, -v.credits))
            OR bool_or(coalesce(r.generation_id, v.generation_id) <> g.id)""",
    "a reversal takes back one refund, from the grants that it went to": """
        SELECT v.refund_id::text, format('%s reversed, movements %s', v.credits, moved.credits)
          FROM reversals v
          JOIN refunds r ON r.id = v.refund_id
          LEFT JOIN LATERAL (
                SELECT array_agg((grant_id, credits)) AS credits
                  FROM (SELECT grant_id, sum(credits) AS credits FROM movements
                         WHERE transaction_id IN (v.transaction_id, r.transaction_id)
                         GROUP BY 1 HAVING sum(credits) <> 0) AS m) AS moved ON true
         WHERE moved.credits IS NOT NULL OR v.credits <> r.credits OR r.origin = 'automatic'""",
    "a refund goes back to the grants that the charge came from": """
        SELECT t.generation_id::text, format('grant %s: drawn minus returned %s', origin.id, -sum(m.credits))
          FROM credit_transactions t
          JOIN movements m ON m.transaction_id = t.id
          JOIN grants origin ON origin.id = coalesce(m.origin_grant_id, m.grant_id)
          JOIN grants g ON g.id = m.grant_id
         WHERE t.kind IN ('charge', 'refund', 'reversal')
         GROUP BY t.generation_id, origin.id
        HAVING sum(m.credits) > 0 OR bool_or(g.source <> origin.source)""",
    "only failed and cancelled generations are refunded automatically, once for each": """
        SELECT g.id::text, format('%s: %s automatic refunds', g.status, count(*))
          FROM refunds r JOIN generations g ON g.id = r.generation_id
         WHERE r.origin = 'automatic'
         GROUP BY g.id, r.reason = 'cancelled'
        HAVING count(*) > 1 OR g.status NOT IN ('failed', 'cancelled')""",
    "no failure is paid for but by policy": """
        SELECT g.id::text, format('%s (%s): %s of %s refunded', g.status, coalesce(g.error_class, g.late_outcome),
                                  g.credits_refunded, g.credits_charged)
          FROM generations g
         WHERE g.status IN ('failed', 'cancelled')
           AND g.credits_refunded < (
                SELECT (g.credits_charged * min(p.percent) + 50) / 100 FROM refund_policies p
                 WHERE CASE WHEN g.status = 'failed' THEN p.error_class IN (g.error_class, 'unknown_error')
                            WHEN g.late_outcome = 'failed' THEN p.error_class <> 'cancelled'
                            ELSE p.error_class = 'cancelled' END)""",
    "the loss is the cost of what was refunded": """
        SELECT g.id::text, format('cost %s, losses %s', g.cost_micros, array_agg(r.loss_micros ORDER BY t.entry))
          FROM refunds r
          JOIN credit_transactions t ON t.id = r.transaction_id
          JOIN generations g ON g.id = r.generation_id
          LEFT JOIN reversals v ON v.refund_id = r.id
         GROUP BY g.id
        HAVING sum(r.loss_micros) <> CASE WHEN count(v.id) = count(*) THEN 0 ELSE coalesce(g.cost_micros, 0) END
            OR (array_agg(r.loss_micros ORDER BY v.id IS NOT NULL, t.entry))[1] <> sum(r.loss_micros)""",
    "a refund by hand has its audit entry": """
        SELECT r.generation_id::text, format('%s refunds, %s entries', r.count, a.count)
          FROM (SELECT generation_id, count(*) FROM refunds WHERE origin = 'manual' GROUP BY 1) AS r
          FULL JOIN (SELECT subject, count(*) FROM audit_entries WHERE action = 'refund.issued' GROUP BY 1) AS a
            ON a.subject = 'generation:' || r.generation_id
         WHERE r.count IS DISTINCT FROM a.count""",
    "what a second operator approved is what was asked for": """
        SELECT a.id::text, format('%s credits asked for, %s moved', a.credits, m.credits)
          FROM approvals a
          LEFT JOIN (SELECT id, 'refund' AS kind, 'generation:' || generation_id AS subject, credits, actor
                       FROM refunds WHERE origin = 'manual'
                     UNION ALL
                     SELECT id, 'adjustment', 'customer:' || customer_id, credits, actor FROM credit_adjustments
                     UNION ALL
                     SELECT id, 'reversal', 'refund:' || refund_id, -credits, actor FROM reversals) AS m
            ON m.id = a.result_id
         WHERE a.kind IN ('refund', 'adjustment', 'reversal') AND a.state = 'approved'
           AND (m.kind, m.subject, m.credits, m.actor) IS DISTINCT FROM
               (a.kind, a.subject, a.credits, a.requested_by)""",
    "an adjustment by hand has its audit entry": """
        SELECT coalesce('customer:' || c.customer_id, a.subject),
               format('%s adjustments, %s entries', c.count, a.count)
          FROM (SELECT customer_id, count(*) FROM credit_adjustments GROUP BY 1) AS c
          FULL JOIN (SELECT subject, count(*) FROM audit_entries WHERE action = 'credits.adjusted' GROUP BY 1) AS a
            ON a.subject = 'customer:' || c.customer_id
         WHERE c.count IS DISTINCT FROM a.count""",
    "a reversal has its audit entry": """
        SELECT coalesce('refund:' || v.refund_id, a.subject), format('reversal %s, %s entries', v.id, a.count)
          FROM reversals v
          FULL JOIN (SELECT subject, count(*) FROM audit_entries WHERE action = 'refund.reversed' GROUP BY 1) AS a
            ON a.subject = 'refund:' || v.refund_id
         WHERE v.id IS NULL OR a.count IS DISTINCT FROM 1""",
    "a bulk refund has refunded what it counts, of what was confirmed": """
        SELECT b.id::text, format('counts %s/%s/%s, %s credits, generations %s/%s/%s of %s, returned %s',
                                  b.refunded, b.skipped, b.failed, b.credits_refunded, i.refunded, i.skipped,
                                  i.failed, i.generations, i.returned)
          FROM bulk_refunds b
          LEFT JOIN (SELECT i.bulk_refund_id AS id, count(*) AS generations, sum(i.credits) AS credits,
                            count(*) FILTER (WHERE outcome = 'refunded') AS refunded,
                            count(*) FILTER (WHERE outcome = 'skipped') AS skipped,
                            count(*) FILTER (WHERE outcome = 'failed') AS failed,
                            coalesce(sum(r.credits), 0) AS returned, count(r.id) AS refunds,
                            bool_or(r.credits > i.credits) AS beyond,
                            bool_or(r.id IS DISTINCT FROM i.refund_id) AS strange
                       FROM bulk_refund_items i
                       LEFT JOIN refunds r
                         ON r.bulk_refund_id = i.bulk_refund_id AND r.generation_id = i.generation_id
                      GROUP BY 1) AS i USING (id)
         WHERE (b.generations, b.credits, b.refunded, b.skipped, b.failed, b.credits_refunded, b.refunded)
               IS DISTINCT FROM
               (i.generations, i.credits, i.refunded, i.skipped, i.failed, i.returned, i.refunds)
            OR i.beyond OR i.strange""",
    "a bulk refund has an audit entry when it begins, and one with all it refunded when it ends": """
        SELECT b.id::text, format('%s: %s begun, %s ended', b.state, a.begun, a.ended)
          FROM bulk_refunds b
          LEFT JOIN (SELECT subject, count(*) FILTER (WHERE action = 'bulk_refund.confirmed') AS begun,
                            count(*) FILTER (WHERE action = 'bulk_refund.finished') AS ended,
                            sum(jsonb_array_length(details -> 'generations')) AS named
                       FROM audit_entries WHERE action IN ('bulk_refund.confirmed', 'bulk_refund.finished')
                      GROUP BY 1) AS a ON a.subject = 'bulk_refund:' || b.id
         WHERE (a.begun, a.ended) IS DISTINCT FROM (1, (b.state = 'finished')::int)
            OR b.state = 'finished' AND a.named IS DISTINCT FROM b.refunded""",
}
"""Each rule as a sentence, and the query that finds what breaks it: subject, and what was found."""
