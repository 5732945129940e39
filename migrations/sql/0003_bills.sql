-- What a provider said is kept as it was said; a line is matched once and accepted once.

CREATE TRIGGER lines_stay BEFORE UPDATE OF id, bill_id, provider, line_id, provider_job_id, model, kind, amount_micros,
        quantity, unit, billed_at, raw, created_at ON bill_lines
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER matched_once BEFORE UPDATE OF generation_id ON bill_lines
    FOR EACH ROW WHEN (OLD.generation_id IS NOT NULL AND NEW.generation_id IS DISTINCT FROM OLD.generation_id)
    EXECUTE FUNCTION refuse_change();
CREATE TRIGGER accepted_once BEFORE UPDATE OF accepted_at, accepted_by ON bill_lines
    FOR EACH ROW WHEN (OLD.accepted_at IS NOT NULL) EXECUTE FUNCTION refuse_change();
-- An import that was a mistake can be withdrawn as long as nothing rests on its lines.
CREATE TRIGGER accepted_stays BEFORE DELETE ON bill_lines
    FOR EACH ROW WHEN (OLD.accepted_at IS NOT NULL) EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON bill_lines EXECUTE FUNCTION refuse_change();
-- Imports stay, withdrawn ones too; a draft that nobody imported may go.
CREATE TRIGGER imports_stay BEFORE DELETE ON bills
    FOR EACH ROW WHEN (OLD.state <> 'draft') EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON bills EXECUTE FUNCTION refuse_change();
