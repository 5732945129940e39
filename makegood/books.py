"""The books: what must hold between the ledger, grants, generations, refunds and events at every instant.

The database refuses most of this when it is written; `violations` finds what got past it, by whatever way.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.orm import Session

from makegood.revenue import payments
from makegood.rollup_tables import CUSTOMERS

_USED = f"ARRAY[{', '.join(f'sum({name})' for name in CUSTOMERS.measures)}] AS used"

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
         WHERE a.kind <> 'bulk_refund' AND a.state = 'approved'
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
    "an applied callback has ended its generation": """
        SELECT c.id::text, g.status FROM callbacks c JOIN generations g ON g.id = c.generation_id
         WHERE c.state = 'applied' AND g.ended_at IS NULL""",
    "an idempotency key leads to what it made": """
        SELECT k.key, k.resource_id::text FROM idempotency_keys k
         WHERE NOT EXISTS (SELECT FROM generations WHERE id = k.resource_id)
           AND NOT EXISTS (SELECT FROM grants WHERE id = k.resource_id)""",
    "events say of customers and credits what the rows say": """
        SELECT tier, format('rows %s/%s/%s, events %s/%s/%s', r.customers, r.holders, r.credits,
                            e.customers, e.holders, e.credits)
          FROM (SELECT tier, count(*) AS customers, count(*) FILTER (WHERE balance > 0) AS holders,
                       sum(balance) AS credits
                  FROM customers JOIN balances ON customer_id = id GROUP BY 1) AS r
          FULL JOIN (SELECT tier, sum(customers) AS customers, sum(holders) AS holders, sum(credits) AS credits
                       FROM events GROUP BY 1) AS e USING (tier)
         WHERE (coalesce(r.customers, 0), coalesce(r.holders, 0), coalesce(r.credits, 0))
               IS DISTINCT FROM (e.customers, e.holders, e.credits)""",
    "events say of a generation what its row says, when it happened": """
        SELECT g.id::text, format('%s events', count(e.id))
          FROM generations g LEFT JOIN events e ON e.generation_id = g.id
         GROUP BY g.id
        HAVING (sum(e.generations) FILTER (WHERE e.at = g.charged_at), sum(e.generations),
                sum(e.credits_charged), sum(e.cost_micros) FILTER (WHERE e.at = g.charged_at), sum(e.cost_micros),
                sum(e.unknown_costs), sum(e.succeeded), sum(e.failed), sum(e.cancelled),
                coalesce(sum(e.succeeded + e.failed + e.cancelled) FILTER (WHERE e.at = g.ended_at), 0),
                sum(e.latency_ms))
               IS DISTINCT FROM
               (1, 1, g.credits_charged, coalesce(g.cost_micros, 0), coalesce(g.cost_micros, 0),
                (g.cost_micros IS NULL)::int, (g.status = 'succeeded')::int, (g.status = 'failed')::int,
                (g.status = 'cancelled')::int, (g.ended_at IS NOT NULL)::int, coalesce(g.latency_ms, 0))
            OR max(e.reason) FILTER (WHERE e.failed <> 0) IS DISTINCT FROM g.error_class
            OR bool_or((e.tier, e.provider, e.model, e.kind) <> (g.tier, g.provider, g.model, g.kind))
               FILTER (WHERE e.provider <> '')""",
    "a cost that rests on a price is its quantity at that price": """
        SELECT g.id::text, format('cost %s from %s, %s x %s', g.cost_micros, g.cost_source, g.quantity,
                                  p.unit_price_micros)
          FROM generations g LEFT JOIN prices p ON p.id = g.price_id
         WHERE g.cost_source = 'price_book'
               AND (p.id IS NULL OR g.cost_micros IS DISTINCT FROM cost_at(p, g.quantity))
            OR g.cost_source = 'provider' AND p.id IS NOT NULL AND g.cost_micros <> cost_at(p, g.quantity)
            OR g.cost_source IN ('refused', 'bill') AND p.id IS NOT NULL""",
    "an adjustment that moved a cost has its event": """
        SELECT a.generation_id::text, format('%s to %s', a.from_micros, a.to_micros)
          FROM (SELECT *, row_number() OVER (PARTITION BY generation_id, from_micros, to_micros) AS number
                  FROM cost_adjustments WHERE from_micros IS DISTINCT FROM to_micros) AS a
         WHERE a.number > (
                SELECT count(*) FROM events e JOIN generations g ON g.id = e.generation_id
                 WHERE e.generation_id = a.generation_id AND e.type = 'cost' AND e.at = g.charged_at
                   AND e.cost_micros = coalesce(a.to_micros, 0) - coalesce(a.from_micros, 0)
                   AND e.unknown_costs = (a.to_micros IS NULL)::int - (a.from_micros IS NULL)::int)""",
    "a recompute adjusted what it counts": """
        SELECT r.id::text, format('%s done by %s, adjustments %s by %s', r.done, r.done_micros, count(a.id),
                                  sum(coalesce(a.to_micros, 0) - coalesce(a.from_micros, 0)))
          FROM recomputes r LEFT JOIN cost_adjustments a ON a.reason = 'recompute' AND a.reference = r.id
         GROUP BY r.id
        HAVING r.done <> count(a.id)
            OR r.done_micros <> coalesce(sum(coalesce(a.to_micros, 0) - coalesce(a.from_micros, 0)), 0)""",
    "events say of refunds what the rows say, when they were issued": """
        SELECT generation_id::text, format('rows %s/%s/%s, events %s/%s/%s', r.refunds, r.credits, r.loss,
                                           e.refunds, e.credits, e.loss)
          FROM (SELECT generation_id, issued_at AS at, reason, origin, count(*) AS refunds,
                       sum(credits) AS credits, sum(loss_micros) AS loss
                  FROM refunds WHERE id NOT IN (SELECT refund_id FROM reversals) GROUP BY 1, 2, 3, 4) AS r
          FULL JOIN (SELECT generation_id, at, reason, origin, sum(refunds) AS refunds,
                            sum(credits_refunded) AS credits, sum(loss_micros) AS loss
                       FROM events WHERE refunds <> 0 OR loss_micros <> 0 GROUP BY 1, 2, 3, 4) AS e
            USING (generation_id, at, reason, origin)
         WHERE (coalesce(r.refunds, 0), coalesce(r.credits, 0), coalesce(r.loss, 0))
               IS DISTINCT FROM (coalesce(e.refunds, 0), coalesce(e.credits, 0), coalesce(e.loss, 0))""",
    "what is counted of paid credits is what the ledger moved": """
        SELECT p.customer_id, format('counted %s sold, %s left up to entry %s, ledger %s, %s',
                                     d.sold, d.credits, p.entries, l.sold, l.credits)
          FROM recognised_progress p
          LEFT JOIN (SELECT customer_id, sum(sold) AS sold,
                            sum(sold - used - expired - clawed - adjusted) AS credits
                       FROM recognised_customer_days GROUP BY 1) AS d USING (customer_id)
          LEFT JOIN LATERAL (
                SELECT sum(m.credits) AS credits, sum(m.credits) FILTER (WHERE t.kind = 'grant') AS sold
                  FROM credit_transactions t
                  JOIN movements m ON m.transaction_id = t.id
                  JOIN grants g ON g.id = m.grant_id
                 WHERE t.customer_id = p.customer_id AND t.entry <= p.entries AND g.purchase_id IS NOT NULL) AS l
            ON true
         WHERE (coalesce(d.credits, 0), coalesce(d.sold, 0)) <> (coalesce(l.credits, 0), coalesce(l.sold, 0))""",
    "a month of paid credits is its days": """
        SELECT customer_id, format('%s at %s/%s: days %s, month %s', month, price_amount, price_credits, d.credits,
                                   m.credits)
          FROM (SELECT CAST(date_trunc('month', day) AS date) AS month, customer_id, price_amount, price_credits,
                       ARRAY[sum(sold), sum(used), sum(expired), sum(clawed), sum(adjusted)] AS credits
                  FROM recognised_customer_days WHERE currency = 'usd' GROUP BY 1, 2, 3, 4) AS d
          FULL JOIN (SELECT month, customer_id, price_amount, price_credits,
                            ARRAY[sum(sold), sum(used), sum(expired), sum(clawed), sum(adjusted)] AS credits
                       FROM recognised_customer_months GROUP BY 1, 2, 3, 4) AS m
            USING (month, customer_id, price_amount, price_credits)
         WHERE d.credits IS DISTINCT FROM m.credits""",
    "a quarter or month of what a customer used is its days": f"""
        SELECT customer_id, format('%s of %s: days %s, kept %s', period, since, d.used, k.used)
          FROM (SELECT 'quarter' AS period, quarter_of_month(day) AS since, customer_id, {_USED}
                  FROM rollup_customer_days GROUP BY 2, 3
                 UNION ALL
                SELECT 'month', CAST(date_trunc('month', day) AS date) AS since, customer_id, {_USED}
                  FROM rollup_customer_days GROUP BY 2, 3) AS d
          FULL JOIN (SELECT 'quarter' AS period, quarter AS since, customer_id, {_USED}
                       FROM rollup_customer_quarters GROUP BY 2, 3
                      UNION ALL
                     SELECT 'month', month, customer_id, {_USED} FROM rollup_customer_months GROUP BY 2, 3) AS k
            USING (period, since, customer_id)
         WHERE d.used IS DISTINCT FROM k.used""",  # noqa: S608 (made of our own column names)
    "payments are what Stripe's lists and our purchases make of them, once nothing is due": f"""
        SELECT id, format('worked out %s, kept %s', w.payment, p.payment)
          FROM (SELECT id, w AS payment FROM ({payments.WORKED_OUT}) AS w) AS w
          FULL JOIN (SELECT id, p AS payment FROM payments p) AS p USING (id)
         WHERE to_jsonb(w.payment) IS DISTINCT FROM to_jsonb(p.payment)
           AND NOT EXISTS (SELECT FROM payments_due)""",  # noqa: S608 (made of our own column names)
    "the sums of balance transactions are those of the transactions": """
        SELECT format('%s %s', currency, category), format('at %s transactions %s/%s/%s, sums %s/%s/%s', bucket,
                      t.transactions, t.amount, t.fee, s.transactions, s.amount, s.fee)
          FROM (SELECT date_bin('15 minutes', created_at, timestamptz '2000-01-01T00:00:00Z') AS bucket, currency,
                       reporting_category AS category, count(*) AS transactions, sum(amount) AS amount,
                       sum(fee) AS fee
                  FROM stripe_balance_transactions GROUP BY 1, 2, 3) AS t
          FULL JOIN (SELECT bucket, currency, reporting_category AS category, sum(transactions) AS transactions,
                            sum(amount) AS amount, sum(fee) AS fee
                       FROM balance_sums GROUP BY 1, 2, 3) AS s USING (bucket, currency, category)
         WHERE (coalesce(t.transactions, 0), coalesce(t.amount, 0), coalesce(t.fee, 0))
               <> (coalesce(s.transactions, 0), coalesce(s.amount, 0), coalesce(s.fee, 0))""",
}
"""What must hold, as a sentence, and the query that finds what does not: subject, and what was found."""

ALL = text(
    "\nUNION ALL\n".join(
        f"SELECT '{rule.replace(chr(39), chr(39) * 2)}' AS rule, found.* FROM ({query}) AS found"  # noqa: S608
        for rule, query in CHECKS.items()
    )
)


@dataclass(frozen=True)
class Violation:
    """One row that breaks a rule."""

    rule: str
    subject: str
    found: str


def violations(session: Session) -> list[Violation]:
    """Everything in the books that does not add up, in one snapshot. Reads all rows; empty when all is well."""
    return [Violation(*row) for row in session.execute(ALL)]
