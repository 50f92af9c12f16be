-- Paused work: renewals, top-ups and other payments that wait until their feature goes on.
-- When it was due; what is due longest is released first. NULL for everything else.
ALTER TABLE payments ADD COLUMN queued_from INTEGER;

CREATE INDEX payments_queue ON payments (queued_from, id) WHERE queued_from IS NOT NULL;
