import ArgumentParser
import Foundation
import TenancyRPC
import TenancyWire

struct ExportTenantsCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "export",
    abstract: "Writes what is declared of tenants, as `tenantctl apply` reads it.",
    discussion: """
      In the order of slugs. Secrets, ids, states and times are not in it. The same tenants have the same text. What the \
      caller may not read is left out, and named on stderr.
      """)

  /// Tenants whose roles are asked for at once.
  private static let parallel = 8

  @Argument(help: "The tenants: their slugs or ids.") var tenants: [String] = []
  @Option(help: "All for which this holds, as `tenant list --filter`.") var filter: String?
  @Flag(help: "All that the caller may see.") var all = false
  @Flag(help: "Without their roles.") var noRoles = false
  @Flag(help: "Without who has which role.") var noAssignments = false
  @Flag(help: "Without their authentication settings.") var noAuthentication = false
  @Option(
    name: [.customShort("o"), .long],
    help: ArgumentHelp(
      "A file, a folder for a file of each tenant, or - for stdout.", valueName: "path"),
    completion: .file())
  var output = "-"
  @OptionGroup(title: "Server") var server: ServerOptions

  func validate() throws {
    guard [!tenants.isEmpty, filter != nil, all].count(where: \.self) == 1 else {
      throw ValidationError("Which tenants? Give their names, --filter or --all.")
    }
  }

  func run() async throws {
    let names = try tenants.map { tenant throws(UsageError) in try ResourceName.tenant(tenant) }
    let file = try FleetOutput(output)
    do {
      try await server.connected { connection in
        let source = FleetSource(connection: connection)
        guard names.isEmpty else {
          return try await write(try await get(names, connection), source, file)
        }
        try await source.tenants(filter: filter ?? "") { page in
          try await write(page, source, file)
          return true
        }
      }
      try file.finish()
    } catch {
      file.abandon()
      throw error
    }
  }

  private func get(_ names: [String], _ connection: Connection) async throws -> [V1.Tenant] {
    let found = try await FleetRun.each(names, Self.parallel) { name in
      try await connection.tenants.getTenant(
        V1.GetTenantRequest(name: name), options: connection.options)
    }
    var seen: Set<String> = []
    return found.filter { seen.insert($0.name).inserted }.sorted { $0.slug < $1.slug }
  }

  private func write(
    _ tenants: [V1.Tenant], _ source: FleetSource, _ file: FleetOutput
  ) async throws {
    let (noRoles, noAssignments, noAuthentication) = (noRoles, noAssignments, noAuthentication)
    let texts = try await FleetRun.each(tenants, Self.parallel) { tenant in
      var access = TenantAccess()
      if !noRoles { access.roles = try await source.roles(of: tenant.name) }
      if !noAssignments {
        access.assignments = try await Self.readable("who has which role", of: tenant) {
          try await source.assignments(of: tenant.name)
        }
      }
      if !noAuthentication {
        access.authentication = try await Self.readable("authentication settings", of: tenant) {
          try await source.authentication(of: tenant.name)
        }
      }
      return try FleetWriter.text(FleetTenant(exporting: tenant, access))
    }
    for (tenant, text) in zip(tenants, texts) { try file.write(text, of: tenant.slug) }
  }

  /// What a file does not say stays as it is: a part that its reader may not see can be left out.
  private static func readable<Answer>(
    _ what: String, of tenant: V1.Tenant, _ body: () async throws -> Answer
  ) async throws -> Answer? {
    do {
      return try await body()
    } catch let status as RPCStatus where status.code == .permissionDenied {
      let text = Printable.text("\(tenant.slug): without \(what), which the caller may not read")
      FileHandle.standardError.write(Data("\(text)\n".utf8))
      return nil
    }
  }
}
