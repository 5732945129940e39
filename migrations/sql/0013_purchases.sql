-- Credits sold, and what is taken back of them when money goes back.
-- The key of a new purchase is taken before the balance is locked. The rows of a customer's purchases change only under
-- the lock of that customer's balance, so that a debt can be settled wherever credits are given.

CREATE TRIGGER bought_stays BEFORE UPDATE OF id, customer_id, linked_by, source_kind, source_id, grant_id, credits,
        currency, amount, paid, paid_at, granted_at, created_at ON purchases
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_deleted BEFORE DELETE ON purchases FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON purchases EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON clawbacks FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON clawbacks EXECUTE FUNCTION refuse_change();
CREATE TRIGGER bought_stays BEFORE UPDATE OF purchase_id ON grants FOR EACH ROW
    WHEN (OLD.purchase_id IS NOT NULL) EXECUTE FUNCTION refuse_change();

CREATE FUNCTION refuse_bypass_of_clawbacks() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'only a row of clawbacks changes a purchase' USING ERRCODE = 'restrict_violation';
END $$;

-- At trigger depth 0 the statement came from outside the trigger of clawbacks.
CREATE TRIGGER clawbacks_only_update BEFORE UPDATE OF refunded, disputed, returned, clawed, owed, gone ON purchases
    FOR EACH ROW WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION refuse_bypass_of_clawbacks();
CREATE TRIGGER clawbacks_only_insert BEFORE INSERT ON purchases FOR EACH ROW
    WHEN ((NEW.refunded, NEW.disputed, NEW.returned, NEW.clawed, NEW.owed, NEW.gone) <> (0, 0, 0, 0, 0, 0))
    EXECUTE FUNCTION refuse_bypass_of_clawbacks();

CREATE FUNCTION check_purchase() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM grants
      WHERE id = NEW.grant_id AND customer_id = NEW.customer_id AND credits = NEW.credits
        AND purchase_id = NEW.id AND source IN ('purchase', 'allowance') AND month IS NULL;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'a purchase must agree with its grant' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;

CREATE CONSTRAINT TRIGGER has_its_grant AFTER INSERT ON purchases
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION check_purchase();

-- A row of clawbacks agrees with its ledger row, continues the one before, and moves its purchase.
CREATE FUNCTION apply_clawback() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.transaction_id IS NOT NULL THEN
        PERFORM FROM credit_transactions
          WHERE id = NEW.transaction_id AND customer_id = NEW.customer_id AND amount = -NEW.taken
            AND kind = CASE WHEN NEW.taken > 0 THEN 'clawback' ELSE 'restoration' END;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'a claw-back must agree with its ledger row' USING ERRCODE = 'check_violation';
        END IF;
    END IF;
    UPDATE purchases
       SET refunded = NEW.refunded, disputed = NEW.disputed, returned = returned + NEW.amount,
           clawed = clawed + NEW.taken + NEW.owed + NEW.gone, owed = owed + NEW.owed, gone = gone + NEW.gone
     WHERE id = NEW.purchase_id AND customer_id = NEW.customer_id
       AND NEW.number = 1 + (SELECT count(*) FROM clawbacks WHERE purchase_id = NEW.purchase_id)
       AND returned + NEW.amount = least(NEW.refunded + NEW.disputed, paid);
    IF NOT FOUND THEN
        RAISE EXCEPTION 'a claw-back continues those of its purchase' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER apply BEFORE INSERT ON clawbacks FOR EACH ROW EXECUTE FUNCTION apply_clawback();

-- A clawback or restoration needs its row; the rest is as before.
CREATE FUNCTION check_clawback() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM clawbacks WHERE transaction_id = NEW.id;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'a % needs its row in clawbacks', NEW.kind USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;

CREATE CONSTRAINT TRIGGER has_clawback AFTER INSERT ON credit_transactions
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.kind IN ('clawback', 'restoration'))
    EXECUTE FUNCTION check_clawback();

-- Credits that live on in a new grant stay those of their purchase.
CREATE FUNCTION keep_purchase() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE grants SET purchase_id = origin.purchase_id FROM grants AS origin
     WHERE grants.id = NEW.grant_id AND grants.purchase_id IS NULL AND origin.id = NEW.origin_grant_id
       AND origin.purchase_id IS NOT NULL;
    RETURN NULL;
END $$;

CREATE TRIGGER keep_purchase AFTER INSERT ON movements FOR EACH ROW WHEN (NEW.origin_grant_id IS NOT NULL)
    EXECUTE FUNCTION keep_purchase();

-- One row of clawbacks, and the ledger row of what it takes or restores. The caller has locked the balance and adds the
-- movements. Returns the ledger row's id, null where no credits move.
CREATE FUNCTION record_clawback(p_purchase purchases, p_cause text, p_refunded bigint, p_disputed bigint,
                                p_taken bigint, p_owed bigint, p_gone bigint, p_actor text,
                                p_at timestamptz) RETURNS uuid LANGUAGE plpgsql AS $$
DECLARE
    v_transaction uuid := CASE WHEN p_taken <> 0 THEN make_uuid7() END;
    v_reason text := CASE p_cause WHEN 'refund' THEN 'payment refunded' WHEN 'dispute' THEN 'payment disputed'
                                  WHEN 'refund_failed' THEN 'refund of the payment failed'
                                  WHEN 'dispute_won' THEN 'dispute won' ELSE 'debt settled' END;
BEGIN
    IF p_taken <> 0 THEN
        PERFORM post(v_transaction, p_purchase.customer_id,
                     CASE WHEN p_taken > 0 THEN 'clawback' ELSE 'restoration' END, -p_taken, p_actor,
                     v_reason || ': ' || p_purchase.source_id, p_at);
    END IF;
    INSERT INTO clawbacks (id, purchase_id, number, customer_id, transaction_id, cause, amount, refunded, disputed,
                           taken, owed, gone, occurred_at)
    VALUES (make_uuid7(), p_purchase.id, 1 + (SELECT count(*) FROM clawbacks WHERE purchase_id = p_purchase.id),
            p_purchase.customer_id, v_transaction, p_cause,
            least(p_refunded + p_disputed, p_purchase.paid) - p_purchase.returned, p_refunded, p_disputed,
            p_taken, p_owed, p_gone, p_at);
    RETURN v_transaction;
END $$;

-- Takes what is owed from purchased credits, as far as there are any: the oldest debt first. The caller has locked the
-- balance. Returns how many credits it took.
CREATE FUNCTION settle_debts(p_customer text, p_at timestamptz) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    v_purchase purchases;
    v_grant record;
    v_transaction uuid;
    v_due bigint;
    v_taken bigint := 0;
BEGIN
    FOR v_purchase IN SELECT * FROM purchases WHERE customer_id = p_customer AND owed > 0 ORDER BY paid_at, id LOOP
        SELECT least(v_purchase.owed, coalesce(sum(remaining), 0)) INTO v_due
          FROM grants WHERE customer_id = p_customer AND source = 'purchase' AND remaining > 0;
        EXIT WHEN v_due = 0;
        v_taken := v_taken + v_due;
        v_transaction := record_clawback(v_purchase, 'debt', v_purchase.refunded, v_purchase.disputed, v_due, -v_due,
                                         0, 'system', p_at);
        FOR v_grant IN SELECT id, remaining FROM grants
                        WHERE customer_id = p_customer AND source = 'purchase' AND remaining > 0 ORDER BY id LOOP
            INSERT INTO movements (transaction_id, grant_id, credits)
            VALUES (v_transaction, v_grant.id, -least(v_grant.remaining, v_due));
            v_due := v_due - v_grant.remaining;
            EXIT WHEN v_due <= 0;
        END LOOP;
    END LOOP;
    RETURN v_taken;
END $$;

-- Gives credits; purchased ones settle the customer's debts at once. The caller has locked the balance. Returns the
-- balance.
CREATE OR REPLACE FUNCTION give_credits(p_grant uuid, p_transaction uuid, p_customer text, p_source text,
                                        p_credits bigint, p_expires_at timestamptz, p_month date, p_actor text,
                                        p_reason text, p_at timestamptz) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    v_balance bigint;
BEGIN
    INSERT INTO grants (id, customer_id, source, credits, expires_at, month, reason, created_at)
    VALUES (p_grant, p_customer, p_source, p_credits, p_expires_at, p_month, p_reason, p_at);
    v_balance := post(p_transaction, p_customer,
                      CASE p_source WHEN 'adjustment' THEN 'adjustment' ELSE 'grant' END,
                      p_credits, p_actor, p_reason, p_at);
    INSERT INTO movements (transaction_id, grant_id, credits) VALUES (p_transaction, p_grant, p_credits);
    IF p_source = 'purchase' THEN
        v_balance := v_balance - settle_debts(p_customer, p_at);
    END IF;
    RETURN v_balance;
END $$;

-- Credits a paid business object of Stripe's, once: false if it was credited before, and nothing was done. What never
-- expires (p_expires_at null) is purchased, the rest is an allowance.
CREATE FUNCTION sell_credits(
    p_purchase uuid, p_grant uuid, p_transaction uuid, p_customer text, p_linked_by text, p_source_kind text,
    p_source_id text, p_credits bigint, p_expires_at timestamptz, p_currency text, p_amount bigint, p_paid bigint,
    p_paid_at timestamptz, p_actor text, p_reason text, p_at timestamptz) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO purchases (id, customer_id, linked_by, source_kind, source_id, grant_id, credits, currency, amount,
                           paid, paid_at, granted_at)
    VALUES (p_purchase, p_customer, p_linked_by, p_source_kind, p_source_id, p_grant, p_credits, p_currency, p_amount,
            p_paid, p_paid_at, p_at)
    ON CONFLICT (source_kind, source_id) DO NOTHING;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    PERFORM lock_balance(p_customer, p_at);
    PERFORM give_credits(p_grant, p_transaction, p_customer,
                         CASE WHEN p_expires_at IS NULL THEN 'purchase' ELSE 'allowance' END,
                         p_credits, p_expires_at, NULL, p_actor, p_reason, p_at);
    UPDATE grants SET purchase_id = p_purchase WHERE id = p_grant;
    RETURN true;
END $$;

-- Brings what is taken back of a purchase to what went back of its money, up or down: credits x returned / paid,
-- rounded down, all when all went back. First from the purchase's own grants, then what of them expired unspent counts,
-- then the customer's other purchased credits, and what is left is owed. The way back is the reverse: the debt shrinks,
-- then credits return to the grants that they came from; what came from one that has expired lives on in a new one for
-- p_lifetime. A repeat does nothing. Returns whether anything changed.
CREATE FUNCTION set_returned(p_purchase uuid, p_refunded bigint, p_disputed bigint, p_lifetime interval,
                             p_actor text, p_at timestamptz) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    v_purchase purchases;
    v_returned bigint;
    v_target bigint;
    v_due bigint;
    v_left bigint;
    v_own bigint;
    v_others bigint;
    v_gone bigint;
    v_grant record;
    v_transaction uuid;
    v_into uuid;
    v_cause text;
BEGIN
    SELECT * INTO STRICT v_purchase FROM purchases WHERE id = p_purchase;
    PERFORM lock_balance(v_purchase.customer_id, p_at);
    SELECT * INTO STRICT v_purchase FROM purchases WHERE id = p_purchase;
    IF (v_purchase.refunded, v_purchase.disputed) = (p_refunded, p_disputed) THEN
        RETURN false;
    END IF;
    v_returned := least(p_refunded + p_disputed, v_purchase.paid);
    v_target := CASE WHEN v_purchase.paid = 0 THEN 0
                     ELSE div(v_purchase.credits::numeric * v_returned, v_purchase.paid::numeric) END;
    v_due := v_target - v_purchase.clawed;
    v_cause := CASE WHEN v_returned >= v_purchase.returned
                    THEN CASE WHEN p_disputed > v_purchase.disputed THEN 'dispute' ELSE 'refund' END
                    ELSE CASE WHEN p_disputed < v_purchase.disputed THEN 'dispute_won' ELSE 'refund_failed' END END;
    IF v_due >= 0 THEN
        SELECT least(v_due, coalesce(sum(remaining), 0)) INTO v_own
          FROM grants WHERE customer_id = v_purchase.customer_id AND purchase_id = p_purchase AND remaining > 0;
        SELECT least(v_due - v_own, coalesce(-sum(m.credits), 0) - v_purchase.gone) INTO v_gone
          FROM credit_transactions t  -- from the customer's: movements have no index by grant
          JOIN movements m ON m.transaction_id = t.id
          JOIN grants g ON g.id = m.grant_id
         WHERE t.customer_id = v_purchase.customer_id AND t.kind = 'expiry' AND g.purchase_id = p_purchase;
        SELECT least(v_due - v_own - v_gone, coalesce(sum(remaining), 0)) INTO v_others
          FROM grants WHERE customer_id = v_purchase.customer_id AND source = 'purchase' AND remaining > 0
           AND purchase_id IS DISTINCT FROM p_purchase;
        v_left := v_own + v_others;
        v_transaction := record_clawback(v_purchase, v_cause, p_refunded, p_disputed, v_left,
                                         v_due - v_left - v_gone, v_gone, p_actor, p_at);
        FOR v_grant IN SELECT id, remaining FROM grants
                        WHERE customer_id = v_purchase.customer_id AND remaining > 0 AND v_left > 0
                          AND (source = 'purchase' OR purchase_id = p_purchase)
                        ORDER BY purchase_id IS DISTINCT FROM p_purchase, id LOOP
            INSERT INTO movements (transaction_id, grant_id, credits)
            VALUES (v_transaction, v_grant.id, -least(v_grant.remaining, v_left));
            v_left := v_left - v_grant.remaining;
            EXIT WHEN v_left <= 0;
        END LOOP;
        RETURN true;
    END IF;
    v_left := least(-v_due - least(-v_due, v_purchase.owed),
                    v_purchase.clawed - v_purchase.owed - v_purchase.gone);
    v_transaction := record_clawback(v_purchase, v_cause, p_refunded, p_disputed, -v_left,
                                     -least(-v_due, v_purchase.owed),
                                     v_due + least(-v_due, v_purchase.owed) + v_left, p_actor, p_at);
    FOR v_grant IN
        SELECT g.id, g.source, g.expires_at <= p_at AS expired, -sum(m.credits) AS taken
          FROM clawbacks c
          JOIN movements m ON m.transaction_id = c.transaction_id
          JOIN grants g ON g.id = coalesce(m.origin_grant_id, m.grant_id)
         WHERE c.purchase_id = p_purchase AND c.transaction_id IS DISTINCT FROM v_transaction AND v_left > 0
         GROUP BY g.id
        HAVING sum(m.credits) < 0
         ORDER BY g.purchase_id IS DISTINCT FROM p_purchase DESC, g.id DESC
    LOOP
        v_into := v_grant.id;
        IF v_grant.expired THEN
            v_into := make_uuid7();
            INSERT INTO grants (id, customer_id, source, credits, expires_at, reason, created_at)
            VALUES (v_into, v_purchase.customer_id, v_grant.source, least(v_grant.taken, v_left), p_at + p_lifetime,
                    'restored after expiry', p_at);
        END IF;
        INSERT INTO movements (transaction_id, grant_id, origin_grant_id, credits)
        VALUES (v_transaction, v_into, CASE WHEN v_grant.expired THEN v_grant.id END, least(v_grant.taken, v_left));
        v_left := v_left - v_grant.taken;
        EXIT WHEN v_left <= 0;
    END LOOP;
    PERFORM settle_debts(v_purchase.customer_id, p_at);
    RETURN true;
END $$;
