"""The categories of a bill check, and the query that finds each job's.

A job's lines net out, whichever import brought them: charges minus refunds. The rule of equality is that not one
micro-dollar differs.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Category:
    """Where a job stands: its name, the words for it, and whether its rows can be accepted."""

    name: str
    title: str
    meaning: str
    tone: str = ""
    acceptable: bool = True


CATEGORIES = {
    category.name: category
    for category in (
        Category("more", "Billed more", "The provider charged more than was recorded.", "bad"),
        Category("less", "Billed less", "The provider charged less than was recorded.", "warn"),
        Category(
            "failed", "Billed but failed", "We refunded the customer; the provider charged all the same.", "bad"
        ),
        Category(
            "refunded", "Refunded by the provider", "The provider gave back all or part of its charge.", "info"
        ),
        Category("no_cost", "Cost was unknown", "No price was known; the bill says what it cost.", "warn"),
        Category(
            "unknown",
            "Billed but unknown to us",
            "No generation has this job. It cannot be adjusted, only marked as reviewed.",
            "bad",
            acceptable=False,
        ),
        Category(
            "not_billed",
            "Recorded but not billed",
            "A cost was recorded, and no bill that was imported has a line for it.",
            "warn",
            acceptable=False,
        ),
        Category(
            "refund_alone",
            "Refund without its charge",
            "The charge stands on a bill that was not imported. Import the days before.",
            "warn",
            acceptable=False,
        ),
        Category(
            "equal", "Equal", "Billed and recorded are the same to the micro-dollar.", "ok", acceptable=False
        ),
    )
}

JOBS = """
    SELECT CASE WHEN b.net < 0 THEN 'refund_alone'
                WHEN g.cost_micros IS NULL THEN 'no_cost'
                WHEN g.status = 'failed' AND b.net > 0 THEN 'failed'
                WHEN b.net = g.cost_micros THEN 'equal'
                WHEN b.refunded > 0 THEN 'refunded'
                WHEN b.net > g.cost_micros THEN 'more'
                ELSE 'less' END AS category,
           b.first_at AS at, g.id, g.id AS generation_id, g.provider_job_id AS job, g.model, g.status,
           b.charged, b.refunded, b.net, g.cost_micros AS recorded, g.cost_source AS source,
           b.net >= 0 AND b.net IS DISTINCT FROM g.cost_micros AND b.waits AS acceptable, false AS reviewed
      FROM (SELECT l.generation_id, min(l.billed_at) AS first_at, bool_or(l.accepted_at IS NULL) AS waits,
                   coalesce(sum(l.amount_micros) FILTER (WHERE l.kind = 'charge'), 0)::bigint AS charged,
                   coalesce(sum(l.amount_micros) FILTER (WHERE l.kind = 'refund'), 0)::bigint AS refunded,
                   sum(CASE l.kind WHEN 'charge' THEN l.amount_micros ELSE -l.amount_micros END)::bigint AS net
              FROM bill_lines l JOIN ({named}) AS named USING (generation_id)
             GROUP BY l.generation_id) AS b
      JOIN generations g ON g.id = b.generation_id
"""
IN_PERIOD = """
    SELECT DISTINCT generation_id FROM bill_lines
     WHERE provider = :provider AND billed_at >= :start AND billed_at < :end AND generation_id IS NOT NULL
"""
UNKNOWN = """
    SELECT 'unknown' AS category, billed_at AS at, id, NULL::uuid AS generation_id, provider_job_id AS job, model,
           NULL AS status, CASE kind WHEN 'charge' THEN amount_micros ELSE 0 END AS charged,
           CASE kind WHEN 'refund' THEN amount_micros ELSE 0 END AS refunded,
           CASE kind WHEN 'charge' THEN amount_micros ELSE -amount_micros END AS net, NULL::bigint AS recorded,
           NULL AS source, reviewed_at IS NULL AS acceptable, reviewed_at IS NOT NULL AS reviewed
      FROM bill_lines
     WHERE provider = :provider AND billed_at >= :start AND billed_at < :end AND generation_id IS NULL
"""
NOT_BILLED = """
    SELECT 'not_billed' AS category, g.charged_at AS at, g.id, g.id AS generation_id, g.provider_job_id AS job,
           g.model, g.status, 0::bigint AS charged, 0::bigint AS refunded, 0::bigint AS net,
           g.cost_micros AS recorded, g.cost_source AS source, false AS acceptable,
           false AS reviewed
      FROM generations g
     WHERE g.provider = :provider AND g.charged_at >= :start AND g.charged_at < :end AND g.cost_micros > 0
       AND NOT EXISTS (SELECT FROM bill_lines l WHERE l.generation_id = g.id)
"""
ALL = f"{JOBS.format(named=IN_PERIOD)} UNION ALL {UNKNOWN} UNION ALL {NOT_BILLED}"
