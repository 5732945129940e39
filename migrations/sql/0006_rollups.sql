-- Events say why: a failure its error class, a refund's figures its reason and origin. Then the new rollups are filled
-- with what the others hold already: the events below the watermark.

UPDATE events SET reason = g.error_class FROM generations g
 WHERE events.generation_id = g.id AND events.failed <> 0 AND g.error_class IS NOT NULL;
-- Of two refunds of one generation that were issued at the same instant, the first event is the first refund's.
UPDATE events SET reason = r.reason, origin = r.origin
  FROM (SELECT id, generation_id, at, row_number() OVER (PARTITION BY generation_id, at ORDER BY id) AS number
          FROM events WHERE refunds <> 0) AS e
  JOIN (SELECT r.*, row_number() OVER (PARTITION BY r.generation_id, r.issued_at ORDER BY t.entry) AS number
          FROM refunds r JOIN credit_transactions t ON t.id = r.transaction_id) AS r
    ON r.generation_id = e.generation_id AND r.issued_at = e.at AND r.number = e.number
 WHERE events.id = e.id;
-- A loss that moved later is the first refund's.
UPDATE events SET reason = r.reason, origin = r.origin
  FROM (SELECT DISTINCT ON (r.generation_id) r.*
          FROM refunds r JOIN credit_transactions t ON t.id = r.transaction_id
         ORDER BY r.generation_id, t.entry) AS r
 WHERE events.generation_id = r.generation_id AND events.refunds = 0 AND events.loss_micros <> 0;

DROP TRIGGER append_only ON events;
CREATE TRIGGER append_only BEFORE UPDATE OF id, at, type, customer_id, generation_id, tier, provider, model, kind,
        reason, origin, generations, succeeded, failed, cancelled, refunds, credits_charged, credits_refunded,
        cost_micros, unknown_costs, loss_micros, latency_ms, customers, holders, credits ON events
    FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- The bin of a latency: bin n holds 1.06^n up to 1.06^(n + 1) milliseconds, so that its middle is at most 3 % off.
CREATE FUNCTION latency_bin(ms bigint) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT floor(ln(greatest(ms, 1)::double precision) / ln(1.06::double precision))::bigint
$$;

INSERT INTO rollup_reason_buckets
SELECT date_bin('15 minutes', at, '2000-01-01T00:00:00Z'), provider, model, kind, reason, origin, sum(failed),
       sum(refunds), sum(credits_refunded), sum(loss_micros)
  FROM events, rollup_state WHERE xid < watermark AND reason <> '' GROUP BY 1, 2, 3, 4, 5, 6
 ORDER BY 1;
INSERT INTO rollup_reason_days
SELECT (at AT TIME ZONE timezone)::date, provider, model, kind, reason, origin, sum(failed),
       sum(refunds), sum(credits_refunded), sum(loss_micros)
  FROM events, rollup_state WHERE xid < watermark AND reason <> '' GROUP BY 1, 2, 3, 4, 5, 6
 ORDER BY 1;
INSERT INTO rollup_latency_buckets
SELECT date_bin('15 minutes', at, '2000-01-01T00:00:00Z'), provider, model, kind, latency_bin(latency_ms),
       sum(succeeded)
  FROM events, rollup_state WHERE xid < watermark AND succeeded <> 0 GROUP BY 1, 2, 3, 4, 5
 ORDER BY 1;
INSERT INTO rollup_latency_days
SELECT (at AT TIME ZONE timezone)::date, provider, model, kind, latency_bin(latency_ms), sum(succeeded)
  FROM events, rollup_state WHERE xid < watermark AND succeeded <> 0 GROUP BY 1, 2, 3, 4, 5
 ORDER BY 1;
INSERT INTO rollup_customer_days
SELECT (at AT TIME ZONE timezone)::date, customer_id, sum(generations), sum(succeeded), sum(failed), sum(cancelled),
       sum(refunds), sum(credits_charged), sum(credits_refunded), sum(cost_micros), sum(unknown_costs),
       sum(loss_micros)
  FROM events, rollup_state WHERE xid < watermark AND provider <> '' GROUP BY 1, 2 ORDER BY 1;
INSERT INTO rollup_customer_months
SELECT date_trunc('month', day)::date, customer_id, sum(generations), sum(succeeded), sum(failed), sum(cancelled),
       sum(refunds), sum(credits_charged), sum(credits_refunded), sum(cost_micros), sum(unknown_costs),
       sum(loss_micros)
  FROM rollup_customer_days GROUP BY 1, 2 ORDER BY 1;

-- Returns credits of a locked generation to the grants that they came from, last drawn first; what belongs to a
-- grant that has expired goes into a new one that lives p_lifetime. Writes refund, ledger row and event.
CREATE OR REPLACE FUNCTION refund_generation(
    p_refund uuid, p_transaction uuid, p_generation uuid, p_credits bigint, p_origin text, p_reason text,
    p_note text, p_actor text, p_policy_version bigint, p_key text, p_lifetime interval, p_at timestamptz
) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    v_generation generations;
    v_tier text;
    v_after bigint;
    v_loss bigint;
    v_return record;
    v_target uuid;
BEGIN
    SELECT * INTO STRICT v_generation FROM generations WHERE id = p_generation FOR NO KEY UPDATE;
    PERFORM lock_balance(v_generation.customer_id, p_at);
    INSERT INTO credit_transactions (id, customer_id, kind, amount, generation_id, actor, reason, occurred_at)
    VALUES (p_transaction, v_generation.customer_id, 'refund', p_credits, p_generation, p_actor, p_reason, p_at)
    RETURNING balance_after INTO v_after;
    FOR v_return IN
        SELECT id, source, expires_at <= p_at AS expired, least(owed, p_credits - before) AS credits
          FROM (SELECT g.id, g.source, g.expires_at, owed,
                       sum(owed) OVER returning_order - owed AS before
                  FROM (SELECT coalesce(m.origin_grant_id, m.grant_id) AS grant_id, -sum(m.credits) AS owed
                          FROM (SELECT t.id FROM credit_transactions t WHERE t.kind = 'charge'
                                   AND t.customer_id = v_generation.customer_id AND t.generation_id = p_generation
                                 UNION ALL
                                SELECT t.id FROM credit_transactions t WHERE t.kind = 'refund'
                                   AND t.generation_id = p_generation) AS posted
                          JOIN movements m ON m.transaction_id = posted.id
                         GROUP BY 1) AS drawn
                  JOIN grants g ON g.id = drawn.grant_id
                 WHERE owed > 0
                WINDOW returning_order AS (
                    ORDER BY g.source = 'purchase' DESC, g.expires_at DESC NULLS FIRST, g.id DESC)) AS outstanding
         WHERE before < p_credits
         ORDER BY id
    LOOP
        v_target := v_return.id;
        IF v_return.expired THEN
            v_target := make_uuid7();
            INSERT INTO grants (id, customer_id, source, credits, expires_at, reason, created_at)
            VALUES (v_target, v_generation.customer_id, v_return.source, v_return.credits, p_at + p_lifetime,
                    'returned by a refund after expiry', p_at);
        END IF;
        INSERT INTO movements (transaction_id, grant_id, origin_grant_id, credits)
        VALUES (p_transaction, v_target, CASE WHEN v_return.expired THEN v_return.id END, v_return.credits);
    END LOOP;
    v_loss := CASE WHEN v_generation.credits_refunded = 0 THEN coalesce(v_generation.cost_micros, 0) ELSE 0 END;
    INSERT INTO refunds (id, generation_id, customer_id, transaction_id, credits, origin, reason, note, actor,
                         policy_version, idempotency_key, loss_micros, issued_at)
    VALUES (p_refund, p_generation, v_generation.customer_id, p_transaction, p_credits, p_origin, p_reason, p_note,
            p_actor, p_policy_version, p_key, v_loss, p_at);
    -- What was used counts in the tier that the generation was charged in, what is held in today's.
    SELECT tier INTO v_tier FROM customers WHERE id = v_generation.customer_id;
    INSERT INTO events (at, type, customer_id, generation_id, tier, provider, model, kind, reason, origin, refunds,
                        credits_refunded, loss_micros)
    VALUES (p_at, 'refund', v_generation.customer_id, p_generation, v_generation.tier, v_generation.provider,
            v_generation.model, v_generation.kind, p_reason, p_origin, 1, p_credits, v_loss);
    INSERT INTO events (at, type, customer_id, generation_id, tier, credits, holders)
    VALUES (p_at, 'refund', v_generation.customer_id, p_generation, v_tier, p_credits,
            (v_after = p_credits)::int);
    RETURN v_after;
END $$;

-- Replaces the cost of a generation, in micro-dollars; null: unknown. With a unit, what was billed and its price too;
-- without one the amount comes from no version of a price, and none is kept.
-- The difference counts where the generation was charged and, if it was refunded, as loss where its first refund was
-- issued. What the provider's bill said stands against everything but another bill.
CREATE OR REPLACE FUNCTION set_cost(
    p_generation uuid, p_micros bigint, p_source text, p_price uuid DEFAULT NULL, p_unit text DEFAULT NULL,
    p_quantity numeric DEFAULT NULL, p_qualifier text DEFAULT ''
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_generation generations;
    v_change bigint;
    v_refund refunds;
BEGIN
    SELECT * INTO STRICT v_generation FROM generations WHERE id = p_generation FOR NO KEY UPDATE;
    IF v_generation.cost_source = 'bill' AND p_source <> 'bill' THEN
        RETURN;
    END IF;
    UPDATE generations
       SET cost_micros = p_micros, cost_source = CASE WHEN p_micros IS NULL THEN 'unknown' ELSE p_source END,
           price_id = p_price,
           unit = coalesce(p_unit, unit), quantity = CASE WHEN p_unit IS NULL THEN quantity ELSE p_quantity END,
           qualifier = CASE WHEN p_unit IS NULL THEN qualifier ELSE p_qualifier END
     WHERE id = p_generation;
    IF v_generation.cost_micros IS NOT DISTINCT FROM p_micros THEN
        RETURN;
    END IF;
    v_change := coalesce(p_micros, 0) - coalesce(v_generation.cost_micros, 0);
    INSERT INTO events (at, type, customer_id, generation_id, tier, provider, model, kind, cost_micros, unknown_costs)
    VALUES (v_generation.charged_at, 'cost', v_generation.customer_id, p_generation, v_generation.tier,
            v_generation.provider, v_generation.model, v_generation.kind, v_change,
            (p_micros IS NULL)::int - (v_generation.cost_micros IS NULL)::int);
    UPDATE refunds SET loss_micros = coalesce(p_micros, 0)
     WHERE id = (SELECT r.id FROM refunds r JOIN credit_transactions t ON t.id = r.transaction_id
                  WHERE r.generation_id = p_generation ORDER BY t.entry LIMIT 1)
    RETURNING * INTO v_refund;
    IF FOUND AND v_change <> 0 THEN
        INSERT INTO events (at, type, customer_id, generation_id, tier, provider, model, kind, reason, origin,
                            loss_micros)
        VALUES (v_refund.issued_at, 'cost', v_generation.customer_id, p_generation, v_generation.tier,
                v_generation.provider, v_generation.model, v_generation.kind, v_refund.reason, v_refund.origin,
                v_change);
    END IF;
END $$;
