-- One job, one generation.

-- A job that two generations carry was never both theirs: the one that was charged first keeps it.
UPDATE generations g SET provider_job_id = NULL
 WHERE provider <> 'external' AND provider_job_id IS NOT NULL
   AND EXISTS (SELECT FROM generations o WHERE o.provider = g.provider AND o.provider_job_id = g.provider_job_id
                  AND o.id < g.id);

-- The job's id, if this generation may carry it; null if it is another's. One that another generation was only given
-- by likeness is taken from there: who names it now has an answer or an address of ours to prove it. If that other one
-- is still in flight, it is looked for again; if it has ended, it stays as it ended.
CREATE FUNCTION take_job(p_generation uuid, p_provider text, p_job text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    v_other record;
BEGIN
    IF p_provider = 'external' THEN
        RETURN p_job;
    END IF;
    SELECT id, job_by_likeness INTO v_other FROM generations
     WHERE provider = p_provider AND provider_job_id = p_job AND id <> p_generation;
    IF NOT FOUND THEN
        RETURN p_job;
    END IF;
    IF NOT v_other.job_by_likeness THEN
        RETURN NULL;
    END IF;
    UPDATE generations
       SET provider_job_id = NULL, job_by_likeness = false, gone_since = NULL,
           status = CASE WHEN status = 'submitted' THEN 'unknown' ELSE status END,
           check_at = CASE WHEN ended_at IS NULL THEN clock_timestamp() ELSE check_at END
     WHERE id = v_other.id AND provider_job_id = p_job AND job_by_likeness;
    RETURN CASE WHEN FOUND THEN p_job END;
END $$;
