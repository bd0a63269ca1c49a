import TenancyTestSupport

@testable import Tenancy
@testable import TenancyStore

/// What stands behind the database of a backup, which somebody may have written.
let backupTargets: [FuzzTarget] = [
  FuzzTarget("backup") {
    [try Sample.made(), Array("\(Sample.database)\n\n\n{}\n".utf8), []]
  } run: { input in
    // As it is: only what ends with the hash of itself is a backup, whoever made it.
    if let found = try read(input) {
      let digest = String(decoding: input.suffix(65).dropLast(), as: UTF8.self)
      try checkEqual(found.sha256, digest, "digest")
    }
    // With the hash that fits, all else of it is looked at.
    guard let found = try read(input, isSealed: true) else {
      return try check(input != Sample.made(), "what was made is refused")
    }
    let bytes = found.manifest.databaseBytes
    try check(bytes < input.count, "its database has \(bytes) bytes of \(input.count)")
    let rest = input.dropFirst(Int(bytes))
    try checkEqual(rest.first, UInt8(ascii: "\n"), "what ends the database")
    try checkEqual(rest.last, UInt8(ascii: "\n"), "what ends the manifest")
    let text = String(decoding: rest.dropFirst().dropLast(), as: UTF8.self)
    try check(!text.contains("\n"), "the manifest has lines")
    let manifest = JSONCoding().decode(BackupManifest.self, text)
    try checkEqual(found.manifest, try manifest ?? Sample.missing(), "manifest")
  }
]

/// Nil: it is refused as a damaged one.
private func read(_ input: [UInt8], isSealed: Bool = false) throws -> BackupFile? {
  let file = try PrivateFile(beside: "/tmp/tenancy-fuzz", "backup")
  try file.append(input)
  if isSealed {
    let digest = try FileBytes(file.path).digest(upTo: UInt64(input.count))
    try file.append(Array("\(digest)\n".utf8))
  }
  do throws(StoreError) {
    return try BackupFile.read(file.path)
  } catch {
    try checkEqual(error.code, .corrupt, "refusal")
    return nil
  }
}

private enum Sample {
  static let database = "database"

  static let manifest = JSONCoding().decode(
    BackupManifest.self,
    """
    {"format":1,"time":"2026-01-01T00:00:00Z","schemaVersion":12,"revision":7,"databaseBytes":8,
      "counts":{"tenants":1,"roles":2,"assignments":3,"logEntries":7}}
    """)

  /// As `seal` makes it, but for the hash.
  static func made() throws -> [UInt8] {
    let text = try JSONCoding().text(try manifest ?? missing())
    return Array("\(database)\n\(text)\n".utf8)
  }

  static func missing<Value>() throws -> Value {
    throw PropertyFailure(description: "there is no manifest")
  }
}
