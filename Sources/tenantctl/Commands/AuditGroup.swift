import ArgumentParser
import Foundation
import Tenancy
import TenancyCrypto
import TenancyRPC
import TenancyWire

/// `tenantctl audit …`.
struct AuditGroup: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "audit", abstract: "Who did what, and who was denied what.",
    subcommands: [
      ListAuditCommand.self, ExportAuditCommand.self, VerifyAuditCommand.self,
    ])
}

struct ListAuditCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list", abstract: "Lists audit records, oldest first.")

  @Argument(help: "A tenant's id or slug. (default: the caller's own, or the platform)")
  var tenant: String?
  @OptionGroup var pages: PageOptions
  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Server") var server: ServerOptions

  func run() async throws {
    let parent = try tenant.map { name throws(UsageError) in try ResourceName.tenant(name) } ?? ""
    let (records, next) = try await server.connected { connection in
      try await pages.collect { token in
        let page = try await connection.audit.listAuditRecords(
          V1.ListAuditRecordsRequest(
            parent: parent, pageSize: pages.pageSize, pageToken: token),
          options: connection.options)
        return (page.records, page.nextPageToken)
      }
    }
    output.show(
      V1.ListAuditRecordsResponse(records: records, nextPageToken: next), next: next, of: pages)
  }
}

struct ExportAuditCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "export",
    abstract: "Writes audit records as they are stored, one a line, for `audit verify`.",
    discussion: """
      With --all, the platform's chain and those of all tenants, up to one moment. Take a copy of the \
      server's file of checkpoints before: again, if `audit verify` misses a chain's first records, for the \
      server may have removed some in between, and says so in that file.
      """)

  @Argument(help: "A tenant's id or slug. (default: the caller's own chain, or the platform's)")
  var tenant: String?
  @Flag(help: "Every chain.") var all = false
  @OptionGroup(title: "Server") var server: ServerOptions

  func validate() throws {
    guard tenant == nil || !all else { throw ValidationError("Give a tenant or --all.") }
  }

  func run() async throws {
    let parent = try tenant.map { name throws(UsageError) in try ResourceName.tenant(name) } ?? ""
    try await server.connected { connection in
      let ends = try await export(parent, until: nil, connection)
      guard all else { return }
      for (tenant, end) in ends.sorted(by: { $0.key < $1.key }) {
        _ = try await export("tenants/\(tenant)", until: end, connection)
      }
    }
  }

  /// Prints a chain.
  /// - Parameter end: its last record to print; nil: all.
  /// - Returns: where tenants' chains end, if it is the platform's.
  private func export(
    _ parent: String, until end: UInt64?, _ connection: Connection
  ) async throws -> [TenantID: UInt64] {
    var ends: [TenantID: UInt64] = [:]
    var (token, last): (String, UInt64?) = ("", nil)
    repeat {
      let page = try await connection.audit.exportAuditRecords(
        V1.ExportAuditRecordsRequest(parent: parent, pageSize: 500, pageToken: token),
        options: connection.options)
      guard let chain = AuditChain(parsing: page.chain),
        page.nextPageToken != token || token.isEmpty
      else { throw UsageError("the server's answer makes no sense") }
      // What begins behind the end, or not where the page before ended, was removed meanwhile.
      let first = page.records.first?.sequence
      guard first.map({ $0 <= end ?? .max && $0 == last.map { $0 + 1 } ?? $0 }) ?? true else {
        throw UsageError(
          "records of the chain \(chain) were removed for their age or number while they were exported: "
            + "export again")
      }
      last = page.records.last?.sequence ?? last
      for record in page.records where end.map({ record.sequence <= $0 }) ?? true {
        print(
          AuditLine(
            StoredAuditRecord(
              chain: chain, sequence: record.sequence, bytes: record.record, hash: record.hash)
          ).text)
        guard case .heads(let heads, _) = AuditEncoding.decode(record.record)?.content else {
          continue
        }
        for head in heads { ends[head.tenant] = head.head.sequence }
      }
      token = page.nextPageToken
      if let end, page.records.last.map({ $0.sequence >= end }) ?? false { break }
    } while !token.isEmpty
    return ends
  }
}

struct VerifyAuditCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "verify",
    abstract: "Verifies exported audit records, without a server.",
    discussion: """
      Names the first record that is not the one that was written: one that was changed, removed or \
      moved, at the end of a chain as well, and a chain that is missing.
      """)

  @Argument(help: "Files that `audit export` wrote.", completion: .file()) var files: [String]
  @Option(help: "The server's checkpoints.", completion: .file()) var checkpoints: String
  @Option(help: "The public key (PEM) of what they are signed with.", completion: .file())
  var publicKey: String
  @Flag(help: "Chains may be missing: the files are, say, of one tenant.") var partial = false

  func run() throws {
    let key = try VerifyingKey(file: publicKey)
    var verifier = AuditVerifier(
      hash: SHA256Digest.bytes, isSigned: { key.verify($1, of: $0) })
    try Self.eachLine(of: checkpoints) { line, place, isWhole throws(AuditFault) in
      if isWhole {
        try verifier.add(checkpoint: line, at: place)
      } else {
        verifier.add(cutOffCheckpoint: line, at: place)
      }
    }
    for file in files {
      try Self.eachLine(of: file) { line, place, isWhole throws(AuditFault) in
        guard isWhole else { throw AuditFault(cutOff: place) }
        try verifier.add(line: line, at: place)
      }
    }
    try verifier.finish(isPartial: partial)
    for note in verifier.notes { FileHandle.standardError.write(Data("note: \(note)\n".utf8)) }
    print("verified: \(verifier.recordCount) records in \(verifier.chainCount) chains")
  }

  /// - Parameter body: is told whether the line has an end.
  private static func eachLine(
    of file: String,
    _ body: (_ line: String, _ place: String, _ isWhole: Bool) throws(AuditFault) -> Void
  ) throws {
    guard let data = FileManager.default.contents(atPath: file) else {
      throw UsageError("cannot read \(file)")
    }
    let lines = data.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
    for (index, line) in lines.enumerated() {
      let isWhole = index + 1 < lines.count
      guard isWhole || !line.isEmpty else { continue }
      try body(String(decoding: line, as: UTF8.self), "\(file):\(index + 1)", isWhole)
    }
  }
}

extension V1.ListAuditRecordsResponse: Presentable {
  func lines() -> [String] {
    var table = Table("RECORD", "TIME", "DECISION", "ACTION", "REASON", "COUNT", "SUBJECT")
    for record in records {
      let action =
        record.heads.isEmpty ? record.action : "ends of \(record.heads.count) tenants' chains"
      table.add(
        String(record.sequence), record.time?.text ?? "", record.decision.shortName, action,
        record.reason, record.count > 1 ? String(record.count) : "", record.subject)
    }
    return table.lines() + Paging.note(nextPageToken)
  }
}
