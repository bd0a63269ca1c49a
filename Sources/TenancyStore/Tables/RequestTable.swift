/// The table of requests that are remembered: a program that does not know whose they are would answer one caller for
/// another.
enum RequestTable {
  /// All rows as they were before, as those of the platform that they are.
  static let selectFormer =
    "SELECT '', actor, request_id, digest, tenant_id, '', time FROM requests"

  /// `payer` is a tenant's id, or empty for the platform. Times are nanoseconds since 1970.
  static let sqlite = """
    CREATE TABLE next_requests (
      payer TEXT NOT NULL,
      actor TEXT NOT NULL,
      request_id TEXT NOT NULL,
      digest TEXT NOT NULL,
      tenant_id TEXT REFERENCES tenants (id) DEFERRABLE INITIALLY DEFERRED,
      resource TEXT NOT NULL,
      time INTEGER NOT NULL,
      PRIMARY KEY (payer, actor, request_id)
    ) STRICT, WITHOUT ROWID;

    INSERT INTO next_requests \(selectFormer);
    DROP TABLE requests;
    ALTER TABLE next_requests RENAME TO requests;
    CREATE INDEX requests_by_payer ON requests (payer, time);
    """

  static let postgreSQL = """
    ALTER TABLE requests ADD COLUMN payer TEXT COLLATE "C" NOT NULL DEFAULT '';
    ALTER TABLE requests ADD COLUMN resource TEXT COLLATE "C" NOT NULL DEFAULT '';
    ALTER TABLE requests ALTER COLUMN tenant_id DROP NOT NULL;
    ALTER TABLE requests DROP CONSTRAINT requests_pkey;
    ALTER TABLE requests ADD PRIMARY KEY (payer, actor, request_id);
    DROP INDEX requests_by_time;
    CREATE INDEX requests_by_payer ON requests (payer, time);
    """
}
