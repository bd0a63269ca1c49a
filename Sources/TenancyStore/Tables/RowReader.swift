internal import Tenancy

/// Reads a row's columns from left to right. A value that this program never writes is corruption,
/// reported with the table and the row's key but not with the value.
struct RowReader<Row: TableRow>: ~Copyable {
  private let table: String
  private let row: Row
  private let coding: JSONCoding
  private let keyColumns: Int32
  private var column: Int32 = 0

  /// - Parameter keyColumns: how many columns, from the left, tell the row from others.
  init(_ row: Row, table: String, keyColumns: Int32, json: JSONCoding) {
    self.row = row
    self.table = table
    self.keyColumns = keyColumns
    coding = json
  }

  func corruption(_ what: String) -> StoreError {
    let key = (0..<keyColumns).map { column in
      row.text(column) ?? row.integer(column).map { "\($0)" } ?? "?"
    }
    return StoreError(
      corrupt: StoreError.Place(table: table, row: key.joined(separator: "/"), what: what))
  }

  mutating func text() throws(StoreError) -> String {
    try unwrap(row.text(next()))
  }

  mutating func integer() throws(StoreError) -> Int64 {
    try unwrap(row.integer(next()))
  }

  mutating func optionalText() throws(StoreError) -> String? {
    guard !row.isNull(column) else {
      _ = next()
      return nil
    }
    return try text()
  }

  mutating func time() throws(StoreError) -> Timestamp {
    try unwrap(row.integer(next()).map(Timestamp.init(nanoseconds:)))
  }

  mutating func optionalTime() throws(StoreError) -> Timestamp? {
    guard !row.isNull(column) else {
      _ = next()
      return nil
    }
    return try time()
  }

  /// A counter, stored as the signed integer of the same bits.
  mutating func counter() throws(StoreError) -> UInt64 {
    try unwrap(row.integer(next()).map(UInt64.init(bitPattern:)))
  }

  mutating func tenantID() throws(StoreError) -> TenantID {
    try unwrap(row.withText(next()) { TenantID(parsing: $0) })
  }

  mutating func optionalTenantID() throws(StoreError) -> TenantID? {
    guard !row.isNull(column) else {
      _ = next()
      return nil
    }
    return try tenantID()
  }

  /// Empty: the platform.
  mutating func payer() throws(StoreError) -> TenantID? {
    let text = try text()
    if text.isEmpty { return nil }
    guard let id = TenantID(parsing: text) else { throw corruption("its payer is no tenant") }
    return id
  }

  mutating func selectors() throws(StoreError) -> WorkloadEntry.Selectors {
    let document: WorkloadSelectorsDocument = try json()
    return document.selectors
  }

  mutating func domainName() throws(StoreError) -> DomainName {
    try unwrap(row.text(next()).flatMap(DomainName.init(parsing:)))
  }

  /// In two columns, both of which are null for a claim.
  mutating func verification() throws(StoreError) -> TenantDomain.Verification? {
    guard let time = try optionalTime() else {
      guard try optionalText() == nil else { throw corruption("it is half verified") }
      return nil
    }
    return TenantDomain.Verification(time: time, method: try name())
  }

  mutating func keyID() throws(StoreError) -> KeyID {
    try unwrap(row.text(next()).flatMap(KeyID.init(parsing:)))
  }

  mutating func bytes() throws(StoreError) -> [UInt8] {
    try unwrap(row.bytes(next()))
  }

  mutating func slug() throws(StoreError) -> Slug {
    try unwrap(row.text(next()).flatMap(Slug.init(parsing:)))
  }

  /// An enumeration by its raw value.
  mutating func name<Name: RawRepresentable<String> & CaseIterable>() throws(StoreError) -> Name {
    try unwrap(
      row.withText(next()) { text in
        text.withUnsafeBytes { bytes in
          Name.allCases.first { name in
            name.rawValue.utf8Span.span.bytes.withUnsafeBytes { $0.holdsSame(as: bytes) }
          }
        }
      })
  }

  mutating func purpose() throws(StoreError) -> SecretPurpose {
    try unwrap(row.text(next()).flatMap(SecretPurpose.init(rawValue:)))
  }

  /// In two columns.
  mutating func target() throws(StoreError) -> Revocation.Target {
    let kind: Revocation.Target.Kind = try name()
    return try unwrap(row.text(next()).flatMap { Revocation.Target(kind, text: $0) })
  }

  /// Null where there is nothing, as in almost all rows.
  mutating func tokens(of tenant: inout Tenant) throws(StoreError) {
    guard !row.isNull(column) else {
      _ = next()
      return
    }
    if let plain = row.withText(column, { PlainMetadata.decode($0) }) {
      _ = next()
      tenant.metadata = plain
      return
    }
    let document: TokensDocument = try json()
    document.apply(to: &tenant)
  }

  mutating func json<Value: Decodable>() throws(StoreError) -> Value {
    try unwrap(row.text(next()).flatMap { coding.decode(Value.self, $0) })
  }

  mutating func optionalJSON<Value: Decodable>() throws(StoreError) -> Value? {
    guard !row.isNull(column) else {
      _ = next()
      return nil
    }
    return try json()
  }

  mutating func terms() throws(StoreError) -> RoleAssignment.Terms {
    guard let document: AssignmentTermsDocument = try optionalJSON() else {
      return RoleAssignment.Terms()
    }
    return try unwrap(document.terms)
  }

  mutating func configuration() throws(StoreError) -> TenantConfiguration {
    if let plain = row.withText(column, { PlainConfiguration.decode($0) }) {
      _ = next()
      return plain
    }
    return try json()
  }

  private mutating func next() -> Int32 {
    defer { column += 1 }
    return column
  }

  private func unwrap<Value>(_ value: Value?) throws(StoreError) -> Value {
    guard let value else { throw corruption("column \(column) does not parse") }
    return value
  }
}
