-- Somebody must be able to manage the console: the last active admin is neither disabled, nor given another role, nor
-- deleted. Two admins who take each other's place away at the same time queue up at the advisory lock; who comes second
-- looks again. That look has to be a fresh one, so a transaction that keeps its first snapshot may not try.
CREATE FUNCTION keep_an_admin() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'admins are changed in read committed transactions only' USING ERRCODE = 'restrict_violation';
    END IF;
    PERFORM pg_advisory_xact_lock(7236270077);
    IF NOT EXISTS (SELECT FROM operators WHERE role = 'admin' AND disabled_at IS NULL) THEN
        RAISE EXCEPTION '% is the last active admin', OLD.email
            USING ERRCODE = 'restrict_violation', CONSTRAINT = 'last_admin';
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER last_admin_changed AFTER UPDATE OF role, disabled_at ON operators FOR EACH ROW
    WHEN (OLD.role = 'admin' AND OLD.disabled_at IS NULL AND (NEW.role <> 'admin' OR NEW.disabled_at IS NOT NULL))
    EXECUTE FUNCTION keep_an_admin();
CREATE TRIGGER last_admin_deleted AFTER DELETE ON operators FOR EACH ROW
    WHEN (OLD.role = 'admin' AND OLD.disabled_at IS NULL) EXECUTE FUNCTION keep_an_admin();
CREATE TRIGGER never_emptied BEFORE TRUNCATE ON operators EXECUTE FUNCTION refuse_change();
