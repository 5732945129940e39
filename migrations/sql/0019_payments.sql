-- By which Stripe ids the payments are found that a row has a part in.
CREATE FUNCTION payment_keys(of stripe_balance_transactions) RETURNS text[] LANGUAGE sql IMMUTABLE AS
    'SELECT ARRAY[coalesce(of.source, of.id)]';
CREATE FUNCTION payment_keys(of stripe_charges) RETURNS text[] LANGUAGE sql IMMUTABLE AS 'SELECT ARRAY[of.id]';
CREATE FUNCTION payment_keys(of stripe_refunds) RETURNS text[] LANGUAGE sql IMMUTABLE AS 'SELECT ARRAY[of.id]';
CREATE FUNCTION payment_keys(of stripe_disputes) RETURNS text[] LANGUAGE sql IMMUTABLE AS 'SELECT ARRAY[of.id]';
CREATE FUNCTION payment_keys(of stripe_checkout_sessions) RETURNS text[] LANGUAGE sql IMMUTABLE AS
    'SELECT ARRAY[of.payment_intent]';
CREATE FUNCTION payment_keys(of stripe_invoice_payments) RETURNS text[] LANGUAGE sql IMMUTABLE AS
    'SELECT ARRAY[of.payment_intent, of.charge_id]';
CREATE FUNCTION payment_keys(of purchases) RETURNS text[] LANGUAGE sql IMMUTABLE AS 'SELECT ARRAY[of.source_id]';

-- What payments are made of comes in any order and from several writers, none of whom sees what the others have not
-- committed. So nobody makes them at once: each leaves word, in his own transaction, of what he changed.
CREATE FUNCTION payment_is_due() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        INSERT INTO payments_due (key) SELECT key FROM unnest(payment_keys(OLD)) AS key WHERE key IS NOT NULL;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        INSERT INTO payments_due (key) SELECT key FROM unnest(payment_keys(NEW)) AS key WHERE key IS NOT NULL;
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER payment_due AFTER INSERT OR DELETE ON stripe_balance_transactions
    FOR EACH ROW EXECUTE FUNCTION payment_is_due();
CREATE TRIGGER payment_due_again AFTER UPDATE ON stripe_balance_transactions FOR EACH ROW
    WHEN ((OLD.id, OLD.source, OLD.created_at, OLD.currency, OLD.amount, OLD.fee, OLD.reporting_category) IS DISTINCT FROM
          (NEW.id, NEW.source, NEW.created_at, NEW.currency, NEW.amount, NEW.fee, NEW.reporting_category))
    EXECUTE FUNCTION payment_is_due();
CREATE TRIGGER payment_due AFTER INSERT OR DELETE ON stripe_charges
    FOR EACH ROW EXECUTE FUNCTION payment_is_due();
CREATE TRIGGER payment_due_again AFTER UPDATE ON stripe_charges FOR EACH ROW
    WHEN ((OLD.id, OLD.payment_intent, OLD.customer_id) IS DISTINCT FROM (NEW.id, NEW.payment_intent, NEW.customer_id))
    EXECUTE FUNCTION payment_is_due();
CREATE TRIGGER payment_due AFTER INSERT OR DELETE ON stripe_refunds
    FOR EACH ROW EXECUTE FUNCTION payment_is_due();
CREATE TRIGGER payment_due_again AFTER UPDATE ON stripe_refunds FOR EACH ROW
    WHEN ((OLD.id, OLD.charge_id) IS DISTINCT FROM (NEW.id, NEW.charge_id)) EXECUTE FUNCTION payment_is_due();
CREATE TRIGGER payment_due AFTER INSERT OR DELETE ON stripe_disputes
    FOR EACH ROW EXECUTE FUNCTION payment_is_due();
CREATE TRIGGER payment_due_again AFTER UPDATE ON stripe_disputes FOR EACH ROW
    WHEN ((OLD.id, OLD.charge_id) IS DISTINCT FROM (NEW.id, NEW.charge_id)) EXECUTE FUNCTION payment_is_due();
CREATE TRIGGER payment_due AFTER INSERT OR DELETE ON stripe_checkout_sessions
    FOR EACH ROW EXECUTE FUNCTION payment_is_due();
CREATE TRIGGER payment_due_again AFTER UPDATE ON stripe_checkout_sessions FOR EACH ROW
    WHEN ((OLD.id, OLD.payment_intent) IS DISTINCT FROM (NEW.id, NEW.payment_intent))
    EXECUTE FUNCTION payment_is_due();
CREATE TRIGGER payment_due AFTER INSERT OR DELETE ON stripe_invoice_payments
    FOR EACH ROW EXECUTE FUNCTION payment_is_due();
CREATE TRIGGER payment_due_again AFTER UPDATE ON stripe_invoice_payments FOR EACH ROW
    WHEN ((OLD.invoice_id, OLD.payment_intent, OLD.charge_id) IS DISTINCT FROM
          (NEW.invoice_id, NEW.payment_intent, NEW.charge_id)) EXECUTE FUNCTION payment_is_due();
CREATE TRIGGER payment_due AFTER INSERT ON purchases FOR EACH ROW EXECUTE FUNCTION payment_is_due();

-- What has been read before.
INSERT INTO payments (id, source, created_at, currency, amount, fee, customer_id, for_credits)
SELECT b.id, coalesce(b.source, b.id), b.created_at, b.currency, b.amount, b.fee, c.customer_id,
       credited.payment_intent IS NOT NULL OR charged.charge_id IS NOT NULL
  FROM stripe_balance_transactions b
  LEFT JOIN stripe_refunds r ON r.id = b.source
  LEFT JOIN stripe_disputes d ON d.id = b.source
  LEFT JOIN stripe_charges c ON c.id = coalesce(r.charge_id, d.charge_id, b.source)
  LEFT JOIN (SELECT s.payment_intent FROM purchases p JOIN stripe_checkout_sessions s ON s.id = p.source_id
              WHERE p.source_kind = 'checkout_session'
              UNION
             SELECT i.payment_intent FROM purchases p JOIN stripe_invoice_payments i ON i.invoice_id = p.source_id
              WHERE p.source_kind = 'invoice') AS credited ON credited.payment_intent = c.payment_intent
  LEFT JOIN (SELECT DISTINCT i.charge_id
               FROM purchases p JOIN stripe_invoice_payments i ON i.invoice_id = p.source_id
              WHERE p.source_kind = 'invoice') AS charged ON charged.charge_id = c.id
 WHERE b.reporting_category IN ('charge', 'charge_failure', 'partial_capture_reversal', 'refund', 'refund_failure',
                                'dispute', 'dispute_reversal')
 ORDER BY b.created_at;

INSERT INTO recognised_customer_months (month, customer_id, currency, price_amount, price_credits, sold, used, expired,
                                        clawed, adjusted)
SELECT CAST(date_trunc('month', day) AS date) AS month, customer_id, currency, price_amount, price_credits, sum(sold),
       sum(used), sum(expired), sum(clawed), sum(adjusted)
  FROM recognised_customer_days WHERE currency = 'usd' GROUP BY 1, 2, 3, 4, 5 ORDER BY 1;
