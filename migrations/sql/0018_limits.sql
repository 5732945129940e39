-- Where somebody works already, the new limits are empty: no limit, as before. A console that nobody has logged in to
-- yet is shipped with them.

ALTER TABLE refund_limits DISABLE TRIGGER append_only;
UPDATE refund_limits AS shipped
   SET per_day = fresh.per_day, per_adjustment = fresh.per_adjustment, per_taking = fresh.per_taking,
       per_taking_day = fresh.per_taking_day, per_bulk_day = fresh.per_bulk_day
  FROM (VALUES ('support', 2000, 0, 500, 2000, 0), ('admin', 20000, 5000, 5000, 20000, 5000))
    AS fresh (role, per_day, per_adjustment, per_taking, per_taking_day, per_bulk_day)
 WHERE shipped.role = fresh.role AND shipped.version = 1
   AND NOT EXISTS (SELECT FROM operators) AND NOT EXISTS (SELECT FROM refund_limits WHERE version > 1);
ALTER TABLE refund_limits ENABLE TRIGGER append_only;
