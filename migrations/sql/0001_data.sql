-- What ships as data: tiers with their monthly allowance, the refund policy, the price book, the credit prices.

INSERT INTO tiers (name, monthly_allowance, position) VALUES ('free', 5, 1), ('plus', 50, 2), ('pro', 200, 3);

INSERT INTO refund_policies (version, error_class, percent) VALUES
    (1, 'content_policy_violation', 100),
    (1, 'internal_error', 100),
    (1, 'generation_failed', 100),
    (1, 'storage_error', 100),
    (1, 'timeout', 100),
    (1, 'provider_unavailable', 100),
    (1, 'provider_account', 100),
    (1, 'invalid_input', 100),
    (1, 'unknown_error', 100),
    (1, 'cancelled', 0);

-- USD micro-dollars per unit. The simulated provider sells the same models at the same prices.
INSERT INTO prices (id, provider, model, unit, unit_price_micros, effective_from, source)
SELECT make_uuid7(), provider, model, unit, micros, timestamptz '2026-01-01T00:00:00Z', source
  FROM (VALUES
    ('google/nano-banana/edit', 'image', 38000, 'reported by integrations, not on the provider''s price page'),
    ('google/nano-banana/text-to-image', 'image', 38000, 'assumed equal to google/nano-banana/edit'),
    ('bytedance/seedream-v4', 'image', 27000, 'provider''s documentation'),
    ('bytedance/seedream-v4/edit', 'image', 27000, 'provider''s documentation'),
    ('bytedance/seedream-v4/sequential', 'image', 27000, 'provider''s documentation')
  ) AS shipped (model, unit, micros, source),
  (VALUES ('wavespeed'), ('simulated')) AS providers (provider)
UNION ALL
SELECT make_uuid7(), 'nanobanana', model, unit, micros, timestamptz '2026-01-01T00:00:00Z', source
  FROM (VALUES
    ('nano-banana', 'image', 20000, 'third party; the provider''s own list was not available'),
    ('nano-banana-2', 'image_1k', 40000, 'price of the sister site; not verified'),
    ('nano-banana-2', 'image_2k', 60000, 'price of the sister site; not verified'),
    ('nano-banana-2', 'image_4k', 90000, 'price of the sister site; not verified'),
    ('nano-banana-pro', 'image_2k', 120000, 'third party; not verified')
  ) AS shipped (model, unit, micros, source);

INSERT INTO credit_prices (provider, model, effective_from, credits)
SELECT provider, model, timestamptz '2026-01-01T00:00:00Z', credits
  FROM (VALUES
    ('google/nano-banana/edit', 2),
    ('google/nano-banana/text-to-image', 2),
    ('bytedance/seedream-v4', 2),
    ('bytedance/seedream-v4/edit', 2),
    ('bytedance/seedream-v4/sequential', 4)
  ) AS shipped (model, credits),
  (VALUES ('wavespeed'), ('simulated')) AS providers (provider)
UNION ALL
SELECT 'nanobanana', model, timestamptz '2026-01-01T00:00:00Z', credits
  FROM (VALUES ('nano-banana', 1), ('nano-banana-2', 3), ('nano-banana-pro', 6)) AS shipped (model, credits);

INSERT INTO rollup_state (id, watermark, system_identifier, timezone)
SELECT 1, pg_current_xact_id(), system_identifier, 'UTC' FROM pg_control_system();
