-- Whoever has bought credits is counted: from the instant of the first purchase.
CREATE FUNCTION begin_recognising() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO recognised_progress (customer_id) VALUES (NEW.customer_id) ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;

CREATE TRIGGER begins_recognising AFTER INSERT ON purchases FOR EACH ROW EXECUTE FUNCTION begin_recognising();

INSERT INTO recognised_progress (customer_id) SELECT DISTINCT customer_id FROM purchases;
INSERT INTO recognised_state (id, timezone) VALUES (1, 'UTC');
