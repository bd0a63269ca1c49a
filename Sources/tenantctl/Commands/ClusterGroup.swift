import ArgumentParser
import TenancyWire

/// `tenantctl cluster …`.
struct ClusterGroup: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "cluster", abstract: "The clusters that tenants' data is made in.",
    subcommands: [ListClustersCommand.self, AuditClusterCommand.self])
}

struct ListClustersCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list", abstract: "Lists the clusters, whom they take, and how many they have.")

  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Server") var server: ServerOptions

  func run() async throws {
    output.show(
      try await server.connected {
        try await $0.clusters.listClusters(V1.ListClustersRequest(), options: $0.options)
      })
  }
}

struct AuditClusterCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "audit", abstract: "Compares what a cluster has with what it should have.",
    discussion: """
      Orphans are things of tenants that have nothing there, as far as the server knows. With \
      --repair they are destroyed, logins that are missing are made again, those of suspended \
      and deleted tenants are closed, and those that the server does not know are taken away; of \
      data that is missing it is only said. Exits with 3 if something is left to be put right.
      """)

  /// The exit code where something is wrong.
  private static let unsound: Int32 = 3

  @Argument(help: "The cluster's name, with or without clusters/.") var cluster: String
  @Flag(help: "Put right what can be.") var repair = false
  @OptionGroup var confirmation: ConfirmationOptions
  @OptionGroup var trial: DryRunOptions
  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Server") var server: ServerOptions

  func run() async throws {
    if repair {
      try confirmation.confirm(
        unless: trial.dryRun, "Destroy what \(cluster) has of tenants that have nothing there?")
    }
    let request = V1.AuditClusterRequest(name: cluster, repair: repair, validateOnly: trial.dryRun)
    let answer = try await server.connected {
      try await $0.clusters.auditCluster(request, options: $0.options)
    }
    output.show(answer)
    if trial.dryRun ? !answer.findings.isEmpty : answer.findings.contains(where: { !$0.repaired }) {
      throw ExitCode(Self.unsound)
    }
  }
}

struct TenantDataCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "data", abstract: "Shows how a tenant's data in a cluster is reached.")

  @OptionGroup var tenant: TenantArgument
  @Flag(help: "The password, too.") var showPassword = false
  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Server") var server: ServerOptions

  func run() async throws {
    let request = V1.GetTenantDataAccessRequest(name: try tenant.name())
    var access = try await server.connected {
      try await $0.data.getTenantDataAccess(request, options: $0.options)
    }
    if !showPassword { access.password = "" }
    output.show(access)
  }
}

struct RotateLoginCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "rotate-login",
    abstract: "Gives a tenant's programs another login in its cluster, with another password.",
    discussion: "The former one works on until retire-login, or the next rotation.")

  @OptionGroup var tenant: TenantArgument
  @OptionGroup var trial: DryRunOptions
  @OptionGroup var repetition: RepetitionOptions
  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Server") var server: ServerOptions

  func run() async throws {
    let request = V1.RotateTenantDataLoginRequest(
      name: try tenant.name(), requestId: repetition.requestID, validateOnly: trial.dryRun)
    let answer = try await server.connected {
      try await $0.data.rotateTenantDataLogin(request, options: $0.options)
    }
    output.show(answer, done: trial.done("the login of \(request.name) is \(answer.username)"))
  }
}

struct RetireLoginCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "retire-login",
    abstract: "Takes away the login that a tenant's programs had before the last rotation.")

  @OptionGroup var tenant: TenantArgument
  @OptionGroup var confirmation: ConfirmationOptions
  @OptionGroup var trial: DryRunOptions
  @OptionGroup var repetition: RepetitionOptions
  @OptionGroup var output: OutputOptions
  @OptionGroup(title: "Server") var server: ServerOptions

  func run() async throws {
    let request = V1.RetireTenantDataLoginRequest(
      name: try tenant.name(), requestId: repetition.requestID, validateOnly: trial.dryRun)
    try confirmation.confirm(
      unless: trial.dryRun, "End the sessions of the former login of \(request.name)?")
    output.show(
      try await server.connected {
        try await $0.data.retireTenantDataLogin(request, options: $0.options)
      }, done: trial.done("the former login of \(request.name) is gone"))
  }
}
