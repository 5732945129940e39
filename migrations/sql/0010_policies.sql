-- Policies and mappings change by new rows.

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON refund_policies
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON refund_policies EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON error_mappings
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON error_mappings EXECUTE FUNCTION refuse_change();

-- A provider's message without what differs from one failure to the next: addresses, identifiers, numbers.
CREATE FUNCTION normal_error(p_message text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT left(btrim(regexp_replace(regexp_replace(regexp_replace(regexp_replace(lower(coalesce(p_message, '')),
        'https?://[^[:space:]"'']+', '(address)', 'g'),
        '\m(?=[0-9a-z_-]{8})(?=[0-9a-z_-]*[a-z])[0-9a-z_-]*[0-9][0-9a-z_-]*[0-9][0-9a-z_-]*', '(id)', 'g'),
        '[0-9]+([.,:][0-9]+)*', '#', 'g'),
        '[[:space:]]+', ' ', 'g')), 200)
$$;
