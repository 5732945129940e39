-- What ships of the price book beside 0001's lines, with where each figure is from and how sure it is. PiAPI, Newport,
-- fal and Replicate publish no price that holds for every model: their costs are unknown until an operator adds one.

INSERT INTO prices (id, provider, model, unit, qualifier, per, currency, amount_micros, rate_micros,
                    unit_price_micros, effective_from, source, certainty)
SELECT make_uuid7(), provider, model, unit, qualifier, per, CASE WHEN rate IS NULL THEN 'USD' ELSE 'credits' END,
       amount, rate, round(amount::numeric * coalesce(rate, 1000000) / 1000000), timestamptz '2026-01-01T00:00:00Z',
       source, certainty
  FROM (VALUES
    -- A clip by its resolution and length, an image as such.
    ('luma', 'ray-2', 'run', '540p 5s', 1, 400000, NULL, 'third party, a table of the provider''s USD prices', 'reported'),
    ('luma', 'ray-2', 'run', '720p 5s', 1, 710000, NULL, 'third party, a table of the provider''s USD prices', 'reported'),
    ('luma', 'ray-2', 'run', '1080p 5s', 1, 1590000, NULL, 'third party, a table of the provider''s USD prices', 'reported'),
    ('luma', 'ray-2', 'run', '720p 9s', 1, 1270000, NULL, 'third party, a table of the provider''s USD prices', 'reported'),
    ('luma', 'ray-1-6', 'run', '', 1, 350000, NULL, 'third party, a table of the provider''s USD prices', 'reported'),
    ('luma', 'photon-1', 'image', '', 1, 7300, NULL, 'third party, a table of the provider''s USD prices', 'reported'),
    ('luma', 'photon-flash-1', 'image', '', 1, 1900, NULL, 'third party, a table of the provider''s USD prices', 'reported'),
    -- Kling says in its answer how many units it took.
    ('kling', '*', 'unit', '', 1, 140000, NULL,
     'list price concluded from prices per clip at https://docs.comfy.org; packs make a unit cheaper', 'inferred'),
    -- BFL says in its answer how many credits it took.
    ('bfl', '*', 'credit', '', 1, 1000000, 10000, 'https://docs.bfl.ai/quick_start/pricing.md', 'documented'),
    ('elevenlabs', '*', 'character', '', 1000, 100000, NULL,
     'third party, https://developer.puter.com (June 2026); Flash and Turbo count half a character each', 'reported')
  ) AS shipped (provider, model, unit, qualifier, per, amount, rate, source, certainty);

-- One credit of the customer's for every two cents, begun or whole, that a usual generation costs: the rule that the
-- credit prices of 0001 follow. A usual generation is a 720p clip of 5 seconds, one image of one megapixel, or a
-- thousand characters. Where it varies much, the platform sends `credits` itself.
INSERT INTO credit_prices (provider, model, effective_from, credits)
SELECT provider, model, timestamptz '2026-01-01T00:00:00Z', ceil(usd / 0.02)
  FROM (VALUES
    ('luma', 'ray-2', 0.71), ('luma', 'ray-1-6', 0.35), ('luma', 'photon-1', 0.0073),
    ('luma', 'photon-flash-1', 0.0019),
    ('kling', 'text2video/kling-v3', 0.42), ('kling', 'image2video/kling-v3', 0.42),
    ('kling', 'text2video/kling-v2-6', 0.35), ('kling', 'image2video/kling-v2-6', 0.35),
    ('kling', 'text2video/kling-v2-5-turbo', 0.35), ('kling', 'image2video/kling-v2-5-turbo', 0.35),
    ('bfl', 'flux-2-pro', 0.03), ('bfl', 'flux-2-max', 0.07), ('bfl', 'flux-2-flex', 0.05),
    ('bfl', 'flux-2-klein-4b', 0.014), ('bfl', 'flux-2-klein-9b', 0.015), ('bfl', 'flux-pro-1.1', 0.04),
    ('bfl', 'flux-pro-1.1-ultra', 0.06), ('bfl', 'flux-kontext-pro', 0.04), ('bfl', 'flux-kontext-max', 0.08),
    ('bfl', 'flux-pro-1.0-fill', 0.05),
    ('elevenlabs', 'eleven_multilingual_v2', 0.10), ('elevenlabs', 'eleven_v3', 0.10),
    ('elevenlabs', 'eleven_flash_v2_5', 0.05), ('elevenlabs', 'eleven_turbo_v2_5', 0.05)
  ) AS usual (provider, model, usd)
    ON CONFLICT DO NOTHING;
