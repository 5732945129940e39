-- Refunds of a whole incident, and reversals of refunds.
-- A bulk refund is locked before a generation, and one generation at a time: bulk refund, generation, balance, grants.

-- What was confirmed stays; of a bulk refund only its state and its progress change, until it has ended.
CREATE TRIGGER confirmed_stays BEFORE UPDATE OF id, idempotency_key, provider, model, error_class, status, since, until,
        reason, note, generations, customers, credits, actor, address, created_at ON bulk_refunds
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER ended_stays BEFORE UPDATE ON bulk_refunds
    FOR EACH ROW WHEN (OLD.ended_at IS NOT NULL) EXECUTE FUNCTION refuse_change();

-- It takes two to begin what waits.
CREATE FUNCTION refuse_alone() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'what waits for a second operator begins when that one approves'
        USING ERRCODE = 'check_violation';
END $$;

CREATE TRIGGER takes_two BEFORE UPDATE ON bulk_refunds FOR EACH ROW
    WHEN (OLD.state = 'waiting' AND NEW.state NOT IN ('waiting', 'refused') AND NEW.approver IS NULL)
    EXECUTE FUNCTION refuse_alone();
CREATE TRIGGER never_deleted BEFORE DELETE ON bulk_refunds FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON bulk_refunds EXECUTE FUNCTION refuse_change();
CREATE TRIGGER confirmed_stays BEFORE UPDATE OF bulk_refund_id, generation_id, customer_id, credits ON bulk_refund_items
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
-- What could not be refunded may be tried again; what was refunded or skipped is done.
CREATE TRIGGER done_stays BEFORE UPDATE ON bulk_refund_items
    FOR EACH ROW WHEN (OLD.outcome IN ('refunded', 'skipped')) EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_deleted BEFORE DELETE ON bulk_refund_items FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON bulk_refund_items EXECUTE FUNCTION refuse_change();

-- The generations of a bulk refund come in one statement and are those that were confirmed: none is added later.
CREATE FUNCTION check_items() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM bulk_refunds b
                WHERE b.id IN (SELECT bulk_refund_id FROM added)
                  AND (b.generations, b.customers, b.credits) IS DISTINCT FROM
                      (SELECT (count(*), count(DISTINCT customer_id), sum(credits)::bigint) FROM bulk_refund_items
                        WHERE bulk_refund_id = b.id)) THEN
        RAISE EXCEPTION 'a bulk refund has the generations that were confirmed' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER as_confirmed AFTER INSERT ON bulk_refund_items REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION check_items();

-- Of a refund only the loss changes.
DROP TRIGGER append_only ON refunds;
CREATE TRIGGER append_only BEFORE UPDATE OF id, generation_id, customer_id, transaction_id, credits, origin, reason,
        note, actor, policy_version, idempotency_key, bulk_refund_id, issued_at, created_at ON refunds
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON reversals FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON reversals EXECUTE FUNCTION refuse_change();

CREATE OR REPLACE FUNCTION check_refund() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM credit_transactions
      WHERE id = NEW.transaction_id AND kind = 'refund' AND amount = NEW.credits
        AND generation_id = NEW.generation_id AND customer_id = NEW.customer_id;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'a refund must agree with its ledger row' USING ERRCODE = 'check_violation';
    END IF;
    IF NEW.origin = 'bulk' AND NOT EXISTS (
            SELECT FROM bulk_refund_items i JOIN bulk_refunds b ON b.id = i.bulk_refund_id
             WHERE b.id = NEW.bulk_refund_id AND b.state = 'running' AND b.actor = NEW.actor
               AND i.generation_id = NEW.generation_id AND i.customer_id = NEW.customer_id
               AND i.credits >= NEW.credits) THEN
        RAISE EXCEPTION 'a bulk refund stays within what was confirmed' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;

-- Only an operator's refund is reversed, whole: what the policy returned stays with the customer.
CREATE FUNCTION check_reversal() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM refunds r JOIN credit_transactions t ON t.id = NEW.transaction_id
      WHERE r.id = NEW.refund_id AND r.origin <> 'automatic' AND t.kind = 'reversal'
        AND (r.credits, r.generation_id, r.customer_id) = (NEW.credits, NEW.generation_id, NEW.customer_id)
        AND (t.amount, t.generation_id, t.customer_id) = (-NEW.credits, NEW.generation_id, NEW.customer_id);
    IF NOT FOUND THEN
        RAISE EXCEPTION 'a reversal must agree with its refund and its ledger row' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER agrees BEFORE INSERT ON reversals FOR EACH ROW EXECUTE FUNCTION check_reversal();

CREATE OR REPLACE FUNCTION apply_transaction() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE balances
       SET balance = balance + NEW.amount, entries = entries + 1, updated_at = NEW.occurred_at
     WHERE customer_id = NEW.customer_id
       AND (NEW.kind <> 'charge'
            OR EXISTS (SELECT FROM generations WHERE id = NEW.generation_id AND customer_id = NEW.customer_id
                          AND credits_charged = -NEW.amount))
    RETURNING balance, entries INTO NEW.balance_after, NEW.entry;
    IF NOT FOUND THEN
        IF EXISTS (SELECT FROM balances WHERE customer_id = NEW.customer_id) THEN
            RAISE EXCEPTION 'the charge differs from its generation' USING ERRCODE = 'check_violation';
        END IF;
        RAISE EXCEPTION 'customer % has no balance', NEW.customer_id USING ERRCODE = 'foreign_key_violation';
    END IF;
    IF NEW.kind IN ('refund', 'reversal') THEN
        UPDATE generations SET credits_refunded = credits_refunded + NEW.amount
          WHERE id = NEW.generation_id AND customer_id = NEW.customer_id
            AND EXISTS (SELECT FROM credit_transactions t WHERE t.customer_id = NEW.customer_id
                           AND t.generation_id = NEW.generation_id AND t.kind = 'charge');
        IF NOT FOUND THEN
            RAISE EXCEPTION 'a charge that never happened is never refunded' USING ERRCODE = 'check_violation';
        END IF;
    END IF;
    RETURN NEW;
END $$;

CREATE OR REPLACE FUNCTION check_movements() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.amount IS DISTINCT FROM (SELECT sum(credits) FROM movements WHERE transaction_id = NEW.id) THEN
        RAISE EXCEPTION 'the movements of a transaction must add up to its amount'
            USING ERRCODE = 'check_violation';
    END IF;
    IF NEW.kind = 'refund' AND NOT EXISTS (SELECT FROM refunds WHERE transaction_id = NEW.id) THEN
        RAISE EXCEPTION 'a refund needs its row in refunds' USING ERRCODE = 'check_violation';
    END IF;
    IF NEW.kind = 'reversal' THEN
        IF NOT EXISTS (SELECT FROM reversals WHERE transaction_id = NEW.id) THEN
            RAISE EXCEPTION 'a reversal needs its row in reversals' USING ERRCODE = 'check_violation';
        END IF;
        IF EXISTS (SELECT FROM reversals v JOIN refunds r ON r.id = v.refund_id
                     JOIN movements m ON m.transaction_id IN (v.transaction_id, r.transaction_id)
                    WHERE v.transaction_id = NEW.id
                    GROUP BY m.grant_id, m.origin_grant_id HAVING sum(m.credits) <> 0) THEN
            RAISE EXCEPTION 'a reversal takes from the grants that its refund went to'
                USING ERRCODE = 'check_violation';
        END IF;
    END IF;
    RETURN NULL;
END $$;

-- Returns credits of a locked generation to the grants that they came from, last drawn first; what belongs to a
-- grant that has expired goes into a new one that lives p_lifetime. What a reversal took back is owed again. Writes
-- refund, ledger row and event.
DROP FUNCTION refund_generation;
CREATE FUNCTION refund_generation(
    p_refund uuid, p_transaction uuid, p_generation uuid, p_credits bigint, p_origin text, p_reason text,
    p_note text, p_actor text, p_policy_version bigint, p_key text, p_lifetime interval, p_at timestamptz,
    p_bulk uuid DEFAULT NULL
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
                                   AND t.generation_id = p_generation
                                 UNION ALL
                                SELECT v.transaction_id FROM reversals v WHERE v.generation_id = p_generation
                               ) AS posted
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
                         policy_version, idempotency_key, bulk_refund_id, loss_micros, issued_at)
    VALUES (p_refund, p_generation, v_generation.customer_id, p_transaction, p_credits, p_origin, p_reason, p_note,
            p_actor, p_policy_version, p_key, p_bulk, v_loss, p_at);
    -- What was used counts in the tier that the generation was charged in, what is held in today's.
    SELECT tier INTO v_tier FROM customers WHERE id = v_generation.customer_id;
    INSERT INTO events (at, type, customer_id, generation_id, tier, provider, model, kind, refunds,
                        credits_refunded, loss_micros, reason, origin)
    VALUES (p_at, 'refund', v_generation.customer_id, p_generation, v_generation.tier, v_generation.provider,
            v_generation.model, v_generation.kind, 1, p_credits, v_loss, p_reason, p_origin);
    INSERT INTO events (at, type, customer_id, generation_id, tier, credits, holders)
    VALUES (p_at, 'refund', v_generation.customer_id, p_generation, v_tier, p_credits,
            (v_after = p_credits)::int);
    RETURN v_after;
END $$;

-- The refund of a generation that bears its cost as loss: the first one that was not reversed.
CREATE FUNCTION losing_refund(p_generation uuid) RETURNS refunds LANGUAGE sql STABLE AS $$
    SELECT r.* FROM refunds r JOIN credit_transactions t ON t.id = r.transaction_id
     WHERE r.generation_id = p_generation
       AND NOT EXISTS (SELECT FROM reversals v WHERE v.refund_id = r.id AND v.customer_id = r.customer_id)
     ORDER BY t.entry LIMIT 1
$$;

-- Takes a refund back, from the grants that it went to; a grant that no longer holds enough refuses it. The refund no
-- longer counts when it was issued, and the loss moves to the next one that stands. Returns the balance after it.
CREATE FUNCTION reverse_refund(
    p_reversal uuid, p_transaction uuid, p_refund uuid, p_note text, p_actor text, p_key text, p_at timestamptz
) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    v_refund refunds;
    v_next refunds;
    v_generation generations;
    v_tier text;
    v_after bigint;
BEGIN
    SELECT g.* INTO STRICT v_generation FROM generations g
     WHERE g.id = (SELECT generation_id FROM refunds WHERE id = p_refund) FOR NO KEY UPDATE;
    SELECT * INTO STRICT v_refund FROM refunds WHERE id = p_refund;
    PERFORM lock_balance(v_refund.customer_id, p_at);
    INSERT INTO credit_transactions (id, customer_id, kind, amount, generation_id, actor, reason, occurred_at)
    VALUES (p_transaction, v_refund.customer_id, 'reversal', -v_refund.credits, v_refund.generation_id, p_actor,
            v_refund.reason, p_at)
    RETURNING balance_after INTO v_after;
    INSERT INTO movements (transaction_id, grant_id, origin_grant_id, credits)
    SELECT p_transaction, grant_id, origin_grant_id, -credits FROM movements
     WHERE transaction_id = v_refund.transaction_id ORDER BY grant_id;
    INSERT INTO reversals (id, refund_id, generation_id, customer_id, transaction_id, credits, note, actor,
                           idempotency_key, reversed_at)
    VALUES (p_reversal, p_refund, v_refund.generation_id, v_refund.customer_id, p_transaction, v_refund.credits,
            p_note, p_actor, p_key, p_at);
    SELECT tier INTO v_tier FROM customers WHERE id = v_refund.customer_id;
    INSERT INTO events (at, type, customer_id, generation_id, tier, provider, model, kind, refunds,
                        credits_refunded, loss_micros, reason, origin)
    VALUES (v_refund.issued_at, 'reversal', v_refund.customer_id, v_generation.id, v_generation.tier,
            v_generation.provider, v_generation.model, v_generation.kind, -1, -v_refund.credits,
            -v_refund.loss_micros, v_refund.reason, v_refund.origin);
    INSERT INTO events (at, type, customer_id, generation_id, tier, credits, holders)
    VALUES (p_at, 'reversal', v_refund.customer_id, v_generation.id, v_tier, -v_refund.credits,
            -(v_after = 0)::int);
    IF v_refund.loss_micros <> 0 THEN
        UPDATE refunds SET loss_micros = 0 WHERE id = p_refund;
        SELECT * INTO v_next FROM losing_refund(v_generation.id);
        IF v_next.id IS NOT NULL THEN
            UPDATE refunds SET loss_micros = v_refund.loss_micros WHERE id = v_next.id;
            INSERT INTO events (at, type, customer_id, generation_id, tier, provider, model, kind, loss_micros,
                                reason, origin)
            VALUES (v_next.issued_at, 'reversal', v_refund.customer_id, v_generation.id, v_generation.tier,
                    v_generation.provider, v_generation.model, v_generation.kind, v_refund.loss_micros,
                    v_next.reason, v_next.origin);
        END IF;
    END IF;
    RETURN v_after;
END $$;

-- Replaces the cost of a generation, in micro-dollars; null: unknown. With a unit, what was billed and its price too;
-- without one the amount comes from no version of a price, and none is kept.
-- The difference counts where the generation was charged and, if it was refunded, as loss where the first refund that
-- stands was issued. What the provider's bill said stands against everything but another bill.
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
    IF v_generation.credits_refunded = 0 THEN
        RETURN;
    END IF;
    SELECT * INTO v_refund FROM losing_refund(p_generation);
    UPDATE refunds SET loss_micros = coalesce(p_micros, 0) WHERE id = v_refund.id;
    IF v_change <> 0 THEN
        INSERT INTO events (at, type, customer_id, generation_id, tier, provider, model, kind, reason, origin,
                            loss_micros)
        VALUES (v_refund.issued_at, 'cost', v_generation.customer_id, p_generation, v_generation.tier,
                v_generation.provider, v_generation.model, v_generation.kind, v_refund.reason, v_refund.origin,
                v_change);
    END IF;
END $$;
