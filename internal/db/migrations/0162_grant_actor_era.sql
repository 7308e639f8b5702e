-- Owner: internal/identity/grant
-- actor_era is the era that the actor of a grant was in when the grant was given.
-- Grants of before have none, so those of an actor that was ever suspended are
-- given anew when they are next needed.
ALTER TABLE grants ADD COLUMN actor_era BIGINT NOT NULL DEFAULT 0;
