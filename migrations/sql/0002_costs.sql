-- The price book by tier, currency and version; costs that follow what a provider says it billed; switches.

UPDATE prices SET amount_micros = unit_price_micros;
UPDATE prices SET certainty = CASE
    WHEN source = 'provider''s documentation' THEN 'documented'
    WHEN source LIKE 'assumed%' THEN 'inferred'
    WHEN source LIKE 'reported%' OR source LIKE 'third party%' OR source LIKE 'price of the sister site%' THEN 'reported'
    ELSE 'unverified' END;
-- The resolution was part of the unit's name.
UPDATE prices SET qualifier = upper(substr(unit, 7)), unit = 'image' WHERE unit IN ('image_1k', 'image_2k', 'image_4k');
UPDATE generations SET qualifier = upper(substr(unit, 7)), unit = 'image'
 WHERE unit IN ('image_1k', 'image_2k', 'image_4k');
-- NanoBanana API sells credits of half a cent. What shipped is said in them; the dollars are the same.
UPDATE prices SET currency = 'credits', rate_micros = 5000, amount_micros = unit_price_micros * 200
 WHERE provider = 'nanobanana' AND unit_price_micros % 5000 = 0
   AND (source LIKE 'third party%' OR source LIKE 'price of the sister site%');
-- A later row of a line ended the earlier one; now the earlier one says so itself.
UPDATE prices SET version = lines.version, effective_to = lines.effective_to
  FROM (SELECT id, row_number() OVER line AS version, lead(effective_from) OVER line AS effective_to
          FROM prices WINDOW line AS (PARTITION BY provider, model, unit, qualifier ORDER BY effective_from)) AS lines
 WHERE lines.id = prices.id;
ALTER TABLE prices ALTER COLUMN amount_micros SET NOT NULL;
-- An amount that the provider stated, and a refusal, rest on no price.
UPDATE generations SET price_id = NULL WHERE cost_source IN ('provider', 'refused') AND price_id IS NOT NULL;

-- Two versions of one line that hold at the same time would leave its price to chance. A range of one hash stands for
-- the line, because an exclusion constraint compares texts only with an extension that not every server has.
ALTER TABLE prices ADD CONSTRAINT no_overlap EXCLUDE USING gist (
    int8range(hashtextextended(provider || chr(31) || model || chr(31) || unit || chr(31) || qualifier, 0),
              hashtextextended(provider || chr(31) || model || chr(31) || unit || chr(31) || qualifier, 0), '[]') WITH &&,
    tstzrange(effective_from, effective_to) WITH &&
) WHERE (withdrawn_at IS NULL);

CREATE TRIGGER versions_stay BEFORE UPDATE OF id, provider, model, unit, qualifier, version, per, currency, amount_micros,
        rate_micros, unit_price_micros, effective_from, source, certainty, actor, created_at ON prices
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER withdrawn_stays BEFORE UPDATE ON prices
    FOR EACH ROW WHEN (OLD.withdrawn_at IS NOT NULL) EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_deleted BEFORE DELETE ON prices FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON prices EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON cost_adjustments
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON cost_adjustments EXECUTE FUNCTION refuse_change();
-- Of a recompute only its progress changes, until it has ended.
CREATE TRIGGER request_stays BEFORE UPDATE OF id, provider, model, since, until, generations, change_micros, book,
        actor, created_at ON recomputes
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER ended_stays BEFORE UPDATE ON recomputes
    FOR EACH ROW WHEN (OLD.ended_at IS NOT NULL) EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_deleted BEFORE DELETE ON recomputes FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON recomputes EXECUTE FUNCTION refuse_change();

-- The price that holds for a unit at that time: the model's own before that of any model, and the tier's before that
-- of any tier. No row: unknown.
CREATE FUNCTION find_price(p_provider text, p_model text, p_unit text, p_qualifier text, p_at timestamptz)
RETURNS SETOF prices LANGUAGE sql STABLE AS $$
    SELECT * FROM prices
     WHERE provider = p_provider AND unit = p_unit AND model IN (p_model, '*') AND qualifier IN (p_qualifier, '')
       AND effective_from <= p_at AND (effective_to IS NULL OR effective_to > p_at) AND withdrawn_at IS NULL
     ORDER BY model = '*', qualifier = ''
     LIMIT 1
$$;

-- What a quantity costs at a price, in micro-dollars, rounded once.
CREATE FUNCTION cost_at(p_price prices, p_quantity numeric) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
    SELECT round(p_price.unit_price_micros * p_quantity / p_price.per)::bigint
$$;

DROP FUNCTION reserve_generation;
CREATE FUNCTION reserve_generation(
    p_key text, p_fingerprint bytea, p_generation uuid, p_transaction uuid, p_customer text, p_provider text,
    p_model text, p_kind text, p_input jsonb, p_metadata jsonb, p_credits bigint, p_token_hash bytea, p_unit text,
    p_quantity numeric, p_qualifier text, p_actor text, p_at timestamptz, p_zone text, p_check_after interval,
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
    IF EXISTS (SELECT FROM provider_switches s WHERE s.provider = p_provider AND s.model IN (p_model, '*')) THEN
        outcome := 'disabled';
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
            SELECT p.id, cost_at(p, p_quantity) AS micros
              FROM find_price(p_provider, p_model, p_unit, p_qualifier, v_at) p) AS cost ON true;
    IF credits IS NULL THEN
        outcome := 'no_credit_price';
        RETURN;
    END IF;
    IF balance < credits THEN
        outcome := 'insufficient';
        RETURN;
    END IF;
    INSERT INTO generations (id, customer_id, tier, provider, model, kind, input, metadata, status, credits_charged,
                             callback_token_hash, unit, quantity, qualifier, price_id, cost_micros, cost_source, actor,
                             charged_at, check_at)
    SELECT p_generation, p_customer, c.tier, p_provider, p_model, p_kind, p_input, p_metadata, 'charged', credits,
           p_token_hash, p_unit, p_quantity, p_qualifier, v_price, v_cost,
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

-- Replaces the cost of a generation, in micro-dollars; null: unknown. With a unit, what was billed and its price too;
-- without one the amount comes from no version of a price, and none is kept.
-- The difference counts where the generation was charged and, if it was refunded, as loss where its first refund was
-- issued. What the provider's bill said stands against everything but another bill.
DROP FUNCTION set_cost;
CREATE FUNCTION set_cost(
    p_generation uuid, p_micros bigint, p_source text, p_price uuid DEFAULT NULL, p_unit text DEFAULT NULL,
    p_quantity numeric DEFAULT NULL, p_qualifier text DEFAULT ''
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_generation generations;
    v_change bigint;
    v_issued_at timestamptz;
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
    RETURNING issued_at INTO v_issued_at;
    IF FOUND AND v_change <> 0 THEN
        INSERT INTO events (at, type, customer_id, generation_id, tier, provider, model, kind, loss_micros)
        VALUES (v_issued_at, 'cost', v_generation.customer_id, p_generation, v_generation.tier,
                v_generation.provider, v_generation.model, v_generation.kind, v_change);
    END IF;
END $$;

-- Takes what the provider says it billed, at the price that held when the generation was charged: the version that
-- was frozen then, if it is of this unit, whatever became of the book since.
CREATE FUNCTION set_usage(p_generation uuid, p_unit text, p_quantity numeric, p_qualifier text) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    v_generation generations;
    v_price prices;
BEGIN
    SELECT * INTO STRICT v_generation FROM generations WHERE id = p_generation FOR NO KEY UPDATE;
    IF v_generation.price_id IS NOT NULL AND (v_generation.unit, v_generation.qualifier) = (p_unit, p_qualifier) THEN
        SELECT * INTO v_price FROM prices WHERE id = v_generation.price_id;
    ELSE
        SELECT * INTO v_price
          FROM find_price(v_generation.provider, v_generation.model, p_unit, p_qualifier, v_generation.charged_at);
    END IF;
    PERFORM set_cost(p_generation, cost_at(v_price, p_quantity), 'provider', v_price.id, p_unit, p_quantity,
                     p_qualifier);
END $$;

-- The generations whose cost rests on the price book, or is unknown, and is another by the book as it is now. What a
-- provider or a bill stated as an amount, and what was refused, is not among them.
CREATE FUNCTION costs_off_book(p_provider text, p_model text, p_since timestamptz, p_until timestamptz)
RETURNS TABLE (generation_id uuid, model text, charged_at timestamptz, unit text, quantity numeric, qualifier text,
               from_micros bigint, from_source text, to_micros bigint, to_source text, to_price uuid)
LANGUAGE sql STABLE AS $$
    SELECT g.id, g.model, g.charged_at, g.unit, g.quantity, g.qualifier, g.cost_micros, g.cost_source, book.micros,
           CASE WHEN book.micros IS NULL THEN 'unknown' WHEN g.cost_source = 'provider' THEN 'provider'
                ELSE 'price_book' END, book.id
      FROM generations g
      LEFT JOIN LATERAL (SELECT p.id, cost_at(p, g.quantity) AS micros
                           FROM find_price(g.provider, g.model, g.unit, g.qualifier, g.charged_at) p) AS book ON true
     WHERE g.provider = p_provider AND (p_model IS NULL OR g.model = p_model)
       AND g.charged_at >= p_since AND g.charged_at < p_until
       AND (g.cost_source IN ('price_book', 'unknown') OR g.cost_source = 'provider' AND g.price_id IS NOT NULL)
       AND g.cost_micros IS DISTINCT FROM book.micros
$$;
