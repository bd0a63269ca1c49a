import ArgumentParser
import Foundation
import TenancyRPC
import TenancyWire

struct WatchTenantsCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "watch", abstract: "Shows changes of tenants as they happen.",
    discussion: """
      Goes on until it is stopped. When it fails it says on stderr how to go on without missing \
      anything. As JSON each message is one line, and has a resumeToken.
      """)

  @Option(help: "Only those for which this holds, as for list.") var filter = ""
  @Flag(help: "Deleted ones too.") var showDeleted = false
  @Flag(help: "First all that there are.") var snapshot = false
  @Option(
    help: ArgumentHelp(
      "Goes on behind this: a resume token, or a consistency token.", valueName: "token"))
  var from = ""
  @Option(
    parsing: .unconditional,
    help: "Ends after so many tenants and changes; 0: never.")
  var count = 0
  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Server") var server: ServerOptions

  func validate() throws {
    guard count >= 0 else { throw ValidationError("--count must not be negative") }
    guard !snapshot || from.isEmpty else {
      throw ValidationError("--snapshot begins anew, and --from goes on: only one of them")
    }
  }

  func run() async throws {
    var watched = WatchedTenants(format: output.output, limit: count)
    do {
      try await server.connected { connection in
        var options = connection.options
        // It goes on for as long as one likes.
        options.timeout = nil
        let request = V1.WatchTenantsRequest(
          filter: filter, showDeleted: showDeleted, resumeToken: from, snapshot: snapshot)
        try await connection.tenants.watchTenants(request, options: options) { messages in
          for try await message in messages {
            watched.show(message)
            if watched.isEnough { return }
          }
        }
      }
    } catch {
      output.remark(watched.note)
      throw error
    }
  }
}

/// What a watch has shown so far.
struct WatchedTenants {
  let format: OutputFormat
  /// 0: no limit.
  let limit: Int
  private(set) var shown = 0
  private var token = ""

  init(format: OutputFormat, limit: Int) { (self.format, self.limit) = (format, limit) }

  var isEnough: Bool { limit > 0 && shown >= limit }

  /// How to go on.
  var note: [String] { token.isEmpty ? [] : ["To go on: --from \(token)"] }

  mutating func show(_ message: V1.WatchTenantsResponse) {
    // At once, also into a pipe.
    FileHandle.standardOutput.write(Data(lines(of: message).map { $0 + "\n" }.joined().utf8))
  }

  /// What a message is shown as.
  mutating func lines(of message: V1.WatchTenantsResponse) -> [String] {
    let isFirst = token.isEmpty
    token = message.resumeToken
    shown += message.tenants.count + (message.change == nil ? 0 : 1)
    guard format == .table else { return [Printable.json(message.json().text(pretty: false))] }
    let header = isFirst ? [Self.line("TIME", "CHANGE", "STATE", "ID", "SLUG")] : []
    let present = message.tenants.map { Self.line($0, "PRESENT", $0.updateTime) }
    let changed = message.change.map { change in
      Self.line(change.tenant ?? V1.Tenant(), change.kind.shortName, change.time)
    }
    return header + present + [changed].compactMap(\.self)
  }

  private static func line(
    _ tenant: V1.Tenant, _ change: String, _ time: GoogleProtobuf.Timestamp?
  ) -> String {
    line(
      time?.text ?? "-", change, tenant.state.shortName, tenant.id, Printable.text(tenant.slug))
  }

  /// Lines come one by one: columns are as wide as they can be, the last aside.
  private static func line(_ cells: String...) -> String {
    let widths = [20, 7, 16, 36]
    return cells.enumerated().map { index, cell in
      let padding = index < widths.count ? max(0, widths[index] - cell.count) + 2 : 0
      return cell + String(repeating: " ", count: padding)
    }.joined()
  }
}
