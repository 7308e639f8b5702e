-- Owner: internal/identity/grant
-- bound is the key or certificate without which a refresh token is worth
-- nothing, empty for tokens of clients that authenticate.
ALTER TABLE refresh_tokens ADD COLUMN bound TEXT NOT NULL DEFAULT '';
