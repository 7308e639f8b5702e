-- Owner: internal/admin/operator
-- Who may use the admin API of a realm. Whoever can write this table runs the
-- realm.
CREATE TABLE operators (
	realm      TEXT NOT NULL,
	principal  TEXT NOT NULL,
	role       TEXT NOT NULL,
	version    BIGINT NOT NULL,
	created_at BIGINT NOT NULL,
	updated_at BIGINT NOT NULL,
	PRIMARY KEY (realm, principal),
	FOREIGN KEY (realm, principal) REFERENCES principals (realm, id)
);

CREATE INDEX operators_role ON operators (realm, role, principal);

-- One row per realm that ever had an operator. It is never deleted, so that
-- set-up cannot be opened again by removing everybody; and every change of a
-- role writes it, so that no two of them can each spare the other's last owner.
CREATE TABLE operator_history (
	realm    TEXT NOT NULL,
	first_at BIGINT NOT NULL,
	changes  BIGINT NOT NULL,
	PRIMARY KEY (realm)
);
