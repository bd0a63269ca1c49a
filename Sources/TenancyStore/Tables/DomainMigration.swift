/// The table of tenants' domains. A program that does not know of them would take a host that is a tenant's for one that
/// says nothing. Times are nanoseconds since 1970. That a domain is one tenant's at most is up to the database as well.
enum DomainMigration {
  static let sqlite = """
    CREATE TABLE IF NOT EXISTS tenant_domains (
      tenant_id TEXT NOT NULL REFERENCES tenants (id) DEFERRABLE INITIALLY DEFERRED,
      name TEXT NOT NULL,
      token TEXT NOT NULL,
      proof TEXT NOT NULL,
      claim_time INTEGER NOT NULL,
      verify_time INTEGER,
      method TEXT,
      PRIMARY KEY (tenant_id, name)
    ) STRICT, WITHOUT ROWID;

    CREATE UNIQUE INDEX IF NOT EXISTS verified_domains ON tenant_domains (name)
      WHERE verify_time IS NOT NULL;
    """

  static let postgreSQL = """
    CREATE TABLE tenant_domains (
      tenant_id TEXT COLLATE "C" NOT NULL REFERENCES tenants (id) DEFERRABLE INITIALLY DEFERRED,
      name TEXT COLLATE "C" NOT NULL,
      token TEXT COLLATE "C" NOT NULL,
      proof TEXT COLLATE "C" NOT NULL,
      claim_time BIGINT NOT NULL,
      verify_time BIGINT,
      method TEXT COLLATE "C",
      PRIMARY KEY (tenant_id, name)
    );

    CREATE UNIQUE INDEX verified_domains ON tenant_domains (name) WHERE verify_time IS NOT NULL;
    """
}
