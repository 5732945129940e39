-- Which provider and model a refund was for, beside it: lists of refunds are narrowed to them without their generations.
UPDATE refunds r SET provider = g.provider, model = g.model FROM generations g WHERE g.id = r.generation_id;
ALTER TABLE refunds ALTER COLUMN provider SET NOT NULL, ALTER COLUMN model SET NOT NULL;

CREATE FUNCTION name_provider_of_refund() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    SELECT provider, model INTO NEW.provider, NEW.model FROM generations WHERE id = NEW.generation_id;
    RETURN NEW;
END $$;

CREATE TRIGGER names_its_provider BEFORE INSERT ON refunds
    FOR EACH ROW EXECUTE FUNCTION name_provider_of_refund();

-- Of a refund only the loss changes.
DROP TRIGGER append_only ON refunds;
CREATE TRIGGER append_only BEFORE UPDATE OF id, generation_id, customer_id, transaction_id, provider, model, credits,
        origin, reason, note, actor, policy_version, idempotency_key, bulk_refund_id, issued_at, created_at ON refunds
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
