-- They are sums of the other rollups, which are up to the watermark.

INSERT INTO rollup_hours
SELECT date_bin('1 hour', bucket, '2000-01-01T00:00:00Z'), provider, tier, sum(generations), sum(succeeded), sum(failed),
       sum(cancelled), sum(refunds), sum(active_day), sum(active_month), sum(credits_charged), sum(credits_refunded),
       sum(cost_micros), sum(unknown_costs), sum(loss_micros), sum(latency_ms)
  FROM rollup_buckets GROUP BY 1, 2, 3 ORDER BY 1;
INSERT INTO rollup_latency_hours
SELECT date_bin('1 hour', bucket, '2000-01-01T00:00:00Z'), bin, sum(succeeded)
  FROM rollup_latency_buckets GROUP BY 1, 2 ORDER BY 1;
INSERT INTO rollup_latency_totals
SELECT day, bin, sum(succeeded) FROM rollup_latency_days GROUP BY 1, 2 ORDER BY 1;
