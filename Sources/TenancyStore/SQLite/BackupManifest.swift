internal import FoundationEssentials
public import Tenancy

/// What a backup says of itself.
public struct BackupManifest: Codable, Hashable, Sendable {
  static let currentFormat = 1

  public let format: Int
  /// When it was begun: RFC 3339.
  public let time: String
  public let schemaVersion: Int64
  /// The last that is in it.
  public let revision: UInt64
  /// The life of the store that it was made of; nil for a store from before there were any.
  public let incarnation: StoreIncarnation?
  public let counts: StoreCounts
  /// Of the SQLite database, from the file's begin on.
  public let databaseBytes: UInt64
}

/// A backup: an SQLite database, and behind its last page three lines, which SQLite passes over: an empty one,
/// the manifest, and the SHA-256 of all before it.
public struct BackupFile: Encodable, Hashable, Sendable {
  public let path: String
  public let manifest: BackupManifest
  /// Of the file but for its last line: lower-case hex.
  public let sha256: String
}

extension BackupFile {
  /// A manifest has fewer bytes.
  private static let maximumManifest = 1 << 16
  /// Digits and a line feed.
  private static let lastLine = 65

  /// Adds the lines to a database.
  static func seal(_ file: PrivateFile, _ manifest: BackupManifest) throws(StoreError) {
    try file.append(Array("\n\(JSONCoding().text(manifest))\n".utf8))
    let digest = try FileBytes(file.path).digest(upTo: try file.size())
    try file.append(Array("\(digest)\n".utf8))
  }

  /// Reads what stands behind the database, and proves that nothing before the last line has changed.
  /// - Throws: `.corrupt` if it is no whole backup.
  static func read(_ path: String) throws(StoreError) -> BackupFile {
    let bytes = try FileBytes(path)
    func wrong(_ what: String) -> StoreError { StoreError(.corrupt, "\(path): \(what)") }
    let start = bytes.size - min(bytes.size, UInt64(maximumManifest))
    let tail = try bytes.read(at: start, count: maximumManifest)
    guard tail.count > lastLine, tail.last == UInt8(ascii: "\n") else {
      throw wrong("it is no backup, or not a whole one")
    }
    let digest = String(decoding: tail.suffix(lastLine).dropLast(), as: UTF8.self)
    let lines = tail.dropLast(lastLine)
    guard lines.last == UInt8(ascii: "\n"),
      let before = lines.dropLast().lastIndex(of: UInt8(ascii: "\n"))
    else { throw wrong("it is no backup, or not a whole one") }
    let text = String(decoding: lines[(before + 1)...].dropLast(), as: UTF8.self)
    guard try bytes.digest(upTo: bytes.size - UInt64(lastLine)) == digest else {
      throw wrong("its SHA-256 is not the one that it had: it has changed since it was made")
    }
    guard let manifest = JSONCoding().decode(BackupManifest.self, text),
      manifest.format == BackupManifest.currentFormat
    else { throw wrong("its manifest is none that this program knows") }
    guard manifest.databaseBytes == start + UInt64(before) else {
      throw wrong("its database does not have the \(manifest.databaseBytes) bytes of its manifest")
    }
    return BackupFile(path: path, manifest: manifest, sha256: digest)
  }

  /// Proves that a backup is whole and that a server would serve what is in it. The rows of a store of an
  /// earlier schema are counted, not judged.
  /// - Throws: `.corrupt` with all that is wrong, one thing a line.
  public static func verify(_ path: String) throws(StoreError) -> BackupFile {
    let file = try read(path)
    let manifest = file.manifest
    let report = try StillStore.read(path) { (connection) throws(StoreError) in
      try StoreCheck.check(connection, path: path)
    }
    var wrong = report.findings
    func require(_ condition: Bool, _ what: String) {
      if !condition { wrong.append(StoreFinding(what)) }
    }
    require(report.schemaVersion == manifest.schemaVersion, "its schema is not its manifest's")
    require(report.revision == manifest.revision, "it does not end at its manifest's revision")
    require(report.counts == manifest.counts, "it does not have its manifest's numbers of rows")
    require(report.incarnation?.id == manifest.incarnation?.id, "it is of another store")
    require(
      report.incarnation.map { $0.state == .copy } ?? true, "it is not marked as a backup")
    guard wrong.isEmpty else {
      throw StoreError(
        .corrupt,
        "\(path) is not sound:\n" + wrong.prefix(100).map(\.description).joined(separator: "\n"))
    }
    return file
  }

  /// RFC 3339.
  static func now() -> String { Date().ISO8601Format() }

  /// Since 1970.
  static func seconds() -> Int64 { Int64(Date().timeIntervalSince1970) }

  static func seconds(of time: String) -> Int64? {
    // Lost is what is wrong with a time that this program did not write: the time is not known then.
    try? Int64(Date(time, strategy: .iso8601).timeIntervalSince1970)
  }
}
