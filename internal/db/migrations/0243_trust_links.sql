-- Owner: internal/identity/trust

-- The links of an issuer in the order in which they are listed.
CREATE INDEX trusted_subjects_issuer ON trusted_subjects (realm, issuer, credential);
