-- What the payment check has to look at again. Only ever added to here, with no key but its own, so that no writer
-- waits for another; the check takes away what it saw.
CREATE FUNCTION note_payment_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO payment_changes (object_id) VALUES (NEW.id);
    RETURN NULL;
END $$;

CREATE FUNCTION note_purchase_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO payment_changes (object_id) VALUES (NEW.source_id);
    RETURN NULL;
END $$;

-- From when on payments grant credits decides of all of them what has to be credited.
CREATE FUNCTION note_every_payment() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO payment_changes (object_id)
    SELECT id FROM stripe_checkout_sessions UNION ALL SELECT id FROM stripe_invoices;
    RETURN NULL;
END $$;

CREATE TRIGGER note_new AFTER INSERT ON purchases FOR EACH ROW EXECUTE FUNCTION note_purchase_change();
CREATE TRIGGER note_new AFTER INSERT ON stripe_checkout_sessions FOR EACH ROW EXECUTE FUNCTION note_payment_change();
CREATE TRIGGER note_new AFTER INSERT ON stripe_invoices FOR EACH ROW EXECUTE FUNCTION note_payment_change();
CREATE TRIGGER note_new AFTER INSERT ON stripe_invoice_payments FOR EACH ROW EXECUTE FUNCTION note_payment_change();
CREATE TRIGGER note_new AFTER INSERT ON stripe_charges FOR EACH ROW EXECUTE FUNCTION note_payment_change();
CREATE TRIGGER note_new AFTER INSERT ON stripe_disputes FOR EACH ROW EXECUTE FUNCTION note_payment_change();
CREATE TRIGGER note_new AFTER INSERT ON stripe_products FOR EACH ROW EXECUTE FUNCTION note_payment_change();

-- That an object was read again and is as it was, or is somebody's now, changes nothing that the check asks for.
CREATE TRIGGER note_change AFTER UPDATE ON purchases FOR EACH ROW
    WHEN (OLD IS DISTINCT FROM NEW) EXECUTE FUNCTION note_purchase_change();
CREATE TRIGGER note_change AFTER UPDATE ON stripe_checkout_sessions FOR EACH ROW
    WHEN ((OLD.mode, OLD.status, OLD.payment_status, OLD.payment_intent, OLD.created_at, OLD.body)
          IS DISTINCT FROM (NEW.mode, NEW.status, NEW.payment_status, NEW.payment_intent, NEW.created_at, NEW.body))
    EXECUTE FUNCTION note_payment_change();
CREATE TRIGGER note_change AFTER UPDATE ON stripe_invoices FOR EACH ROW
    WHEN ((OLD.status, OLD.billing_reason, OLD.amount_paid, OLD.paid_at, OLD.body)
          IS DISTINCT FROM (NEW.status, NEW.billing_reason, NEW.amount_paid, NEW.paid_at, NEW.body))
    EXECUTE FUNCTION note_payment_change();
CREATE TRIGGER note_change AFTER UPDATE ON stripe_invoice_payments FOR EACH ROW
    WHEN ((OLD.invoice_id, OLD.payment_intent, OLD.charge_id, OLD.status, OLD.body)
          IS DISTINCT FROM (NEW.invoice_id, NEW.payment_intent, NEW.charge_id, NEW.status, NEW.body))
    EXECUTE FUNCTION note_payment_change();
CREATE TRIGGER note_change AFTER UPDATE ON stripe_charges FOR EACH ROW
    WHEN ((OLD.payment_intent, OLD.currency, OLD.amount_captured, OLD.amount_refunded, OLD.created_at)
          IS DISTINCT FROM (NEW.payment_intent, NEW.currency, NEW.amount_captured, NEW.amount_refunded,
                            NEW.created_at))
    EXECUTE FUNCTION note_payment_change();
CREATE TRIGGER note_change AFTER UPDATE ON stripe_disputes FOR EACH ROW
    WHEN ((OLD.charge_id, OLD.status, OLD.currency, OLD.amount, OLD.body)
          IS DISTINCT FROM (NEW.charge_id, NEW.status, NEW.currency, NEW.amount, NEW.body))
    EXECUTE FUNCTION note_payment_change();
CREATE TRIGGER note_change AFTER UPDATE ON stripe_products FOR EACH ROW
    WHEN (OLD.body -> 'metadata' IS DISTINCT FROM NEW.body -> 'metadata') EXECUTE FUNCTION note_payment_change();
CREATE TRIGGER note_change AFTER UPDATE ON stripe_account FOR EACH ROW
    WHEN (OLD.grants_since IS DISTINCT FROM NEW.grants_since) EXECUTE FUNCTION note_every_payment();

INSERT INTO payment_changes (object_id)
SELECT source_id FROM purchases
 UNION
SELECT id FROM stripe_checkout_sessions
 UNION
SELECT id FROM stripe_invoices;
