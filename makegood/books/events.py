"""What must hold between what happened and what was written of it: callbacks, events, costs."""

from __future__ import annotations

CHECKS = {
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
}
"""Each rule as a sentence, and the query that finds what breaks it: subject, and what was found."""
