-- Owner: internal/identity/credential
-- habit is where and by what the browser signed in last, as package risk notes it.
-- While that stays as it is, a sign-in leaves no more behind than this.
ALTER TABLE browsers ADD COLUMN habit TEXT NOT NULL DEFAULT '';
