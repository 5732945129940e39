-- They are sums of the other rollups, which are up to the watermark. Hours are made anew, with when they were last
-- charged, so that they lie together.

INSERT INTO rollup_quarter_hours
SELECT bucket, provider, tier, sum(generations), sum(succeeded), sum(failed), sum(cancelled), sum(refunds),
       sum(active_day), sum(active_month), sum(credits_charged), sum(credits_refunded), sum(cost_micros),
       sum(unknown_costs), sum(loss_micros), sum(latency_ms), max(last_charged_at)
  FROM rollup_buckets GROUP BY 1, 2, 3 ORDER BY 1;
TRUNCATE rollup_hours;
INSERT INTO rollup_hours
SELECT date_bin('1 hour', bucket, '2000-01-01T00:00:00Z'), provider, tier, sum(generations), sum(succeeded), sum(failed), sum(cancelled), sum(refunds),
       sum(active_day), sum(active_month), sum(credits_charged), sum(credits_refunded), sum(cost_micros),
       sum(unknown_costs), sum(loss_micros), sum(latency_ms), max(last_charged_at)
  FROM rollup_quarter_hours GROUP BY 1, 2, 3 ORDER BY 1;
INSERT INTO rollup_provider_days
SELECT day, provider, tier, sum(generations), sum(succeeded), sum(failed), sum(cancelled), sum(refunds),
       sum(active_day), sum(active_month), sum(credits_charged), sum(credits_refunded), sum(cost_micros),
       sum(unknown_costs), sum(loss_micros), sum(latency_ms), max(last_charged_at)
  FROM rollup_days GROUP BY 1, 2, 3 ORDER BY 1;
INSERT INTO rollup_latency_quarter_hours
SELECT bucket, bin, sum(succeeded) FROM rollup_latency_buckets GROUP BY 1, 2 ORDER BY 1;
ANALYZE rollup_quarter_hours, rollup_hours, rollup_provider_days, rollup_latency_quarter_hours;
