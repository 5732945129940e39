-- The sums of balance transactions follow whatever is written, in the same transaction, and share no row between
-- writers: what was and what is now, by 15 minutes of UTC, added as a row of its own where it is not nothing.
CREATE FUNCTION sum_balance_changes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO balance_sums (bucket, currency, reporting_category, transactions, amount, fee)
        SELECT date_bin('15 minutes', created_at, timestamptz '2000-01-01T00:00:00Z'), currency, reporting_category,
               count(*), sum(amount), sum(fee)
          FROM written GROUP BY 1, 2, 3;
    ELSIF TG_OP = 'UPDATE' THEN
        INSERT INTO balance_sums (bucket, currency, reporting_category, transactions, amount, fee)
        SELECT date_bin('15 minutes', created_at, timestamptz '2000-01-01T00:00:00Z'), currency, reporting_category,
               sum(sign), sum(sign * amount), sum(sign * fee)
          FROM (SELECT created_at, currency, reporting_category, amount, fee, 1 AS sign FROM written
                 UNION ALL
                SELECT created_at, currency, reporting_category, amount, fee, -1 FROM gone) AS changes
         GROUP BY 1, 2, 3
        HAVING sum(sign) <> 0 OR sum(sign * amount) <> 0 OR sum(sign * fee) <> 0;
    ELSE
        INSERT INTO balance_sums (bucket, currency, reporting_category, transactions, amount, fee)
        SELECT date_bin('15 minutes', created_at, timestamptz '2000-01-01T00:00:00Z'), currency, reporting_category,
               -count(*), -sum(amount), -sum(fee)
          FROM gone GROUP BY 1, 2, 3;
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER sum_inserted AFTER INSERT ON stripe_balance_transactions
    REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION sum_balance_changes();
CREATE TRIGGER sum_updated AFTER UPDATE ON stripe_balance_transactions
    REFERENCING NEW TABLE AS written OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION sum_balance_changes();
CREATE TRIGGER sum_deleted AFTER DELETE ON stripe_balance_transactions
    REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION sum_balance_changes();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON stripe_balance_transactions EXECUTE FUNCTION refuse_change();

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON balance_sums
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON balance_sums EXECUTE FUNCTION refuse_change();

-- What has been read before the sums existed.
INSERT INTO balance_sums (bucket, currency, reporting_category, transactions, amount, fee)
SELECT date_bin('15 minutes', created_at, timestamptz '2000-01-01T00:00:00Z'), currency, reporting_category,
       count(*), sum(amount), sum(fee)
  FROM stripe_balance_transactions GROUP BY 1, 2, 3;

-- A rate is what it was; a correction only says of it that it was replaced.
CREATE TRIGGER append_only BEFORE UPDATE OF id, currency, day, usd_per_unit, source, actor, created_at ON exchange_rates
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_deleted BEFORE DELETE ON exchange_rates FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON exchange_rates EXECUTE FUNCTION refuse_change();
