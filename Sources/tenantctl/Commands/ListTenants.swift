import ArgumentParser
import Foundation
import TenancyClient
import TenancyWire

/// How a list of tenants is shown.
enum TenantListFormat: String, ExpressibleByArgument, CaseIterable {
  /// For people; may change.
  case table
  /// The same with more columns.
  case wide
  /// The message in proto3 JSON.
  case json
  /// A tenant in each line.
  case jsonl
  /// A YAML document for each tenant.
  case yaml
  /// Their resource names.
  case name
}

struct ListTenantsCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list", abstract: "Lists the tenants that the caller may see.",
    discussion: #"""
      A filter: state = ACTIVE AND labels.region = (eu OR us) AND NOT slug = "acme-*"

      All of them, unless --page-size or --page-token asks for a page, or --limit for some.

      With --watch it goes on until it is stopped: on a terminal as a table that follows what happens, else with a \
      line for each tenant and each change behind that, of which none is lost where the connection is.
      """#)

  @Option(help: "Only those for which this holds.") var filter = ""
  @Option(
    name: [.customLong("order-by"), .customLong("sort")],
    help: ArgumentHelp(
      "create_time, update_time, slug or display_name, and ' desc' behind it or not.",
      valueName: "order"))
  var orderBy = ""
  @Flag(help: "Deleted ones too.") var showDeleted = false
  @Option(
    help: ArgumentHelp(
      "Which columns a table has: \(TenantColumn.names).", valueName: "a,b,c"),
    transform: TenantColumn.parse)
  var columns: [TenantColumn]?
  @Option(parsing: .unconditional, help: "At most this many.") var limit: Int?
  @Flag(help: "Goes on, and shows what changes.") var watch = false
  @OptionGroup var pages: PageOptions
  @Option(name: [.customShort("o"), .long], help: "How to show the answer.")
  var output = TenantListFormat.table
  @OptionGroup(title: "Server") var server: ServerOptions

  /// One page of the server's, and no more.
  private var isPage: Bool { !pages.all && (pages.pageSize > 0 || !pages.pageToken.isEmpty) }

  func validate() throws {
    if let limit, limit < 1 { throw ValidationError("--limit is at least 1.") }
    if limit != nil, isPage { throw ValidationError("--limit is not for a page.") }
    if columns != nil, output != .table {
      throw ValidationError("--columns is for tables: give --output table, or none.")
    }
    if watch { try validateWatch() }
    if orderBy.contains(",") {
      throw ValidationError("The server sorts by one field; among equals the oldest come first.")
    }
  }

  private func validateWatch() throws {
    if isPage || pages.all { throw ValidationError("--watch is not for pages.") }
    switch output {
    case .table, .wide, .jsonl: break
    case .json, .yaml, .name:
      throw ValidationError("--watch shows a table, or lines: --output table, wide or jsonl.")
    }
    do { _ = try TenantListOrder(parsing: orderBy) } catch {
      throw ValidationError("\(error)")
    }
    if !isLive, limit != nil || !orderBy.isEmpty {
      throw ValidationError("--sort and --limit with --watch are for tables on a terminal.")
    }
  }

  private var isLive: Bool { output != .jsonl && isatty(STDOUT_FILENO) == 1 }

  private func follow() async throws {
    let columns = columns ?? (output == .wide ? TenantColumn.wide : TenantColumn.usual)
    let request = V1.WatchTenantsRequest(
      filter: filter, showDeleted: showDeleted, snapshot: true)
    guard isLive else {
      let lines = TenantListLines(columns, isJSON: output == .jsonl)
      return try await TenantListWatch(request: request, server: server, screen: lines).run()
    }
    let table = TenantListTable(
      TenantListRows(columns, order: try TenantListOrder(parsing: orderBy), limit: limit))
    table.enter()
    defer { table.leave() }
    try await TenantListWatch(request: request, server: server, screen: table).run()
  }

  func run() async throws {
    if watch { return try await follow() }
    var writer = TenantListWriter(output, columns: columns)
    try await server.connected { connection in
      if isPage {
        try await showPage(connection, &writer)
      } else {
        try await showAll(connection, &writer)
      }
    }
    try writer.finish()
  }

  private func showPage(
    _ connection: Connection, _ writer: inout TenantListWriter
  ) async throws {
    let (tenants, next) = try await pages.collect { token in
      let page = try await connection.tenants.listTenants(
        V1.ListTenantsRequest(
          pageSize: pages.pageSize, pageToken: token, filter: filter, showDeleted: showDeleted,
          orderBy: orderBy),
        options: connection.options)
      return (page.tenants, page.nextPageToken)
    }
    try writer.write(tenants)
    writer.end(next: next)
  }

  /// Page after page, each shown before the next is asked for.
  private func showAll(
    _ connection: Connection, _ writer: inout TenantListWriter
  ) async throws {
    var (rest, token) = (limit ?? .max, pages.pageToken)
    let size = pages.pageSize == 0 ? FleetSource.pageSize : pages.pageSize
    repeat {
      let page = try await connection.tenants.listTenants(
        V1.ListTenantsRequest(
          pageSize: Int32(min(Int(size), rest)), pageToken: token, filter: filter,
          showDeleted: showDeleted, orderBy: orderBy),
        options: connection.options)
      // A server that repeats its token would keep us here for ever.
      guard page.nextPageToken.isEmpty || page.nextPageToken != token else {
        throw UsageError("the server's pages don't end")
      }
      token = page.nextPageToken
      try writer.write(Array(page.tenants.prefix(rest)))
      rest -= min(rest, page.tenants.count)
    } while !token.isEmpty && rest > 0
  }
}

/// Shows tenants as they come, without keeping them.
struct TenantListWriter {
  private let format: TenantListFormat
  private let columns: [TenantColumn]
  private var table: GrowingTable
  private var count = 0
  private var next = ""

  init(_ format: TenantListFormat, columns: [TenantColumn]? = nil) {
    self.format = format
    self.columns = columns ?? (format == .wide ? TenantColumn.wide : TenantColumn.usual)
    table = GrowingTable(
      self.columns.map(\.header), expendable: columns == nil ? TenantColumn.expendable : nil)
  }

  mutating func write(_ tenants: [V1.Tenant]) throws(OutputFailure) {
    switch format {
    case .table, .wide:
      let rows = tenants.map { tenant in columns.map { $0.value(tenant) } }
      for line in table.lines(rows) { print(line) }
    case .json:
      for (at, tenant) in tenants.enumerated() {
        let text = Printable.json(tenant.json().text(pretty: true))
        print(count + at == 0 ? "{\n  \"tenants\": [" : ",")
        print("    \(text.replacing("\n", with: "\n    "))", terminator: "")
      }
    case .jsonl:
      for tenant in tenants { print(Printable.json(tenant.json().text())) }
    case .yaml:
      for tenant in tenants {
        print(try YAMLText.document(YAMLText.node(tenant.json())), terminator: "")
      }
    case .name:
      for tenant in tenants { print(Printable.text(tenant.name)) }
    }
    count += tenants.count
  }

  /// - Parameter token: where the next page begins; empty: there is none.
  mutating func end(next token: String) { next = token }

  /// What is behind the last.
  mutating func finish() throws {
    switch format {
    case .table, .wide:
      // A header at least.
      if count == 0 { for line in table.lines([]) { print(line) } }
      for line in Paging.note(next) { print(line) }
    case .json:
      let more = next.isEmpty ? "" : "\"nextPageToken\": \"\(Printable.text(next))\""
      if count > 0 {
        print("\n  ]\(more.isEmpty ? "" : ",\n  \(more)")\n}")
      } else {
        print(more.isEmpty ? "{}" : "{\n  \(more)\n}")
      }
    case .jsonl, .yaml, .name:
      for line in Paging.note(next) {
        FileHandle.standardError.write(Data("\(Printable.text(line))\n".utf8))
      }
    }
  }
}
