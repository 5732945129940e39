-- Notes and adjustments are kept as they were written, and an adjustment agrees with its ledger row.
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON customer_notes
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON customer_notes EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON credit_adjustments
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON credit_adjustments EXECUTE FUNCTION refuse_change();

CREATE FUNCTION check_adjustment() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM credit_transactions
      WHERE id = NEW.transaction_id AND kind = 'adjustment' AND amount = NEW.credits
        AND customer_id = NEW.customer_id;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'an adjustment must agree with its ledger row' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER agrees BEFORE INSERT ON credit_adjustments FOR EACH ROW EXECUTE FUNCTION check_adjustment();
