-- A month's quarters begin on its 1st, 8th, 16th and 24th day.
CREATE FUNCTION quarter_of_month(day date) RETURNS date LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CAST(date_trunc('month', day) AS date)
           + CASE WHEN extract(day FROM day) < 8 THEN 0 WHEN extract(day FROM day) < 16 THEN 7
                  WHEN extract(day FROM day) < 24 THEN 15 ELSE 23 END
$$;

-- As sum(bigint), but a bigint: where there are as many groups as customers, most of the time goes into making each a
-- numeric. What does not fit is an error.
CREATE AGGREGATE bigint_sum(bigint) (
    SFUNC = int8pl, STYPE = bigint, INITCOND = '0', COMBINEFUNC = int8pl, PARALLEL = SAFE
);

-- They are sums of the days, which are up to the watermark.
INSERT INTO rollup_customer_quarters
SELECT quarter_of_month(day), customer_id, sum(generations), sum(succeeded), sum(failed), sum(cancelled), sum(refunds),
       sum(credits_charged), sum(credits_refunded), sum(cost_micros), sum(unknown_costs), sum(loss_micros)
  FROM rollup_customer_days GROUP BY 1, 2 ORDER BY 1;
