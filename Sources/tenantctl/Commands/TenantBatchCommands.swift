import ArgumentParser
import Foundation
import TenancyWire

/// `tenantctl tenant batch-get`.
struct BatchGetTenantsCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "batch-get", abstract: "Shows several tenants, all of one moment.",
    discussion: "In the order that they are named in: all of them, or none where one is not there.")

  @Argument(help: "The tenants: their slugs or ids. - stands for names on stdin, one in each line.")
  var tenants: [String]
  @Option(
    help: ArgumentHelp(
      "Which columns a table has: \(TenantColumn.names).", valueName: "a,b,c"),
    transform: TenantColumn.parse)
  var columns: [TenantColumn]?
  @Option(name: [.customShort("o"), .long], help: "How to show the answer.")
  var output = TenantListFormat.table
  @OptionGroup(title: "Server") var server: ServerOptions

  func validate() throws {
    if columns != nil, output != .table {
      throw ValidationError("--columns is for tables: give --output table, or none.")
    }
  }

  func request() throws(UsageError) -> V1.BatchGetTenantsRequest {
    var names: [String] = []
    for tenant in tenants {
      guard tenant == "-" else {
        names.append(try ResourceName.tenant(tenant))
        continue
      }
      while let line = readLine() {
        let name = line.trimmingCharacters(in: .whitespaces)
        if !name.isEmpty { names.append(try ResourceName.tenant(name)) }
      }
    }
    return V1.BatchGetTenantsRequest(names: names)
  }

  func run() async throws {
    let request = try request()
    let answer = try await server.connected {
      try await $0.tenants.batchGetTenants(request, options: $0.options)
    }
    var writer = TenantListWriter(output, columns: columns)
    try writer.write(answer.tenants)
    try writer.finish()
  }
}

/// `tenantctl tenant batch-create`.
struct BatchCreateTenantsCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "batch-create", abstract: "Creates several tenants, all or none.",
    discussion: """
      From fleet files, as `tenant export` writes them and `apply` reads them: up to 100 tenants, in one transaction. \
      What a file has of roles, of who has them and of authentication is for `apply`, and refused here. The same again \
      creates nothing twice.
      """)

  @Option(
    name: [.customShort("f"), .long],
    help: ArgumentHelp(
      "A file, a folder of files, or - for stdin. May be repeated.", valueName: "path"),
    completion: .file())
  var file: [String]
  @OptionGroup var trial: DryRunOptions
  @Option(name: [.customShort("o"), .long], help: "How to show the answer.")
  var output = TenantListFormat.table
  @OptionGroup(title: "Server") var server: ServerOptions

  func request() throws -> V1.BatchCreateTenantsRequest {
    let documents = try FleetFiles.read(file)
    let problems = documents.compactMap { document -> FleetProblem? in
      let tenant = document.tenant
      let parts = [
        ("roles", tenant.roles?.isEmpty), ("assignments", tenant.assignments?.isEmpty),
        ("authentication", tenant.authentication.map { $0 == V1.AuthenticationSettings() }),
      ]
      guard let part = parts.first(where: { $0.1 == false })?.0 else { return nil }
      return FleetProblem(
        file: document.file, line: document.line(of: part), field: part,
        text: "is no part of a tenant that is made in a batch: use `tenantctl apply`")
    }
    guard problems.isEmpty else { throw FleetFailure(problems: problems) }
    guard !documents.isEmpty else { throw UsageError("the files declare no tenants") }
    return V1.BatchCreateTenantsRequest(
      requests: try documents.map {
        V1.CreateTenantRequest(
          tenant: $0.tenant.message, requestId: try FleetWrite.requestID(of: $0.tenant))
      }, validateOnly: trial.dryRun)
  }

  func run() async throws {
    let request = try request()
    let answer = try await server.connected {
      try await $0.tenants.batchCreateTenants(request, options: $0.options)
    }
    var writer = TenantListWriter(output)
    try writer.write(answer.tenants)
    try writer.finish()
    if trial.dryRun {
      let text = trial.done("created \(answer.tenants.count) tenants")
      FileHandle.standardError.write(Data("\(text)\n".utf8))
    }
  }
}
