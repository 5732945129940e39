-- Who pays is known from the first purchase on, and from each payment.
CREATE FUNCTION begin_paying() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO payers (customer_id, purchased) VALUES (NEW.customer_id, true)
    ON CONFLICT (customer_id) DO UPDATE SET purchased = true;
    RETURN NULL;
END $$;

CREATE TRIGGER begins_paying AFTER INSERT ON recognised_progress FOR EACH ROW EXECUTE FUNCTION begin_paying();

-- What changes of payments is added to their sums in the same statement. One fold at a time changes them, while
-- nobody else changes payers.
CREATE FUNCTION sum_payments() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        PERFORM add_payments(ARRAY(SELECT ROW(n.*)::payments FROM new_payments n), 1);
    ELSIF TG_OP = 'DELETE' THEN
        PERFORM add_payments(ARRAY(SELECT ROW(o.*)::payments FROM old_payments o), -1);
    ELSE
        PERFORM add_payments(ARRAY(SELECT ROW(o.*)::payments FROM old_payments o), -1);
        PERFORM add_payments(ARRAY(SELECT ROW(n.*)::payments FROM new_payments n), 1);
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION add_payments(changed payments[], sign bigint) RETURNS void LANGUAGE sql AS $$
    INSERT INTO payment_months AS total (month, customer_id, currency, payments, cash, fees, direct)
    SELECT CAST(date_trunc('month', created_at AT TIME ZONE 'UTC') AS date), customer_id, currency, sign * count(*),
           sum(sign * amount), sum(sign * fee), coalesce(sum(sign * amount) FILTER (WHERE NOT for_credits), 0)
      FROM unnest(changed) WHERE customer_id IS NOT NULL GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
    ON CONFLICT (month, customer_id, currency) DO UPDATE
       SET payments = total.payments + excluded.payments, cash = total.cash + excluded.cash,
           fees = total.fees + excluded.fees, direct = total.direct + excluded.direct;
    INSERT INTO payers AS payer (customer_id, payments)
    SELECT customer_id, sign * count(*) FROM unnest(changed) WHERE customer_id IS NOT NULL GROUP BY 1 ORDER BY 1
    ON CONFLICT (customer_id) DO UPDATE SET payments = payer.payments + excluded.payments;
$$;

CREATE TRIGGER sums_of_new AFTER INSERT ON payments REFERENCING NEW TABLE AS new_payments
    FOR EACH STATEMENT EXECUTE FUNCTION sum_payments();
CREATE TRIGGER sums_of_changed AFTER UPDATE ON payments
    REFERENCING OLD TABLE AS old_payments NEW TABLE AS new_payments
    FOR EACH STATEMENT EXECUTE FUNCTION sum_payments();
CREATE TRIGGER sums_of_gone AFTER DELETE ON payments REFERENCING OLD TABLE AS old_payments
    FOR EACH STATEMENT EXECUTE FUNCTION sum_payments();

-- What is there already.
INSERT INTO payment_months (month, customer_id, currency, payments, cash, fees, direct)
SELECT CAST(date_trunc('month', created_at AT TIME ZONE 'UTC') AS date), customer_id, currency, count(*), sum(amount),
       sum(fee), coalesce(sum(amount) FILTER (WHERE NOT for_credits), 0)
  FROM payments WHERE customer_id IS NOT NULL GROUP BY 1, 2, 3 ORDER BY 1;
INSERT INTO payers (customer_id, purchased, payments, flagged)
SELECT customer_id, coalesce(purchased, false), coalesce(payments, 0), true
  FROM (SELECT customer_id, true AS purchased FROM recognised_progress) AS sold
  FULL JOIN (SELECT customer_id, count(*) AS payments FROM payments WHERE customer_id IS NOT NULL GROUP BY 1) AS paid
    USING (customer_id);
UPDATE rollup_customer_months SET payer = true WHERE customer_id IN (SELECT customer_id FROM payers);
UPDATE rollup_customer_quarters SET payer = true WHERE customer_id IN (SELECT customer_id FROM payers);
INSERT INTO recognised_customer_quarters (quarter, customer_id, currency, price_amount, price_credits, sold, used, expired,
                                          clawed, adjusted)
SELECT quarter_of_month(day), customer_id, currency, price_amount, price_credits, sum(sold), sum(used), sum(expired),
       sum(clawed), sum(adjusted)
  FROM recognised_customer_days WHERE currency = 'usd' GROUP BY 1, 2, 3, 4, 5 ORDER BY 1;
ANALYZE payment_months, payers, rollup_customer_months, rollup_customer_quarters, recognised_customer_quarters;
