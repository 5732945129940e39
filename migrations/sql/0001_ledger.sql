-- The ledger's rules. A row in credit_transactions is the only thing that moves a balance, a row in movements
-- the only thing that moves a grant; both are append-only, so the sums always agree.
-- Locks are taken in this order: the operator who acts, a request for approval, a new idempotency key or a callback,
-- generation, balance, grants, and last what nobody waits on while holding it: alerts, and the answer on the
-- request's own key.

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% rows never change', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$;

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON credit_transactions
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON credit_transactions EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON movements
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON movements EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON audit_entries
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON audit_entries EXECUTE FUNCTION refuse_change();
-- Of an event only what a rebuild of the rollups sets anew changes: its transaction id and the activity flags.
CREATE TRIGGER append_only BEFORE UPDATE OF id, at, type, customer_id, generation_id, tier, provider, model, kind,
        generations, succeeded, failed, cancelled, refunds, credits_charged, credits_refunded, cost_micros,
        unknown_costs, loss_micros, latency_ms, customers, holders, credits ON events
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_deleted BEFORE DELETE ON events FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON events EXECUTE FUNCTION refuse_change();
-- Of a refund only the loss changes, when the generation's cost becomes known better.
CREATE TRIGGER append_only BEFORE UPDATE OF id, generation_id, customer_id, transaction_id, credits, origin, reason,
        note, actor, policy_version, idempotency_key, issued_at, created_at ON refunds
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_deleted BEFORE DELETE ON refunds FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON refunds EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_deleted BEFORE DELETE ON balances FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON balances EXECUTE FUNCTION refuse_change();

CREATE FUNCTION refuse_bypass() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'only a ledger row changes %', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$;

-- At trigger depth 0 the statement came from outside the ledger's own triggers.
CREATE TRIGGER ledger_only_update BEFORE UPDATE OF balance, entries, customer_id ON balances FOR EACH ROW
    WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION refuse_bypass();
CREATE TRIGGER ledger_only_insert BEFORE INSERT ON balances FOR EACH ROW
    WHEN (NEW.balance <> 0 OR NEW.entries <> 0) EXECUTE FUNCTION refuse_bypass();
CREATE TRIGGER ledger_only_update BEFORE UPDATE OF remaining, credits, customer_id, source ON grants FOR EACH ROW
    WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION refuse_bypass();
CREATE TRIGGER ledger_only_insert BEFORE INSERT ON grants FOR EACH ROW
    WHEN (NEW.remaining <> 0) EXECUTE FUNCTION refuse_bypass();
CREATE TRIGGER ledger_only_update BEFORE UPDATE OF credits_refunded, credits_charged, customer_id ON generations
    FOR EACH ROW WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION refuse_bypass();
CREATE TRIGGER ledger_only_insert BEFORE INSERT ON generations FOR EACH ROW
    WHEN (NEW.credits_refunded <> 0) EXECUTE FUNCTION refuse_bypass();

CREATE FUNCTION refuse_revival() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a generation that % stays so', OLD.status USING ERRCODE = 'restrict_violation';
END $$;

CREATE TRIGGER ended_is_final BEFORE UPDATE OF status ON generations FOR EACH ROW
    WHEN (OLD.status IN ('succeeded', 'failed', 'cancelled') AND NEW.status <> OLD.status)
    EXECUTE FUNCTION refuse_revival();

CREATE FUNCTION apply_transaction() RETURNS trigger LANGUAGE plpgsql AS $$
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
    IF NEW.kind = 'refund' THEN
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

CREATE TRIGGER apply BEFORE INSERT ON credit_transactions FOR EACH ROW EXECUTE FUNCTION apply_transaction();

-- A ledger row that is not inserted after all (ON CONFLICT DO NOTHING) has moved the balance already.
CREATE FUNCTION check_balance() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM credit_transactions
      WHERE customer_id = NEW.customer_id AND entry = NEW.entries AND balance_after = NEW.balance;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'only a ledger row changes a balance' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NULL;
END $$;

CREATE CONSTRAINT TRIGGER has_ledger_row AFTER UPDATE OF balance, entries ON balances
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION check_balance();

-- Movements have their transaction's sign and never exceed its amount, so that none can be added later.
CREATE FUNCTION apply_movement() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE grants SET remaining = remaining + NEW.credits FROM credit_transactions t
     WHERE grants.id = NEW.grant_id AND t.id = NEW.transaction_id AND grants.customer_id = t.customer_id
       AND sign(NEW.credits) = sign(t.amount)
       AND (SELECT abs(sum(credits)) FROM movements WHERE transaction_id = t.id) <= abs(t.amount);
    IF NOT FOUND THEN
        IF EXISTS (SELECT FROM grants g JOIN credit_transactions t USING (customer_id)
                    WHERE g.id = NEW.grant_id AND t.id = NEW.transaction_id) THEN
            RAISE EXCEPTION 'the movements of a transaction must add up to its amount'
                USING ERRCODE = 'check_violation';
        END IF;
        RAISE EXCEPTION 'a movement stays with one customer' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER apply AFTER INSERT ON movements FOR EACH ROW EXECUTE FUNCTION apply_movement();

CREATE FUNCTION check_movements() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.amount IS DISTINCT FROM (SELECT sum(credits) FROM movements WHERE transaction_id = NEW.id) THEN
        RAISE EXCEPTION 'the movements of a transaction must add up to its amount'
            USING ERRCODE = 'check_violation';
    END IF;
    IF NEW.kind = 'refund' AND NOT EXISTS (SELECT FROM refunds WHERE transaction_id = NEW.id) THEN
        RAISE EXCEPTION 'a refund needs its row in refunds' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;

CREATE CONSTRAINT TRIGGER movements_add_up AFTER INSERT ON credit_transactions
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION check_movements();

CREATE FUNCTION check_refund() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM credit_transactions
      WHERE id = NEW.transaction_id AND kind = 'refund' AND amount = NEW.credits
        AND generation_id = NEW.generation_id AND customer_id = NEW.customer_id;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'a refund must agree with its ledger row' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER agrees BEFORE INSERT ON refunds FOR EACH ROW EXECUTE FUNCTION check_refund();

-- A UUIDv7 for rows whose number only the database knows (one per expired grant); others are made in Python.
CREATE FUNCTION make_uuid7() RETURNS uuid LANGUAGE sql VOLATILE AS $$
    SELECT encode(set_bit(set_bit(overlay(uuid_send(gen_random_uuid())
        PLACING substring(int8send((extract(epoch FROM clock_timestamp()) * 1000)::bigint) FROM 3)
        FROM 1 FOR 6), 52, 1), 53, 1), 'hex')::uuid
$$;

-- One ledger row and its event. The caller adds the movements. Returns the balance after it.
CREATE FUNCTION post(p_id uuid, p_customer text, p_kind text, p_amount bigint, p_actor text, p_reason text,
                     p_at timestamptz) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    v_after bigint;
BEGIN
    INSERT INTO credit_transactions (id, customer_id, kind, amount, actor, reason, occurred_at)
    VALUES (p_id, p_customer, p_kind, p_amount, p_actor, p_reason, p_at)
    RETURNING balance_after INTO v_after;
    INSERT INTO events (at, type, customer_id, tier, credits, holders)
    SELECT p_at, p_kind, p_customer, tier, p_amount,
           (v_after > 0)::int - (v_after - p_amount > 0)::int
      FROM customers WHERE id = p_customer;
    RETURN v_after;
END $$;

-- Locks the customer's balance and takes out what has expired, so that it cannot be spent. Gives the balance,
-- null for an unknown customer; the time under the lock (`p_at`, unless given the clock's); and the day on which
-- the customer was last charged.
CREATE FUNCTION lock_balance(p_customer text, p_at timestamptz, OUT balance bigint, OUT locked_at timestamptz,
                             OUT last_charged_day date) LANGUAGE plpgsql AS $$
DECLARE
    v_grant record;
    v_transaction uuid;
BEGIN
    SELECT b.balance, b.last_charged_day INTO balance, last_charged_day
      FROM balances b WHERE b.customer_id = p_customer FOR NO KEY UPDATE;
    locked_at := coalesce(p_at, clock_timestamp());
    FOR v_grant IN SELECT id, remaining, source FROM grants
                    WHERE customer_id = p_customer AND remaining > 0 AND expires_at <= locked_at ORDER BY id LOOP
        v_transaction := make_uuid7();
        balance := post(v_transaction, p_customer, 'expiry', -v_grant.remaining, 'system',
                        v_grant.source || ' expired', locked_at);
        INSERT INTO movements (transaction_id, grant_id, credits)
        VALUES (v_transaction, v_grant.id, -v_grant.remaining);
    END LOOP;
END $$;

-- Gives credits. The caller has locked the balance. Returns the balance.
CREATE FUNCTION give_credits(p_grant uuid, p_transaction uuid, p_customer text, p_source text, p_credits bigint,
                             p_expires_at timestamptz, p_month date, p_actor text, p_reason text,
                             p_at timestamptz) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    v_balance bigint;
BEGIN
    INSERT INTO grants (id, customer_id, source, credits, expires_at, month, reason, created_at)
    VALUES (p_grant, p_customer, p_source, p_credits, p_expires_at, p_month, p_reason, p_at);
    v_balance := post(p_transaction, p_customer,
                      CASE p_source WHEN 'adjustment' THEN 'adjustment' ELSE 'grant' END,
                      p_credits, p_actor, p_reason, p_at);
    INSERT INTO movements (transaction_id, grant_id, credits) VALUES (p_transaction, p_grant, p_credits);
    RETURN v_balance;
END $$;

-- Spends credits of a locked balance: soonest to expire first, purchased last.
CREATE FUNCTION draw(p_transaction uuid, p_customer text, p_credits bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_grant record;
    v_due bigint := p_credits;
BEGIN
    FOR v_grant IN SELECT id, remaining FROM grants WHERE customer_id = p_customer AND remaining > 0
                    ORDER BY source = 'purchase', expires_at NULLS LAST, id LOOP
        INSERT INTO movements (transaction_id, grant_id, credits)
        VALUES (p_transaction, v_grant.id, -least(v_grant.remaining, v_due));
        v_due := v_due - v_grant.remaining;
        EXIT WHEN v_due <= 0;
    END LOOP;
END $$;

-- Charges a new generation, once for each idempotency key. One round trip on the hot path. Outcomes:
-- charged; repeated (the key exists: nothing was done); unknown_customer, no_credit_price, insufficient
-- (the caller rolls back).
CREATE FUNCTION reserve_generation(
    p_key text, p_fingerprint bytea, p_generation uuid, p_transaction uuid, p_customer text, p_provider text,
    p_model text, p_kind text, p_input jsonb, p_metadata jsonb, p_credits bigint, p_token_hash bytea, p_unit text,
    p_quantity bigint, p_actor text, p_at timestamptz, p_zone text, p_check_after interval,
    OUT outcome text, OUT balance bigint, OUT credits bigint) LANGUAGE plpgsql AS $$
DECLARE
    v_locked record;
    v_at timestamptz;
    v_tier text;
    v_price uuid;
    v_cost bigint;
    v_day date;
    v_last_day date;
BEGIN
    INSERT INTO idempotency_keys (key, fingerprint, resource_id) VALUES (p_key, p_fingerprint, p_generation)
    ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        outcome := 'repeated';
        RETURN;
    END IF;
    v_locked := lock_balance(p_customer, p_at);
    balance := v_locked.balance;
    IF balance IS NULL THEN
        outcome := 'unknown_customer';
        RETURN;
    END IF;
    -- The time was taken under the lock, so that a customer's charges are in the order of their times.
    v_at := v_locked.locked_at;
    SELECT coalesce(p_credits, charged.credits), cost.id, cost.micros INTO credits, v_price, v_cost
      FROM (VALUES (1)) AS one
      LEFT JOIN LATERAL (
            SELECT c.credits FROM credit_prices c
             WHERE c.provider = p_provider AND c.model = p_model AND c.effective_from <= v_at
             ORDER BY c.effective_from DESC LIMIT 1) AS charged ON true
      LEFT JOIN LATERAL (
            SELECT p.id, p.unit_price_micros * p_quantity AS micros FROM prices p
             WHERE p.provider = p_provider AND p.model = p_model AND p.unit = p_unit AND p.effective_from <= v_at
             ORDER BY p.effective_from DESC LIMIT 1) AS cost ON true;
    IF credits IS NULL THEN
        outcome := 'no_credit_price';
        RETURN;
    END IF;
    IF balance < credits THEN
        outcome := 'insufficient';
        RETURN;
    END IF;
    INSERT INTO generations (id, customer_id, tier, provider, model, kind, input, metadata, status, credits_charged,
                             callback_token_hash, unit, quantity, price_id, cost_micros, cost_source, actor,
                             charged_at, check_at)
    SELECT p_generation, p_customer, c.tier, p_provider, p_model, p_kind, p_input, p_metadata, 'charged', credits,
           p_token_hash, p_unit, p_quantity, v_price, v_cost,
           CASE WHEN v_cost IS NULL THEN 'unknown' ELSE 'price_book' END, p_actor, v_at, v_at + p_check_after
      FROM customers c WHERE c.id = p_customer
    RETURNING tier INTO v_tier;
    INSERT INTO credit_transactions (id, customer_id, kind, amount, generation_id, actor, reason, occurred_at)
    VALUES (p_transaction, p_customer, 'charge', -credits, p_generation, p_actor, p_model, v_at)
    RETURNING balance_after INTO balance;
    PERFORM draw(p_transaction, p_customer, credits);
    v_day := (v_at AT TIME ZONE p_zone)::date;
    v_last_day := coalesce(v_locked.last_charged_day, '-infinity');
    IF v_day > v_last_day THEN
        UPDATE balances SET last_charged_day = v_day WHERE customer_id = p_customer;
    END IF;
    INSERT INTO events (at, type, customer_id, generation_id, tier, provider, model, kind, generations,
                        active_day, active_month, credits_charged, cost_micros, unknown_costs, credits, holders)
    VALUES (v_at, 'charge', p_customer, p_generation, v_tier, p_provider, p_model, p_kind, 1,
            (v_day > v_last_day)::int, (date_trunc('month', v_day)::date > v_last_day)::int,
            credits, coalesce(v_cost, 0), (v_cost IS NULL)::int, -credits, -(balance = 0)::int);
    outcome := 'charged';
END $$;

-- Returns credits of a locked generation to the grants that they came from, last drawn first; what belongs to a
-- grant that has expired goes into a new one that lives p_lifetime. Writes refund, ledger row and event.
CREATE FUNCTION refund_generation(
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
    INSERT INTO events (at, type, customer_id, generation_id, tier, provider, model, kind, refunds,
                        credits_refunded, loss_micros)
    VALUES (p_at, 'refund', v_generation.customer_id, p_generation, v_generation.tier, v_generation.provider,
            v_generation.model, v_generation.kind, 1, p_credits, v_loss);
    INSERT INTO events (at, type, customer_id, generation_id, tier, credits, holders)
    VALUES (p_at, 'refund', v_generation.customer_id, p_generation, v_tier, p_credits,
            (v_after = p_credits)::int);
    RETURN v_after;
END $$;

-- Replaces the cost of a generation, in micro-dollars. The difference counts where the generation was charged
-- and, if it was refunded, as loss where its first refund was issued.
CREATE FUNCTION set_cost(p_generation uuid, p_micros bigint, p_source text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_generation generations;
    v_change bigint;
    v_issued_at timestamptz;
BEGIN
    SELECT * INTO STRICT v_generation FROM generations WHERE id = p_generation FOR NO KEY UPDATE;
    UPDATE generations SET cost_micros = p_micros, cost_source = p_source WHERE id = p_generation;
    IF v_generation.cost_micros IS NOT DISTINCT FROM p_micros THEN
        RETURN;
    END IF;
    v_change := p_micros - coalesce(v_generation.cost_micros, 0);
    INSERT INTO events (at, type, customer_id, generation_id, tier, provider, model, kind, cost_micros, unknown_costs)
    VALUES (v_generation.charged_at, 'cost', v_generation.customer_id, p_generation, v_generation.tier,
            v_generation.provider, v_generation.model, v_generation.kind, v_change,
            -(v_generation.cost_micros IS NULL)::int);
    UPDATE refunds SET loss_micros = p_micros
     WHERE id = (SELECT r.id FROM refunds r JOIN credit_transactions t ON t.id = r.transaction_id
                  WHERE r.generation_id = p_generation ORDER BY t.entry LIMIT 1)
    RETURNING issued_at INTO v_issued_at;
    IF FOUND AND v_change <> 0 THEN
        INSERT INTO events (at, type, customer_id, generation_id, tier, provider, model, kind, loss_micros)
        VALUES (v_issued_at, 'cost', v_generation.customer_id, p_generation, v_generation.tier,
                v_generation.provider, v_generation.model, v_generation.kind, v_change);
    END IF;
END $$;
