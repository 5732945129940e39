-- A request never becomes another one, and is decided once.

CREATE TRIGGER request_stays BEFORE UPDATE OF id, kind, subject, credits, details, note, requested_by, requested_at,
        expires_at, created_at ON approvals
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER decided_once BEFORE UPDATE ON approvals
    FOR EACH ROW WHEN (OLD.state <> 'pending') EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_deleted BEFORE DELETE ON approvals FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON approvals EXECUTE FUNCTION refuse_change();

-- Limits change by a new version.
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON refund_limits
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON refund_limits EXECUTE FUNCTION refuse_change();

INSERT INTO refund_limits (version, role, per_refund, per_day, per_bulk, confirm_from, actor, note) VALUES
    (1, 'support', 500, 2000, 0, 200, 'system', 'As shipped'),
    (1, 'admin', NULL, NULL, 1000, 500, 'system', 'As shipped');
