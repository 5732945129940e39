"""A Stripe account beside the generations: customers who pay, what they bought, and what Stripe says of it."""

from __future__ import annotations

from datetime import UTC, datetime

from psycopg import ClientCursor
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session

from benchmarks import database
from makegood import payers, rollups
from makegood.calendars import local_day
from makegood.purchases import checks
from makegood.revenue import payments, rated, recognised, snapshots
from makegood.revenue.mrr_rules import MrrRules
from makegood.terms import Terms

OF_TEN_PAYERS = {"checkouts": 50, "subscriptions": 4, "invoices": 10, "others": 17, "events": 80}
"""How many there are of each for ten customers who pay."""
RESOURCES = (
    "balance_transactions", "charges", "refunds", "disputes", "invoices", "invoice_payments", "subscriptions",
    "customers", "prices", "products", "coupons", "checkout_sessions", "payouts",
)  # fmt: skip

# Every fourth customer pays. Six packs of credits, one in ten in euros; a twentieth of them is refunded whole.
# Invoices of subscriptions are monthly. The other payments bought no credits. The charges in the ledger that
# payers have drew on one of their purchases that was not refunded.
FILL = """
    SET session_replication_role = replica;
    INSERT INTO stripe_account (id, livemode, grants_since) VALUES (1, false, now() - interval '400 days');
    INSERT INTO stripe_resources (name, state, reached, newest, started_at, finished_at, read_at, reread_at)
        SELECT unnest(%(resources)s::text[]), 'current', now() - interval '800 days', now(), now(), now(), now(), now();
    INSERT INTO exchange_rates (id, currency, day, usd_per_unit, source, actor)
        SELECT uuidv7(), 'eur', current_date - n, 1.1 + n %% 7 / 100.0, 'benchmark', 'benchmark'
          FROM generate_series(0, %(days)s + 1) AS n;
    INSERT INTO stripe_products (id, created_at, livemode, body, read_at, name, active)
        SELECT 'prod_' || n, now(), false, jsonb_build_object('metadata', jsonb_build_object('credits', '100')),
               now(), 'Pack ' || n, true FROM generate_series(0, 6) AS n;
    INSERT INTO stripe_customers (id, created_at, livemode, body, read_at, email, customer_id, linked_by)
        SELECT 'cus_' || n, now(), false, '{}', now(), 'customer-' || n || '@example.com',
               'customer-' || 1 + 4 * n, 'email' FROM generate_series(0, %(payers)s - 1) AS n;
    CREATE TEMPORARY TABLE sold AS
        SELECT n, uuidv7() AS id, uuidv7() AS grant_id, uuidv7() AS transaction_id, payer, at, kind, pack,
               'customer-' || 1 + 4 * payer AS customer_id, 100 * (1 + pack) AS credits,
               900 * (1 + pack) AS amount, CASE WHEN n %% 10 = 0 THEN 'eur' ELSE 'usd' END AS currency,
               kind = 'checkout_session' AND n %% 20 = 7 AS refunded
          FROM (SELECT n, n %% %(payers)s AS payer, n %% 6 AS pack, 'checkout_session' AS kind,
                       now() - interval '1 day' * %(days)s * (%(checkouts)s - n + 0.5) / %(checkouts)s AS at
                  FROM generate_series(1, %(checkouts)s) AS n
                 UNION ALL
                SELECT %(checkouts)s + n, n %% %(subscriptions)s, 6, 'invoice',
                       now() - interval '30 days' * (n + 0.5) / %(subscriptions)s
                  FROM generate_series(1, %(invoices)s) AS n) AS numbers;
    INSERT INTO stripe_charges (id, created_at, livemode, body, read_at, payment_intent, status, currency, amount,
                                amount_captured, amount_refunded, disputed, stripe_customer_id, customer_id, linked_by)
        SELECT 'ch_' || n, at, false, '{}'::jsonb, now(), 'pi_' || n, 'succeeded', currency, amount, amount,
               CASE WHEN refunded THEN amount ELSE 0 END, false, 'cus_' || payer, customer_id, 'email' FROM sold
         UNION ALL
        SELECT 'ch_other_' || n, now() - interval '1 day' * %(days)s * (n - 0.5) / %(others)s, false, '{}', now(),
               'pi_other_' || n, 'succeeded', 'usd', 1900, 1900, 0, false, 'cus_' || n %% %(payers)s,
               'customer-' || 1 + 4 * (n %% %(payers)s), 'email' FROM generate_series(1, %(others)s) AS n;
    INSERT INTO stripe_refunds (id, created_at, livemode, body, read_at, charge_id, payment_intent, status, currency,
                                amount)
        SELECT 're_' || n, at + interval '1 hour', false, '{}', now(), 'ch_' || n, 'pi_' || n, 'succeeded', currency,
               amount FROM sold WHERE refunded;
    INSERT INTO stripe_checkout_sessions (id, created_at, livemode, body, read_at, mode, status, payment_status,
                                          payment_intent, currency, amount_total, stripe_customer_id, customer_id,
                                          linked_by)
        SELECT 'cs_' || n, at, false, jsonb_build_object('line_items', jsonb_build_object('has_more', false, 'data',
                   jsonb_build_array(jsonb_build_object('quantity', 1, 'amount_total', amount, 'amount_tax', 0,
                                     'price', jsonb_build_object('product', 'prod_' || pack))))),
               now(), 'payment', 'complete', 'paid', 'pi_' || n, currency, amount, 'cus_' || payer, customer_id,
               'email' FROM sold WHERE kind = 'checkout_session';
    INSERT INTO stripe_invoices (id, created_at, livemode, body, read_at, subscription_id, status, billing_reason,
                                 currency, amount_due, amount_paid, total, tax, paid_at, stripe_customer_id,
                                 customer_id, linked_by)
        SELECT 'in_' || n, at, false, jsonb_build_object('lines', jsonb_build_object('has_more', false, 'data',
                   jsonb_build_array(jsonb_build_object('quantity', 1, 'amount', amount,
                       'pricing', jsonb_build_object('price_details', jsonb_build_object('product', 'prod_6')))))),
               now(), 'sub_' || payer, 'paid', 'subscription_cycle', currency, amount, amount, amount, 0, at,
               'cus_' || payer, customer_id, 'email' FROM sold WHERE kind = 'invoice';
    INSERT INTO stripe_invoice_payments (id, created_at, livemode, body, read_at, invoice_id, payment_intent,
                                         charge_id, status, currency, amount_paid)
        SELECT 'inpay_' || n, at, false, '{}', now(), 'in_' || n, 'pi_' || n, 'ch_' || n, 'paid', currency, amount
          FROM sold WHERE kind = 'invoice';
    INSERT INTO stripe_subscriptions (id, created_at, livemode, body, read_at, status, currency, stripe_customer_id,
                                      customer_id, linked_by)
        SELECT 'sub_' || n, now() - interval '80 days' * (n + 0.5) / %(subscriptions)s, false,
               jsonb_build_object('id', 'sub_' || n, 'status', 'active', 'currency', 'usd', 'items',
                   jsonb_build_object('has_more', false, 'data', jsonb_build_array(jsonb_build_object('id', 'si_' || n,
                       'quantity', 1, 'price', jsonb_build_object('id', 'price_' || n %% 6, 'product', 'prod_6',
                           'currency', 'usd', 'unit_amount', 900 * (1 + n %% 6), 'billing_scheme', 'per_unit',
                           'recurring', jsonb_build_object('interval', 'month', 'interval_count', 1,
                                                           'usage_type', 'licensed')))))),
               now(), 'active', 'usd', 'cus_' || n, 'customer-' || 1 + 4 * n, 'email'
          FROM generate_series(0, %(subscriptions)s - 1) AS n;
    INSERT INTO stripe_events (id, type, object_type, object_id, livemode, source, raw, created_at, received_at, state,
                               attempts, done_at)
        SELECT 'evt_' || n, 'charge.succeeded', 'charge', 'ch_' || n, false, 'webhook', '{"id": "evt"}', at, at,
               'applied', 1, at
          FROM (SELECT n, now() - interval '1 day' * %(days)s * (n - 0.5) / %(events)s AS at
                  FROM generate_series(1, %(events)s) AS n) AS numbers;
    INSERT INTO purchases (id, customer_id, linked_by, source_kind, source_id, grant_id, credits, currency, amount,
                           paid, paid_at, granted_at, refunded, returned, clawed)
        SELECT id, customer_id, 'email', kind, CASE kind WHEN 'invoice' THEN 'in_' ELSE 'cs_' END || n, grant_id,
               credits, currency, amount, amount, at, at, CASE WHEN refunded THEN amount ELSE 0 END,
               CASE WHEN refunded THEN amount ELSE 0 END, CASE WHEN refunded THEN credits ELSE 0 END FROM sold;
    CREATE TEMPORARY TABLE bought AS
        SELECT customer_id, grant_id, row_number() OVER own AS number, count(*) OVER (PARTITION BY customer_id) AS count
          FROM sold WHERE NOT refunded WINDOW own AS (PARTITION BY customer_id ORDER BY n);
    CREATE INDEX ON bought (customer_id, number);
    INSERT INTO movements (transaction_id, grant_id, credits)
        SELECT t.id, b.grant_id, t.amount
          FROM credit_transactions t
          JOIN (SELECT DISTINCT customer_id, count FROM bought) AS counted USING (customer_id)
          JOIN bought b ON b.customer_id = t.customer_id AND b.number = 1 + t.entry %% counted.count;
    CREATE TEMPORARY TABLE entered AS
        SELECT customer_id, max(entry) AS entry FROM credit_transactions GROUP BY 1;
    INSERT INTO credit_transactions (id, customer_id, entry, kind, amount, balance_after, actor, reason, occurred_at)
        SELECT transaction_id, customer_id,
               coalesce(entry, 0) + row_number() OVER (PARTITION BY customer_id ORDER BY n), 'grant', credits, 1000000,
               'stripe', 'benchmark', at FROM sold LEFT JOIN entered USING (customer_id);
    INSERT INTO movements (transaction_id, grant_id, credits) SELECT transaction_id, grant_id, credits FROM sold;
    DROP TABLE entered;
    CREATE TEMPORARY TABLE entered AS
        SELECT customer_id, max(entry) AS entry FROM credit_transactions GROUP BY 1;
    CREATE TEMPORARY TABLE taken AS
        SELECT sold.*, uuidv7() AS taken_id, entry + row_number() OVER (PARTITION BY customer_id ORDER BY n) AS taken_as
          FROM sold JOIN entered USING (customer_id) WHERE refunded;
    INSERT INTO credit_transactions (id, customer_id, entry, kind, amount, balance_after, actor, reason, occurred_at)
        SELECT taken_id, customer_id, taken_as, 'clawback', -credits, 1000000, 'stripe', 'benchmark',
               at + interval '1 hour' FROM taken;
    INSERT INTO movements (transaction_id, grant_id, credits) SELECT taken_id, grant_id, -credits FROM taken;
    INSERT INTO clawbacks (id, purchase_id, number, customer_id, transaction_id, cause, amount, refunded, disputed,
                           taken, owed, gone, occurred_at)
        SELECT uuidv7(), id, 1, customer_id, taken_id, 'refund', amount, amount, 0, credits, 0, 0,
               at + interval '1 hour' FROM taken;
    INSERT INTO grants (id, customer_id, source, credits, remaining, reason, purchase_id, created_at)
        SELECT sold.grant_id, customer_id, 'purchase', sold.credits, greatest(0, left_over), 'benchmark', sold.id, at
          FROM sold JOIN (SELECT grant_id, sum(credits) AS left_over FROM movements GROUP BY 1) AS moved USING (grant_id);
    UPDATE balances b SET entries = found.entry
      FROM (SELECT customer_id, max(entry) AS entry FROM credit_transactions GROUP BY 1) AS found
     WHERE b.customer_id = found.customer_id;
    SET session_replication_role = origin;
    INSERT INTO recognised_progress (customer_id) SELECT DISTINCT customer_id FROM sold;
    INSERT INTO stripe_balance_transactions (id, created_at, livemode, body, read_at, type, reporting_category,
                                             currency, amount, fee, net, source, status, available_on)
        SELECT 'txn_' || id, created_at, false, '{}'::jsonb, now(), 'charge', 'charge', 'usd', amount, 59, amount - 59, id,
               'available', created_at FROM stripe_charges
         UNION ALL
        SELECT 'txn_' || id, created_at, false, '{}', now(), 'refund', 'refund', 'usd', -amount, 0, -amount, id,
               'available', created_at FROM stripe_refunds
         UNION ALL
        SELECT 'txn_fee_' || n, now() - interval '6 hours' * n, false, '{}', now(), 'stripe_fee', 'fee', 'usd', -200,
               0, -200, NULL, 'available', now() FROM generate_series(1, 250) AS n;
    DROP TABLE sold, bought, entered, taken;
"""  # noqa: E501

# What Stripe was heard of in the last day, as the triggers would have noted it.
CHANGED = text(
    """
    INSERT INTO payment_changes (object_id)
    SELECT unnest(ARRAY[id, 'ch_' || substr(id, 4)]) FROM stripe_checkout_sessions
     WHERE created_at > now() - interval '1 day'
    UNION ALL
    SELECT unnest(ARRAY[id, 'ch_' || substr(id, 4), 'inpay_' || substr(id, 4)]) FROM stripe_invoices
     WHERE created_at > now() - interval '1 day'
    """
)


def fill(url: str, *, days: int, customers: int) -> None:
    """The account, all of it read, over so many days. The ledger's charges and so many customers are there."""
    payers = customers // 4
    counts = {name: payers * count // 10 for name, count in OF_TEN_PAYERS.items()}
    values = {"days": days, "payers": payers, **counts, "resources": list(RESOURCES)}
    with database.connect(url) as connection, ClientCursor(connection) as cursor:
        cursor.execute(FILL, values)
        connection.execute("VACUUM ANALYZE")


def fold(url: str) -> None:
    """As the worker does: whose payments are, what was recognised, by day, and today's MRR. A day ago, everything
    was found in order."""
    terms = Terms()
    engine = create_engine(url)
    with Session(engine) as session:
        while payments.fold(session):
            session.commit()
        while recognised.fold(session, terms.timezone):
            session.commit()
        while rated.fold(session, terms.timezone, local_day(datetime.now(UTC), terms.timezone)):
            session.commit()
        while payers.of(session).unflagged:
            rollups.fold(session, terms.timezone)
            session.commit()
        snapshots.take(session, MrrRules(), terms.timezone)
        checks.run_and_alert(session)
        session.execute(CHANGED)
        session.commit()
    engine.dispose()
